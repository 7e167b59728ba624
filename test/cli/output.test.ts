/** What commands print: for scripts one JSON object a line and nothing else, for people colours where there is a terminal. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { filesOf } from '../support/files.ts';
import { startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
// biome-ignore lint/suspicious/noControlCharactersInRegex: what makes a colour
const COLOUR = /\u001b\[\d+(;\d+)*m/;

// biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be in plain lines
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f]/;

test('--json prints objects, one a line, whatever the command', async () => {
  await using home = await makeHome();
  await using server = await startSshd();
  await writeFile(join(server.folder, 'taken'), 'theirs');
  await home.endpoints({ server: endpointOf(server, { hostKey: undefined }) });
  const to = { endpoint: 'server', path: server.folder };
  await home.job('drop', { from: './outbox', to, settle: '0s', conflict: 'fail', when: { watch: true } });
  await writeFile(join(home.outbox, 'taken'), 'ours');
  await writeFile(join(home.outbox, 'free'), 'ours');
  const commands: readonly (readonly [args: readonly string[], code: number, keys: readonly string[]])[] = [
    [['init'], 0, ['folder', 'written']],
    [['trust', 'server', '--yes'], 0, ['endpoint', 'type', 'fingerprint', 'pinned']],
    [['check'], 0, ['endpoint', 'kind', 'folder', 'step', 'ok', 'saw']],
    [['plan', 'drop'], 0, ['job', 'path', 'action', 'why', 'size', 'to']],
    [['run', 'drop'], 1, ['job', 'delivered', 'failed', 'skipped', 'bytes', 'seconds']],
    [['status'], 0, []],
    [
      ['history'],
      0,
      [
        'id',
        'job',
        'endpoint',
        'path',
        'remotePath',
        'size',
        'state',
        'attempts',
        'sha256',
        'deliveredAt',
        'error',
      ],
    ],
    [['history', '--attempts'], 0, ['id', 'attemptLog']],
    [['retry', '--job', 'drop'], 0, ['id', 'job', 'path', 'state']],
    [['pause', 'drop', 'server'], 0, ['name', 'paused']],
    [['resume', 'drop', 'server'], 0, ['name', 'paused']],
  ];
  for (const [args, code, keys] of commands) {
    const ended = await home.ferry([...args, '--json']);
    assert.equal(ended.code, code, `${args.join(' ')}: ${ended.stderr}`);
    const lines = ended.lines();
    assert.ok(lines.length > 0, args.join(' '));
    for (const line of lines) for (const key of keys) assert.ok(key in line, `${args.join(' ')}: ${key}`);
  }

  const worker = home.start(['start', '--json']);
  await until('the failure to be told', () => worker.output().includes('"event":"failed"'));
  const ended = await worker.stop();
  assert.deepEqual(
    ended.lines().map(({ event, path, state }) => ({ event, path, state })),
    [{ event: 'failed', path: 'taken', state: 'failed' }],
  );
});

describe('for people', () => {
  async function withFile(body: (home: Home) => void | Promise<void>): Promise<void> {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.job('drop', { from: './outbox', to: './there', settle: '0s' });
    await writeFile(join(home.outbox, 'f'), 'x');
    await body(home);
  }

  /** What a person at a terminal sees. */
  function seen(home: Home, command: string, env: Readonly<Record<string, string>>): string {
    const line = `'${process.execPath}' '${MAIN}' ${command}`;
    const { stdout } = spawnSync('script', ['-qec', line, '/dev/null'], {
      cwd: home.path,
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        TERM: 'xterm',
        FERRY_JOBS: join(home.path, 'jobs'),
        FERRY_DATA: home.dataFolder,
        ...env,
      },
    });
    return stdout;
  }

  test('a terminal shows colours', () =>
    withFile((home) => {
      const text = seen(home, 'run drop', {});
      assert.match(text, /1 file delivered/);
      assert.match(text + seen(home, 'status', {}), COLOUR);
    }));

  for (const [what, env] of [
    ['NO_COLOR', { NO_COLOR: '1' }],
    ['a dumb terminal', { TERM: 'dumb' }],
  ] as const) {
    test(`${what} has none`, () =>
      withFile((home) => {
        const text = seen(home, 'run drop', env);
        assert.match(text, /1 file delivered/);
        assert.doesNotMatch(text + seen(home, 'status', env) + seen(home, 'history', env), COLOUR);
      }));
  }

  test('what is piped holds plain lines', () =>
    withFile(async (home) => {
      for (const command of [['run', 'drop'], ['status'], ['history'], ['check']]) {
        const ended = await home.ferry(command);
        assert.equal(ended.code, 0, ended.stderr);
        assert.doesNotMatch(ended.stdout + ended.stderr, CONTROL, command.join(' '));
      }
    }));
});

describe('where the disk is full that the output goes to', () => {
  async function fullHome(): Promise<Home> {
    const home = await makeHome({ within: ['sh', '-c', 'exec "$@" >/dev/full 2>&1', 'sh'] });
    await home.endpoints({ there: { type: 'local', path: './there' } });
    await mkdir(join(home.path, 'there'));
    await home.job('drop', {
      from: './outbox',
      to: { endpoint: 'there', path: '' },
      when: { watch: true },
      settle: '0s',
    });
    await Promise.all(['a', 'b', 'c'].map((name) => writeFile(join(home.outbox, name), name)));
    return home;
  }
  const arrived = (home: Home): Promise<readonly string[]> => filesOf(join(home.path, 'there'));

  test('a run delivers all the same, and its exit code tells', async () => {
    await using home = await fullHome();
    assert.equal((await home.ferry(['run', 'drop'])).code, 1);
    assert.deepEqual((await arrived(home)).toSorted(), ['a', 'b', 'c']);
    assert.equal((await home.ferry(['history', '--json'])).code, 1);
  });

  test('a worker works on', async () => {
    await using home = await fullHome();
    const worker = home.start(['start']);
    await until('the files to arrive', async () => (await arrived(home)).length === 3);
    await writeFile(join(home.outbox, 'd'), 'd');
    await until('another to arrive', async () => (await arrived(home)).length === 4);
    assert.equal((await worker.stop()).signal, null);
  });
});
