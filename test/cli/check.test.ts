/** `ferry check` as a person runs it: what it tries where, and how it says what it found. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { type Ended, endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { filesOf } from '../support/files.ts';
import { freePort } from '../support/ports.ts';
import { startSshd } from '../support/sshd.ts';
import { mountTmpfs } from '../support/tmpfs.ts';

/** `server /in: folder list read`. */
function tried(ended: Ended, endpoint: string): readonly string[] {
  return ended
    .lines()
    .filter((step) => step.endpoint === endpoint)
    .map(
      (step) =>
        `${step.ok === true ? '' : 'broken '}${step.host === undefined ? '' : `${step.host}: `}${step.step}`,
    );
}

const LOGIN = ['banner', 'key exchange', 'host key', 'login'];
const CONNECT = ['name', 'tcp', ...LOGIN, 'sftp'];

describe('a check', () => {
  test('asks for no permission to write where files are only taken from', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    const outgoing = join(server.folder, 'out');
    await mkdir(outgoing);
    const closed = await mountTmpfs(1024 * 1024, outgoing);
    await using _ = closed;
    await writeFile(join(outgoing, 'f'), 'x');
    await closed.readOnly(true);
    await home.endpoints({ server: endpointOf(server) });
    const job = { from: { endpoint: 'server', path: outgoing }, to: './outbox', when: {} };

    await home.job('fetch', { ...job, after: 'keep' });
    const keep = await home.ferry(['check', 'fetch', '--json']);
    assert.equal(keep.code, 0, keep.stdout);
    assert.deepEqual(tried(keep, 'server'), [
      ...CONNECT,
      'folder',
      'list',
      'read',
      'capabilities',
      'idle limit',
    ]);

    await home.job('fetch', { ...job, after: 'delete' });
    const remove = await home.ferry(['check', 'fetch', '--json']);
    assert.equal(remove.code, 3);
    assert.deepEqual(tried(remove, 'server'), [...CONNECT, 'folder', 'broken write']);

    await home.job('fetch', { ...job, from: { endpoint: 'server', path: '/not/there' }, after: 'keep' });
    const missing = await home.ferry(['check', 'fetch', '--json']);
    assert.equal(missing.code, 3);
    assert.deepEqual(tried(missing, 'server'), [...CONNECT, 'broken folder']);
  });

  test('asks no permission to write in a local folder that files are only taken from', async () => {
    await using home = await makeHome();
    await using source = await mountTmpfs(1024 * 1024);
    await source.readOnly(true);
    await home.endpoints({});
    await home.job('send', { from: source.path, to: './inbox', when: {}, after: 'keep' });
    await mkdir(join(home.path, 'inbox'));
    const keep = await home.ferry(['check', 'send', '--json']);
    assert.equal(keep.code, 0, keep.stdout);
    await home.job('send', { from: source.path, to: './inbox', when: {}, after: 'delete' });
    assert.equal((await home.ferry(['check', 'send', '--json'])).code, 3);
  });

  test('walks over a jump host to the server, and tries nothing but the login on the jump host', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    await using bastion = await startSshd({
      sftp: false,
      config: ['ForceCommand /bin/false', 'MaxSessions 0'],
    });
    await home.endpoints({ server: endpointOf(server, { via: ['bastion'] }), bastion: endpointOf(bastion) });
    await home.job('send', { from: './outbox', to: { endpoint: 'server', path: server.folder }, when: {} });
    const all = await home.ferry(['check', '--json']);
    assert.equal(all.code, 0, all.stdout);
    const jump = ['name', 'tcp', ...LOGIN].map((step) => `bastion: ${step}`);
    const files = ['folder', 'write', 'rename', 'delete', 'capabilities', 'idle limit'];
    assert.deepEqual(tried(all, 'server'), [...jump, 'hop', ...LOGIN, 'sftp', ...files]);
    assert.deepEqual(tried(all, 'bastion'), [], 'it was walked on the way');
    const alone = await home.ferry(['check', 'bastion', '--json']);
    assert.equal(alone.code, 0, alone.stdout);
    assert.deepEqual(tried(alone, 'bastion'), ['name', 'tcp', ...LOGIN, 'idle limit']);
    assert.deepEqual(await filesOf(server.folder), []);
  });

  test('names the jump host that is broken', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    await using bastion = await startSshd();
    await home.endpoints({
      server: endpointOf(server, { via: ['bastion'] }),
      bastion: endpointOf(bastion, { hostKey: [server.hostKeyFingerprint] }),
    });
    const check = await home.ferry(['check', 'server', '--json']);
    assert.equal(check.code, 3);
    assert.equal(tried(check, 'server').at(-1), 'broken bastion: host key');
    const said = String(check.lines().at(-1)?.saw);
    assert.ok(said.includes(bastion.hostKeyFingerprint) && said.includes(server.hostKeyFingerprint), said);
  });

  test('reads like a report: a heading, a line for each step, and below the broken one what to do', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    await home.endpoints({
      server: endpointOf(server),
      gone: endpointOf(server, { port: await freePort() }),
    });
    const plain = await home.ferry(['check']);
    assert.equal(plain.code, 3);
    const lines = plain.stdout.split('\n');
    const at = lines.findIndex((line) => /^ {2}✗ tcp +127\.0\.0\.1:\d+ refused the connection/.test(line));
    assert.match(lines[at + 1] ?? '', /^ {18}The host answers/);
    assert.match(lines[at + 2] ?? '', /^ {16}→ Is sshd running/);
    assert.match(plain.stdout, /\nserver {2}sftp .*\n {2}✓ name +127\.0\.0\.1( {2}\d+ ms)?\n/);
    assert.match(plain.stdout, /\n1 of 2 need attention: gone \(tcp\)\n$/);

    const terminal = await onTerminal(home, 70, ['check', 'gone', 'server', '--idle=1s']);
    assert.ok(terminal.includes('\u001b[31m✗') && terminal.includes('\u001b[32m✓'), terminal);
    const shown = stripVTControlCharacters(terminal).split(/[\r\n]+/);
    // Fingerprints and paths are not broken, nor is what the configuration has to say before.
    for (const line of shown.slice(shown.findIndex((text) => text.startsWith('gone ')))) {
      assert.ok(line.length <= 70 || /SHA256|\/files/.test(line), line);
    }
    assert.ok(shown.some((line) => /^ {2}· idle limit .*connections sit idle/.test(line)));
    assert.ok(!shown.some((line) => /^ {2}✓ idle limit .*sit idle/.test(line)), 'what went on is wiped');
  });

  test('takes what stands after --idle as a name, unless it is a duration', async () => {
    await using home = await makeHome();
    await home.endpoints({ 'try-out': { type: 'sandbox' } });
    const name = await home.ferry(['check', '--idle', 'try-in']);
    assert.equal(name.code, 2);
    assert.match(name.stderr, /no job or endpoint try-in/);
    const measured = await home.ferry(['check', '--idle', '500ms', 'try-out', '--json']);
    assert.equal(measured.code, 0, measured.stderr);
    assert.match(String(measured.lines().at(-1)?.saw), /still there after 0\.5 s/);
  });
});

/** What a person sees of it on a terminal so wide. */
async function onTerminal(home: Home, columns: number, args: readonly string[]): Promise<string> {
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const command = `stty cols ${columns}; exec '${process.execPath}' '${main}' ${args.join(' ')}`;
  const env = {
    ...process.env,
    FERRY_JOBS: join(home.path, 'jobs'),
    FERRY_DATA: home.dataFolder,
    TERM: 'xterm-256color',
  };
  const terminal = spawn('script', ['-qec', command, '/dev/null'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let shown = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  await once(terminal, 'close');
  return shown;
}
