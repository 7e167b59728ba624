import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import ssh2, { type ClientChannel, type SFTPWrapper } from 'ssh2';
import { type SandboxServer, startServer } from '../../../src/endpoints/sandbox/server.ts';
import {
  contentOf,
  sha256Of,
  sha256OfFile,
  temporaryFolder,
  treeOf,
  writeContent,
} from '../../support/files.ts';
import { until, within } from '../../support/until.ts';

const run = promisify(execFile);

interface Setup extends AsyncDisposable {
  readonly home: string;
  readonly files: string;
  readonly server: SandboxServer;
}

async function setup(password?: string): Promise<Setup> {
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await temporaryFolder('sandbox'));
  const files = join(home.path, 'files');
  const server = await startServer({
    folder: files,
    keyFile: join(home.path, 'host_key'),
    port: 0,
    password,
  });
  undo.defer(() => server.stop());
  const owned = undo.move();
  return { home: home.path, files, server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A connection by ssh2, bare. */
async function login(
  server: SandboxServer,
  password = server.password,
): Promise<ssh2.Client & AsyncDisposable> {
  const client = new ssh2.Client();
  const closed = new Promise<void>((resolve) => client.once('close', resolve));
  client.connect({ host: '127.0.0.1', port: server.port, username: server.user, password });
  await once(client, 'ready');
  client.setNoDelay(true);
  return Object.assign(client, {
    [Symbol.asyncDispose]: async () => {
      client.end();
      await closed;
    },
  });
}

async function sftpOver(client: ssh2.Client): Promise<SFTPWrapper> {
  return await promisify<SFTPWrapper>((done) => client.sftp(done as never))();
}

describe('with the client of OpenSSH', () => {
  test('files go in and out, and folders are made, listed, renamed and removed', async () => {
    const password = 'only for this test';
    await using s = await setup(password);
    await writeContent(join(s.home, 'local.bin'), 'local', 3_000_000);
    const ask = join(s.home, 'ask.sh');
    await writeFile(ask, `#!/bin/sh\necho '${password}'\n`);
    await chmod(ask, 0o700);
    const commands = [
      'mkdir in',
      `put -p ${s.home}/local.bin "in/a b.bin"`,
      'rename "in/a b.bin" in/c.bin',
      'chmod 600 in/c.bin',
      'ls -l in',
      'df',
      `get in/c.bin ${s.home}/back.bin`,
      'mkdir empty',
      'rmdir empty',
      `put ${s.home}/local.bin gone.bin`,
      'rm gone.bin',
    ];
    await writeFile(join(s.home, 'batch'), `${commands.join('\n')}\n`);
    const given = [
      'BatchMode=no',
      'StrictHostKeyChecking=no',
      `UserKnownHostsFile=${s.home}/known`,
      'PubkeyAuthentication=no',
    ];
    const { stdout } = await run(
      'sftp',
      [
        ...given.flatMap((option) => ['-o', option]),
        '-b',
        join(s.home, 'batch'),
        '-P',
        String(s.server.port),
        'ferry@127.0.0.1',
      ],
      { env: { ...process.env, SSH_ASKPASS: ask, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' } },
    );
    assert.match(stdout, /-rw-------.* 3000000 .*c\.bin/);
    assert.deepEqual(await treeOf(s.files), ['in/', 'in/c.bin']);
    assert.equal(await sha256OfFile(join(s.home, 'back.bin')), sha256Of(contentOf('local', 0, 3_000_000)));
    const { stdout: shown } = await run('ssh-keygen', ['-lf', join(s.home, 'known')]);
    assert.ok(shown.includes(s.server.hostKeyFingerprint));
  });
});

describe('the walls', () => {
  test('nothing outside the folder can be reached, by `..` or by links', async () => {
    await using s = await setup();
    await writeFile(join(s.home, 'secret'), 'secret');
    await mkdir(join(s.home, 'elsewhere'));
    await symlink(join(s.home, 'secret'), join(s.files, 'link-to-file'));
    await symlink(s.home, join(s.files, 'link-to-folder'));
    await writeFile(join(s.files, 'mine'), 'mine');
    await using client = await login(s.server);
    const sftp = await sftpOver(client);
    const refused = async (
      what: string,
      call: (done: (error?: Error | null) => void) => void,
    ): Promise<void> => {
      await assert.rejects(promisify(call)(), { code: 3 }, what); // permission denied
    };
    const missing = (path: string) =>
      assert.rejects(promisify((done: (e?: Error | null) => void) => sftp.open(path, 'r', done as never))(), {
        code: 2,
      });

    for (const path of ['../secret', '/../secret', `../../../${s.home}/secret`, `${s.home}/secret`])
      await missing(path);
    assert.equal(
      await promisify((done: (e: Error | undefined, p: string) => void) => sftp.realpath('../..', done))(),
      '/',
    );
    for (const mode of ['r', 'r+', 'w'] as const) {
      await refused(`open ${mode}`, (done) => sftp.open('link-to-file', mode, done as never));
      await refused(`open ${mode} below`, (done) => sftp.open('link-to-folder/secret', mode, done as never));
    }
    await refused('opendir', (done) => sftp.opendir('link-to-folder', done as never));
    await refused('stat', (done) => sftp.stat('link-to-file', done as never));
    await refused('lstat below', (done) => sftp.lstat('link-to-folder/secret', done as never));
    await refused('rename into', (done) => sftp.rename('mine', 'link-to-folder/mine', done));
    await refused('rename out of', (done) => sftp.rename('link-to-folder/secret', 'stolen', done));
    await refused('posix-rename into', (done) =>
      sftp.ext_openssh_rename('mine', 'link-to-folder/mine', done),
    );
    await refused('remove', (done) => sftp.unlink('link-to-folder/secret', done));
    await refused('mkdir', (done) => sftp.mkdir('link-to-folder/new', done));
    await refused('rmdir', (done) => sftp.rmdir('link-to-folder/elsewhere', done));
    await refused('chmod', (done) => sftp.setstat('link-to-file', { mode: 0o777 }, done));
    const unsupported = { code: 8 };
    await assert.rejects(
      promisify((done: (e?: Error | null) => void) => sftp.symlink('/etc', 'x', done))(),
      unsupported,
    );
    await assert.rejects(
      promisify((done: (e?: Error | null) => void) => sftp.readlink('link-to-file', done as never))(),
      unsupported,
    );

    assert.equal(await readFile(join(s.home, 'secret'), 'utf8'), 'secret');
    assert.deepEqual((await readdir(s.home)).sort(), ['elsewhere', 'files', 'host_key', 'secret']);
    await promisify((done: (e?: Error | null) => void) => sftp.unlink('link-to-file', done))(); // the link itself may go
  });

  test('no shell, no command, no forwarding', async () => {
    await using s = await setup();
    await using client = await login(s.server);
    const opens: Record<string, (done: (error?: Error) => void) => void> = {
      shell: (done) => client.shell(done),
      exec: (done) => client.exec('id', done),
      forward: (done) => client.forwardOut('127.0.0.1', 0, '127.0.0.1', s.server.port, done),
      subsystem: (done) => client.subsys('netconf', done),
    };
    for (const [what, open] of Object.entries(opens)) await assert.rejects(promisify(open)(), Error, what);
    await assert.rejects(
      promisify((done: (error?: Error) => void) => client.forwardIn('127.0.0.1', 0, done as never))(),
    );
    await sftpOver(client); // and still serves
  });

  test('only the one password opens it', async () => {
    await using s = await setup();
    for (const wrong of [
      '',
      'ferry',
      `${s.server.password}x`,
      s.server.password.slice(1),
      'x'.repeat(1000),
    ]) {
      await assert.rejects(
        within(30_000, 'the refusal', login(s.server, wrong)),
        /authentication methods failed|ended|closed/i,
      );
    }
    await using _client = await login(s.server);
  });

  test('only loopback leads to it', async () => {
    await using s = await setup();
    const others = Object.values(networkInterfaces())
      .flat()
      .filter((address) => address?.family === 'IPv4' && !address.internal);
    for (const other of others) {
      const socket = connect(s.server.port, other?.address);
      const outcome = await Promise.race([
        once(socket, 'connect').then(
          () => 'connected',
          () => 'refused',
        ),
      ]);
      socket.destroy();
      assert.equal(outcome, 'refused');
    }
    assert.ok(s.server.port > 0);
  });

  test('a client that breaks the protocol loses its channel, and nobody else theirs', async () => {
    await using s = await setup();
    await using good = await login(s.server);
    const sftp = await sftpOver(good);
    const bad = [
      Buffer.from([0xff, 0xff, 0xff, 0xff, 1]),
      Buffer.from([0, 0, 0, 0]),
      Buffer.from([0, 0, 0, 2, 3, 1]),
      Buffer.from([0, 0, 0, 9, 3, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (const bytes of bad) {
      await using client = await login(s.server);
      const channel = await promisify<ClientChannel>((done) => client.subsys('sftp', done as never))();
      channel.write(bytes);
      channel.resume();
      await within(30_000, 'the end of the channel', once(channel, 'close'));
    }
    await promisify((done: (e?: Error | null) => void) => sftp.mkdir('still-here', done))();
  });
});

test('files that a connection left open are closed with it', async () => {
  await using s = await setup();
  const client = await login(s.server);
  const sftp = await sftpOver(client);
  const open = promisify((name: string, done: (e?: Error | null) => void) =>
    sftp.open(name, 'w', done as never),
  );
  for (let i = 0; i < 10; i += 1) await open(`file-${i}`);
  assert.equal(await openBelow(s.files), 10);
  client.destroy();
  await until('the files to be closed', async () => (await openBelow(s.files)) === 0);
});

test('the host key is made once, and is nobody else’s to read', async () => {
  await using home = await temporaryFolder('sandbox');
  const options = {
    folder: join(home.path, 'files'),
    keyFile: join(home.path, 'keys', 'host_key'),
    port: 0,
    password: undefined,
  };
  const servers = await Promise.all([startServer(options), startServer(options)]);
  const [first, second] = servers;
  assert.equal(first.hostKeyFingerprint, second.hostKeyFingerprint);
  assert.notEqual(first.password, second.password);
  assert.notEqual(first.port, second.port);
  await Promise.all(servers.map((server) => server.stop()));
  assert.equal((await stat(options.keyFile)).mode & 0o777, 0o600);
  assert.equal((await stat(join(home.path, 'keys'))).mode & 0o777, 0o700);
  const later = await startServer(options);
  assert.equal(later.hostKeyFingerprint, first.hostKeyFingerprint);
  await later.stop();
  assert.deepEqual(await readdir(join(home.path, 'keys')), ['host_key']);
});

test('a port that is taken is no trouble, a host key that is none is', async () => {
  await using s = await setup();
  const options = {
    folder: s.files,
    keyFile: join(s.home, 'host_key'),
    port: s.server.port,
    password: undefined,
  };
  const second = await startServer(options);
  assert.notEqual(second.port, s.server.port);
  await using _client = await login(second);
  await second.stop();
  assert.equal(second.ended, true);
  await writeFile(options.keyFile, 'not a key');
  await assert.rejects(startServer(options), { kind: 'rejected' });
});

async function openBelow(folder: string): Promise<number> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((target) => target.startsWith(folder)).length;
}
