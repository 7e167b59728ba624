// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so
import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { formatProblem } from '../../src/config/problems.ts';
import { resolveReferences } from '../../src/config/references.ts';
import { temporaryFolder } from '../support/files.ts';
import { workspace } from './workspace.ts';

async function resolved(data: unknown, base: string, env: Readonly<Record<string, string>> = {}) {
  const { problems, ...rest } = await resolveReferences(data, { base, home: join(base, 'home'), env });
  return {
    ...rest,
    said: problems.map(({ path, message, remedy }) => `${path.join('.')}: ${message}; ${remedy}`),
  };
}

describe('references', () => {
  test('stand for variables and files, alone and inside text, anywhere', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, 'home'));
    await writeFile(join(folder.path, 'one'), 'first\n');
    await writeFile(join(folder.path, 'two'), 'a\r\n\r\n');
    await writeFile(join(folder.path, 'home/three'), 'third');
    const { data, said } = await resolved(
      {
        alone: '${env:A}',
        inside: 'x-${env:A}-${env:B}',
        list: [{ file: '${file:./one}' }, 5, true, null],
        lines: '${file:two}',
        home: '${file:~/three}',
        absolute: `\${file:${folder.path}/one}`,
        escaped: '$${env:A} $$ $${ ${env:A}',
        none: 'a $ b } {',
        '${env:A}': 'keys are left alone',
      },
      folder.path,
      { A: '1', B: 'two words' },
    );
    assert.deepEqual(said, []);
    assert.deepEqual(data, {
      alone: '1',
      inside: 'x-1-two words',
      list: [{ file: 'first' }, 5, true, null],
      lines: 'a\r\n',
      home: 'third',
      absolute: 'first',
      escaped: '${env:A} $$ ${ 1',
      none: 'a $ b } {',
      '${env:A}': 'keys are left alone',
    });
  });

  test('that stand for nothing are all told, with what was probably meant', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'empty'), '\n');
    await writeFile(join(folder.path, 'binary'), Buffer.of(0xff, 0xfe));
    await writeFile(join(folder.path, 'large'), Buffer.alloc(2 * 1024 * 1024, 'x'));
    const how = 'write ${env:NAME} or ${file:/path}, or $${ for a plain ${';
    const { said, data } = await resolved(
      {
        unset: '${env:APP_KEY_PAS}',
        far: '${env:ZZZ}',
        empty: '${env:EMPTY}',
        proto: '${env:constructor}',
        typo: '${evn:A}',
        strange: 'pa${ss}word',
        open: 'pa${ssword',
        missing: '${file:/nowhere/secret}',
        relative: '${file:secret}',
        folder: '${file:.}',
        blank: '${file:}',
        nothing: '${file:empty}',
        binary: '${file:binary}',
        large: '${file:large}',
      },
      folder.path,
      { APP_KEY_PASS: 'x', EMPTY: '' },
    );
    assert.deepEqual(said, [
      'unset: ${env:APP_KEY_PAS}: the environment variable is not set; did you mean "APP_KEY_PASS"?',
      'far: ${env:ZZZ}: the environment variable is not set; set ZZZ where Ferry is started',
      'empty: ${env:EMPTY}: the environment variable is set, but empty; give EMPTY a value',
      'proto: ${env:constructor}: the environment variable is not set; set constructor where Ferry is started',
      'typo: ${evn:A} is not a reference; did you mean "env"?',
      `strange: "\${…}" is not a reference; ${how}`,
      `open: "\${" without a closing "}"; ${how}`,
      'missing: ${file:/nowhere/secret}: there is no such file; name a file that holds the value and nothing else',
      `relative: \${file:secret}: there is no such file; looked for it at ${folder.path}/secret`,
      `folder: \${file:.}: this is not a file; name a file that holds the value and nothing else`,
      `blank: \${file:} names no file; ${how}`,
      'nothing: ${file:empty}: the file is empty; put the value into it',
      `binary: \${file:binary}: it is not UTF-8 text; looked for it at ${folder.path}/binary`,
      'large: ${file:large}: this file is too large for a value (over 1 MiB); name a file that holds the value and nothing else',
    ]);
    assert.equal((data as Record<string, unknown>).unset, '${env:APP_KEY_PAS}');
  });

  test('name the files that they read', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'a'), 'x');
    const { files } = await resolved(['${file:a}', '${file:./a}', '${file:b}'], folder.path);
    assert.deepEqual(files, [join(folder.path, 'a'), join(folder.path, 'b')]);
  });
});

describe('secrets', () => {
  const SECRET = 'k3ep-th1s//quiet "now"\\n';
  const everyKey = [
    'host',
    'port',
    'user',
    'password',
    'key',
    'knownHosts',
    'hostKey',
    'idleTimeout',
    'buffer',
    'compress',
    'via',
    'unknown',
  ];
  const jobKeys = [
    'from',
    'match',
    'ignore',
    'to',
    'settle',
    'done',
    'after',
    'conflict',
    'verify',
    'order',
    'history',
    'unknown',
  ];

  const check = (lines: readonly string[], about: string): void => {
    const text = lines.join('\n');
    for (const form of [SECRET, SECRET.trim(), JSON.stringify(SECRET), 'k3ep', 'quiet', 'th1s'])
      assert.ok(!text.includes(form), `${about}: ${text}`);
  };

  for (const [how, reference] of [
    ['a variable', '${env:PW}'],
    ['a file', '${file:./pw}'],
    ['a part of a text', 'x${env:PW}y'],
  ] as const) {
    test(`by ${how} are in no message, at whatever key they end up`, async () => {
      let told = 0;
      for (const key of everyKey) {
        const entry = `a:\n  type: sftp\n${key === 'host' ? '' : '  host: x\n'}  ${key}: ${JSON.stringify(reference)}\n`;
        await using space = await workspace({ 'jobs/endpoints.yaml': entry, pw: `${SECRET}\n` });
        await chmod(join(space.path, 'pw'), 0o644);
        const { problems, warnings, config } = await space.load({ PW: SECRET });
        check([...problems, ...warnings].map(formatProblem), key);
        check([config.endpoints.get('a')?.fingerprint ?? ''], 'fingerprint');
        told += problems.length;
      }
      for (const key of jobKeys) {
        const job = { from: './a', to: './b', [key]: reference };
        const when = {
          from: './a',
          to: './b',
          when: { [key]: reference, cron: reference, timezone: reference },
        };
        await using space = await workspace({
          'jobs/a.yaml': JSON.stringify(job),
          'jobs/b.yaml': JSON.stringify(when),
          'jobs/c.yaml': JSON.stringify({ ...job, to: { endpoint: reference, path: `../${reference}` } }),
          pw: SECRET,
        });
        await chmod(join(space.path, 'pw'), 0o600);
        const { problems, warnings } = await space.load({ PW: SECRET });
        check([...problems, ...warnings].map(formatProblem), key);
        told += problems.length;
      }
      assert.ok(told > 30, `only ${told} problems were told`);
    });
  }

  test('are not in a message that a kind words itself, short ones neither', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': 'a: { type: sftp, host: x, user: nobody, password: "${env:PW}" }\n',
    });
    for (const secret of ['correct horse', 'geheim']) {
      const lines = await space.problems({ PW: secret });
      assert.deepEqual(lines.slice(0, 1), ['jobs/endpoints.yaml:1:4  a: nobody:${env:PW} may not log in']);
    }
  });

  test('content of a key where its path was meant is refused without repeating it', async () => {
    const pem = '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz//aC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n';
    await using space = await workspace({
      'jobs/endpoints.yaml': 'a: { type: sftp, host: x, key: "${file:./id}" }\n',
      id: pem,
    });
    await chmod(join(space.path, 'id'), 0o600);
    assert.deepEqual(await space.problems(), [
      'jobs/endpoints.yaml:1:32  a: "key" must be a path on one line, not the content of a file',
    ]);
    await space.write('id', 'one//line');
    assert.deepEqual(await space.problems(), [
      'jobs/endpoints.yaml:1:32  a: key: "${file:./id}": there is no such file',
    ]);
  });

  test('what a reference gives is shown as it is written', async () => {
    await using space = await workspace({
      'jobs/a.yaml':
        'from: ./a\nto: ./b\nsettle: "${env:WAIT}"\nconflict: "${env:WAIT}"\nwhen: { cron: "${env:WAIT}" }\n',
    });
    assert.deepEqual(
      (await space.problems({ WAIT: 'a while' })).map((line) => line.split(' (')[0]?.split(' has ')[0]),
      [
        'jobs/a.yaml:3:9  settle: "${env:WAIT}" is not a duration; write it as 300ms, 5s, 15m or 2h',
        'jobs/a.yaml:4:11  "conflict" must be replace, skip, rename or fail, not "${env:WAIT}"',
        'jobs/a.yaml:5:15  when.cron: "${env:WAIT}"',
      ],
    );
  });
});
