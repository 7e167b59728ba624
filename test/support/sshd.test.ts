import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { temporaryFolder } from './files.ts';
import { isServed } from './ports.ts';
import { descendantsOf } from './processes.ts';
import { type Sshd, startSshd } from './sshd.ts';
import { until } from './until.ts';

const run = promisify(execFile);

function asClient(server: Sshd): string[] {
  return [
    '-q',
    '-P',
    String(server.port),
    '-i',
    server.keyFile,
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'IdentitiesOnly=yes',
    '-o',
    'BatchMode=yes',
  ];
}

test('a real client logs in and starts in the served folder', async () => {
  await using server = await startSshd({ hostKeys: ['ecdsa', 'ed25519'] });
  await using local = await temporaryFolder();
  await writeFile(join(local.path, 'hello'), 'hello');
  await writeFile(join(local.path, 'batch'), `put ${join(local.path, 'hello')} there\n`);
  await run('sftp', ['-b', join(local.path, 'batch'), ...asClient(server), `${server.user}@${server.host}`]);
  assert.equal(await readFile(join(server.folder, 'there'), 'utf8'), 'hello');
  await until('the login to be told', () => server.log().includes('Accepted publickey'));
  assert.deepEqual(
    server.hostKeys.map((key) => key.type),
    ['ecdsa-sha2-nistp256', 'ssh-ed25519'],
  );
  const { stdout } = await run('ssh-keygen', ['-lf', `${server.hostKeys[0]?.file}.pub`]);
  assert.ok(stdout.includes(server.hostKeyFingerprint));
});

test('it stops with its connections, and starts again on the same port', async () => {
  await using server = await startSshd();
  const client = execFile('ssh', [
    '-p',
    String(server.port),
    ...asClient(server).slice(3),
    `${server.user}@${server.host}`,
    'echo ready; sleep 600',
  ]);
  const ended = new Promise<number | null>((resolve) => client.once('exit', resolve));
  let said = '';
  client.stdout?.on('data', (text) => {
    said += text;
  });
  await until('the connection', () => said.includes('ready'));
  await server.stop();
  assert.notEqual(await ended, 0);
  assert.equal(await isServed(server.port), false);
  await server.start();
  assert.equal(await isServed(server.port), true);
});

test('nothing of it is left at the end', async () => {
  const before = await descendantsOf(process.pid);
  const server = await startSshd();
  assert.ok((await descendantsOf(process.pid)).length > before.length);
  await server[Symbol.asyncDispose]();
  assert.deepEqual(await descendantsOf(process.pid), before);
  await assert.rejects(readFile(server.keyFile));
});

test('an sshd that cannot start says why', async () => {
  await assert.rejects(startSshd({ config: ['NoSuchOption yes'] }), /Bad configuration option/);
});
