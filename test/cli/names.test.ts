/** Names as they are: bytes. From the folder to the server, the ledger and what is printed. */

import assert from 'node:assert/strict';
import { mkdir, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { printable, toBytes } from '../../src/sync/names.ts';
import { endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { assertNoLeftovers, assertTree, filesOf, sha256Of } from '../support/files.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

/** Escaped bytes as in sync/names.ts. */
const NAMES = [
  'new\nline',
  '\nat the start',
  'at the end\n',
  'carriage\rreturn\ttab',
  'bell\u0007 escape\u001b[31m',
  'c1 \u009b31m',
  `quote' "double" \`back\``,
  '-rf',
  '--help',
  ' space ',
  '~',
  '#hash',
  'back\\slash',
  '*?[a-z]{1,2}',
  '$(touch x); & | > y',
  '%s%n %2e%2e',
  'a'.repeat(255),
  `${'ü'.repeat(127)}x`,
  '😀'.repeat(63),
  'caf\u00e9', // NFC
  'cafe\u0301', // NFD
  'right\u202eto left',
  '\u2028line separator',
  '\ufeffmark',
  '\ufffd replacement',
  '\udcff\udcfe\udc80',
  'latin-1 caf\udce9.txt',
  'half \udcf0\udc9f an emoji',
  'folder \udcff\n/-deep/file\n',
];

function contentOf(name: string): string {
  return `this is ${Buffer.from(name, 'utf16le').toString('hex')}`;
}

async function drop(folder: string): Promise<void> {
  for (const name of NAMES) {
    await mkdir(toBytes(dirname(join(folder, name))), { recursive: true });
    await writeFile(toBytes(join(folder, name)), contentOf(name));
  }
}

const expected = Object.fromEntries(NAMES.map((name) => [name, sha256Of(contentOf(name))]));

describe('odd names', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server[Symbol.asyncDispose]());

  async function homeWith(name: string, job: Readonly<Record<string, unknown>>) {
    const home = await makeHome();
    const inbox = join(server.folder, name);
    await home.endpoints({ server: endpointOf(server) });
    await home.job('drop', { from: './outbox', to: { endpoint: 'server', path: inbox }, ...job });
    return { home, inbox };
  }

  async function assertRecord(home: Home, inbox: string): Promise<void> {
    const rows = (await home.ferry(['history', '--json'])).lines();
    assert.deepEqual(
      Object.fromEntries(rows.map(({ path, sha256 }) => [path, sha256])),
      expected,
      'the record names each as it is',
    );
    for (const { path, remotePath, state } of rows) {
      assert.equal(state, 'delivered');
      assert.equal(remotePath, `${inbox}/${path}`);
    }
  }

  test('are sent by run, recorded and shown as they are', async () => {
    const { home: made, inbox } = await homeWith('run', { settle: '0s', after: 'delete' });
    await using home = made;
    await drop(home.outbox);
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.code, 0, ended.stderr);
    const { delivered, failed, skipped } = ended.lines()[0] ?? {};
    assert.deepEqual({ delivered, failed, skipped }, { delivered: NAMES.length, failed: 0, skipped: 0 });
    await assertTree(inbox, expected);
    assert.deepEqual(await filesOf(home.outbox), []);
    await assertRecord(home, inbox);

    const { stdout } = await home.ferry(['history']);
    const lines = stdout.trimEnd().split('\n');
    assert.equal(lines.length, NAMES.length, 'a line each');
    for (const name of NAMES) assert.ok(stdout.includes(printable(name)), printable(name));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none may reach a terminal
    assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/);
    assert.equal((await home.ferry(['run', 'drop', '--json'])).lines()[0]?.delivered, 0);
  });

  test('are planned, selected by patterns, and archived', async () => {
    const { home: made, inbox } = await homeWith('archive', {
      settle: '0s',
      match: ['**/*'],
      ignore: ['*.none'],
      after: { archive: './archive' },
    });
    await using home = made;
    await drop(home.outbox);
    const planned = (await home.ferry(['plan', 'drop', '--json'])).lines();
    assert.deepEqual(planned.map(({ path }) => path).toSorted(), NAMES.toSorted());
    assert.ok(planned.every(({ action }) => action === 'send'));
    assert.equal((await home.ferry(['run', 'drop'])).code, 0);
    await assertTree(inbox, expected);
    await assertTree(join(home.path, 'archive'), expected);
    assert.deepEqual(await filesOf(home.outbox), []);
  });

  test('are seen by the watcher, and come back from a server', async () => {
    const { home: made, inbox } = await homeWith('start', { settle: '200ms', when: { watch: true } });
    await using home = made;
    await home.job('back', {
      from: { endpoint: 'server', path: inbox },
      to: './back',
      settle: '0s',
      verify: 'checksum',
    });
    await mkdir(join(home.path, 'back'));
    const worker = await home.worker();
    await drop(home.outbox);
    await until('all to arrive', async () => {
      const there = await filesOf(inbox).catch(() => []);
      return there.filter((path) => !path.includes('.ferry-')).length === NAMES.length;
    });
    const { code, stderr } = await worker.stop();
    assert.equal(code, 0);
    const logged = stderr.split('\n').filter((line) => line.includes('"delivered"'));
    assert.equal(logged.length, NAMES.length, 'a line each in the log');
    await assertTree(inbox, expected);

    const ended = await home.ferry(['run', 'back', '--json']);
    assert.equal(ended.lines()[0]?.delivered, NAMES.length, ended.stderr);
    await assertTree(join(home.path, 'back'), expected);
    await assertNoLeftovers(server.folder);
  });

  test('that a server cannot hold fail with a message, and keep their file', async () => {
    const { home: made, inbox } = await homeWith('refused', { settle: '0s', after: 'delete' });
    await using home = made;
    await writeFile(toBytes(join(home.outbox, 'caf\udce9')), 'x');
    await writeFile(join(home.outbox, 'plain'), 'y');
    await home.endpoints({ server: endpointOf(server, { server: 'aws-transfer' }) });
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.code, 1, ended.stderr);
    const [row] = (await home.ferry(['history', '--state', 'failed', '--json'])).lines();
    assert.equal(row?.path, 'caf\udce9');
    assert.match(JSON.stringify(row.error), /"permanent".*caf\\\\xe9: it is not UTF-8/);
    assert.deepEqual(await filesOf(home.outbox), ['caf\udce9']);
    assert.deepEqual(await filesOf(inbox), ['plain']);
    await unlink(toBytes(join(home.outbox, 'caf\udce9')));
  });
});
