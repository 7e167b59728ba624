// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so
import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { formatProblem } from '../../src/config/problems.ts';
import { workspace } from './workspace.ts';

/** endpoints.yaml → what is said about it, and the endpoints that are valid all the same. */
type Case = readonly [endpoints: string, said: readonly string[], valid?: readonly string[]];

const TYPES = 'sftp, local, outlet or archive';
const RULE = 'letters, digits, ".", "_" and "-" may be in it, and a letter or digit comes first';

const table: readonly Case[] = [
  ['', []],
  ['- a\n', ['1:1  must be a map: the name of each endpoint, and below it its settings']],
  ['a: 5\n', [`1:4  a: must be a map of settings; begin with "type": ${TYPES}`]],
  ['a:\n', [`1:3  a: must be a map of settings; begin with "type": ${TYPES}`]],
  ['a: { host: x }\n', [`1:4  a: "type" is missing; it is one of ${TYPES}`]],
  ['a: { type: sfpt, host: x }\n', ['1:12  a: there is no type "sfpt"; did you mean "sftp"?']],
  ['a: { type: carrier-pigeon }\n', [`1:12  a: there is no type "carrier-pigeon"; it is one of ${TYPES}`]],
  ['a: { type: constructor }\n', [`1:12  a: there is no type "constructor"; it is one of ${TYPES}`]],
  ['a: { type: 5 }\n', [`1:12  a: "type" must be text; it is one of ${TYPES}`]],
  ['a: { type: sftp }\n', ['1:1  a: "host" is missing']],
  [
    'a b: { type: sftp, host: x }\n',
    [`1:1  a b: "a b" cannot be the name of an endpoint: ${RULE}; call it "a-b"`],
  ],
  [
    'a:\n  type: sftp\n  hots: x\n  port: "22"\n  pasword: x\ngood: { type: sftp, host: x }\n',
    [
      '3:3  a: unknown key "hots"; did you mean "host"?',
      '4:9  a: "port" must be a number, not text',
      '5:3  a: unknown key "pasword"; did you mean "password"?',
    ],
    ['good'],
  ],
  ['a: { type: sftp, host: x, port: 0 }\n', ['1:33  a: "port" must be at least 1']],
  ['a: { type: sftp, host: x, port: 65536 }\n', ['1:33  a: "port" must be at most 65535']],
  ['a: { type: sftp, host: x, port: 22.5 }\n', ['1:33  a: "port" must be a whole number']],
  ['a: { type: sftp, host: "" }\n', ['1:24  a: "host" must not be empty']],
  [
    'a: { type: sftp, host: x, idleTimeout: 350 }\n',
    ['1:40  a: idleTimeout: "350" is not a duration; write it as 300ms, 5s, 15m or 2h'],
  ],
  [
    'a: { type: sftp, host: x, buffer: 5 lots }\n',
    ['1:35  a: buffer: "5 lots" is not a size; write it as 64KiB, 10MB or a number of bytes'],
  ],
  [
    'a: { type: sftp, host: x, password: 12345 }\n',
    ['1:37  a: "password" must be text, not a number; put quotes around it'],
  ],
  [
    'a: { type: sftp, host: x, compress: on }\n',
    ['1:37  a: "compress" must be true or false, not text; write true'],
  ],
  ['a: { type: sftp, host: x, hostKey: MD5 }\n', ['1:36  a: hostKey: a host key begins with SHA256:']],
  ['a: { type: sftp, host: x, via: 5 }\n', ['1:32  a: "via" is none of what can stand here']],
  [
    'a: { type: sftp, host: x, key: ./keys/none }\n',
    ['1:32  a: key: "./keys/none": there is no such file; looked for it at BASE/keys/none'],
  ],
  [
    'a: { type: sftp, host: x, key: /nowhere/key }\n',
    ['1:32  a: key: "/nowhere/key": there is no such file'],
  ],
  [
    'a: { type: sftp, host: x, knownHosts: ./jobs }\n',
    ['1:39  a: knownHosts: "./jobs": this is a folder, not a file; looked for it at BASE/jobs'],
  ],
  [
    'a: { type: sftp, host: x, key: "a\\nb" }\n',
    ['1:32  a: "key" must be a path on one line, not the content of a file'],
  ],
  // jump hosts
  [
    'a: { type: sftp, host: x, via: [ bastoin ] }\nbastion: { type: sftp, host: y }\n',
    ['1:32  a: via: there is no endpoint "bastoin"; did you mean "bastion"?'],
    ['bastion'],
  ],
  [
    'a: { type: sftp, host: x, via: b }\nb: { type: local, path: /x }\n',
    ['1:32  a: via: "b" is of type local; a jump host is an sftp endpoint'],
    ['b'],
  ],
  [
    'a: { type: sftp, host: x, via: a }\n',
    ['1:32  a: via goes round in a circle: a → a; a jump host must be reachable without what lies behind it'],
  ],
  [
    'a: { type: sftp, host: x, via: [b] }\nb: { type: sftp, host: x, via: [c] }\nc: { type: sftp, host: x, via: [a] }\nd: { type: sftp, host: x, via: [a] }\n',
    [
      '1:32  a: via goes round in a circle: a → b → c → a; a jump host must be reachable without what lies behind it',
      '2:32  b: via goes round in a circle: b → c → a → b; a jump host must be reachable without what lies behind it',
      '3:32  c: via goes round in a circle: c → a → b → c; a jump host must be reachable without what lies behind it',
      '4:32  d: cannot be used before the problem of "a" is solved',
    ],
  ],
  [
    'a: { type: sftp, host: x, via: [b] }\nb: { type: sftp, host: x, via: [c] }\nc: { type: sftp }\n',
    [
      '1:32  a: cannot be used before the problem of "b" is solved',
      '2:32  b: cannot be used before the problem of "c" is solved',
      '3:1  c: "host" is missing',
    ],
  ],
  [
    'a: { type: sftp, host: x, via: [b, c] }\nb: { type: sftp, host: x }\nc: { type: sftp, host: x, via: [b] }\n',
    [],
    ['a', 'b', 'c'],
  ],
  // shared parts
  ['a: &a { type: sftp, host: x }\nb: { <<: *a, port: 23 }\n', [], ['a', 'b']],
  ['a: &a { type: sftp, host: x, via: [*a] }\n', ['1:36  this alias holds itself']],
];

describe('endpoints.yaml', () => {
  for (const [endpoints, said, valid = []] of table) {
    test(endpoints.trim().replaceAll('\n', ' | '), async () => {
      await using space = await workspace({ 'jobs/endpoints.yaml': endpoints });
      const { problems, config } = await space.load();
      assert.deepEqual(
        problems.map(formatProblem),
        said.map((line) => `jobs/endpoints.yaml:${line.replaceAll('BASE', space.path)}`),
      );
      assert.deepEqual([...config.endpoints.keys()], valid);
    });
  }

  test('gives each kind what its own schema makes of the settings, with paths and references resolved', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml':
        'a:\n  type: sftp\n  host: ${env:HOST}.internal\n  port: ${env:PORT}\n  compress: ${env:ZIP}\n  password: ${file:secrets/pw}\n  key: keys/${env:HOST}\n  idleTimeout: 350s\n',
      'secrets/pw': '12345\n',
      'keys/app': 'x',
    });
    await chmod(join(space.path, 'secrets/pw'), 0o600);
    await chmod(join(space.path, 'keys/app'), 0o600);
    const { config, problems, warnings } = await space.load({ HOST: 'app', PORT: '2222', ZIP: 'true' });
    assert.deepEqual([problems, warnings.filter(({ line }) => line > 0)], [[], []]);
    const { fingerprint, ...entry } = config.endpoints.get('a') ?? {};
    assert.match(String(fingerprint), /^[0-9a-f]{16}$/);
    assert.deepEqual(entry, {
      name: 'a',
      kind: 'sftp',
      settings: {
        host: 'app.internal',
        port: 2222,
        compress: true,
        password: '12345',
        key: join(space.path, 'keys/app'),
        idleTimeout: 350_000,
      },
      file: join(space.path, 'jobs/endpoints.yaml'),
      line: 1,
    });
    assert.deepEqual(
      config.files,
      ['jobs/endpoints.yaml', 'secrets/pw', 'keys/app'].map((file) => join(space.path, file)),
    );
  });

  test('warns of secrets that every user of the host can read', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': 'a: { type: sftp, host: x, key: ./key, password: "${file:./pw}" }\n',
      key: 'x',
      pw: 'x',
    });
    for (const name of ['key', 'pw']) await chmod(join(space.path, name), 0o644);
    const { problems, warnings } = await space.load();
    assert.deepEqual(problems, []);
    assert.deepEqual(warnings.map(formatProblem).slice(0, 2), [
      'jobs  there is no job in this folder; write a file NAME.yaml for each job',
      'jobs/endpoints.yaml:1:32  a: key: every user of this host can read "./key"; chmod 600 ./key',
    ]);
    assert.equal(
      warnings.map(formatProblem)[2],
      'jobs/endpoints.yaml:1:49  a: ${file:./pw}: every user of this host can read it; chmod 600 ./pw',
    );
    for (const name of ['key', 'pw']) await chmod(join(space.path, name), 0o640);
    assert.equal((await space.load()).warnings.length, 1);
  });
});
