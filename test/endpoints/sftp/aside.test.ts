/** Removing and archiving at a server whose folder somebody else fills meanwhile: no version goes that was not delivered. */

import assert from 'node:assert/strict';
import { readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Entry } from '../../../src/endpoints/endpoint.ts';
import type { SftpSession } from '../../../src/endpoints/sftp/session.ts';
import { takenAside } from '../../../src/sync/names.ts';
import { type Sshd, type SshdOptions, startSshd } from '../../support/sshd.ts';
import { calm, entryFor, rejection, sftp } from './kit.ts';

const OLD_S = 1_500_000_000;

interface Stage extends AsyncDisposable {
  readonly sshd: Sshd;
  readonly session: SftpSession;
  readonly path: string;
  /** Of the file `report`, with the content `old`. */
  readonly version: Entry['version'];
  /** What lies in the folder, by name. */
  contents(): Promise<Record<string, string>>;
  put(name: string, content: string): Promise<void>;
}

async function stage(options: SshdOptions = {}): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  const sshd = stack.use(await startSshd(options));
  const session = stack.use(await sftp(entryFor(sshd)).connect(calm.signal));
  const put = async (name: string, content: string): Promise<void> => {
    await writeFile(join(sshd.folder, 'upload'), content);
    await rename(join(sshd.folder, 'upload'), join(sshd.folder, name));
  };
  await put('report', 'old');
  await utimes(join(sshd.folder, 'report'), OLD_S, OLD_S);
  return {
    sshd,
    session,
    path: join(sshd.folder, 'report'),
    version: { sizeBytes: 3, mtimeMs: OLD_S * 1_000, tag: '' },
    contents: async () => {
      const entries = await readdir(sshd.folder, { withFileTypes: true });
      const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
      const read = files.map(
        async (name) => [name, await readFile(join(sshd.folder, name), 'utf8')] as const,
      );
      return Object.fromEntries(await Promise.all(read));
    },
    put,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Runs `work` once, between the look at a file and the rename that takes it. */
function beforeRename(session: SftpSession, work: () => Promise<void>): void {
  const { wire } = session.remote;
  const real = wire.rename.bind(wire);
  wire.rename = async (from, to) => {
    wire.rename = real;
    await work();
    await real(from, to);
  };
}

test('a version that comes between the look and the removal stays', async () => {
  await using at = await stage();
  beforeRename(at.session, () => at.put('report', 'new'));
  const fault = await rejection(at.session.remove(at.path, at.version, calm));
  assert.equal(fault.kind, 'changed');
  assert.deepEqual(await at.contents(), { report: 'new' });
});

test('a version that comes between the look and the archiving stays', async () => {
  await using at = await stage();
  beforeRename(at.session, () => at.put('report', 'new'));
  const target = join(at.sshd.folder, 'sent', 'report');
  const fault = await rejection(at.session.archive(at.path, at.version, target, calm));
  assert.equal(fault.kind, 'changed');
  assert.deepEqual(await at.contents(), { report: 'new' });
  assert.deepEqual(await readdir(join(at.sshd.folder, 'sent')), []);
});

test('where still another one came meanwhile, both stay', async () => {
  await using at = await stage();
  beforeRename(at.session, () => at.put('report', 'new'));
  const { wire } = at.session.remote;
  const real = wire.lstat.bind(wire);
  let looks = 0;
  wire.lstat = async (path) => {
    looks += 1;
    if (looks === 2) await at.put('report', 'newest'); // while the one that was taken is looked at
    return await real(path);
  };
  assert.equal((await rejection(at.session.remove(at.path, at.version, calm))).kind, 'changed');
  assert.deepEqual(await at.contents(), { report: 'newest', 'report (1)': 'new' });
});

test('what a crash left aside is put back by the next listing, and listed', async () => {
  await using at = await stage();
  const aside = takenAside(at.path, '0123456789abcdef');
  assert.ok(aside);
  await rename(at.path, aside);
  at.session.remote.memory.aside.add(aside);
  assert.deepEqual(await listed(at), [], 'not while it is at work on it');
  assert.equal(Object.keys(await at.contents()).length, 1);
  at.session.remote.memory.aside.delete(aside);
  assert.deepEqual(await listed(at, true), [], 'not by who only looks');
  assert.deepEqual(await listed(at), [at.path]);
  assert.deepEqual(await at.contents(), { report: 'old' });
});

test('another Ferry that puts it back while it is removed loses nothing', async () => {
  await using at = await stage();
  await using other = await sftp(entryFor(at.sshd)).connect(calm.signal);
  const { wire } = at.session.remote;
  const real = wire.remove.bind(wire);
  wire.remove = async (path) => {
    await Array.fromAsync(other.list(at.sshd.folder, calm));
    await real(path);
  };
  assert.equal((await rejection(at.session.remove(at.path, at.version, calm))).kind, 'vanished');
  assert.deepEqual(await at.contents(), { report: 'old' });
});

test('a file that cannot be removed is back under its name', async () => {
  await using at = await stage({ config: ['ForceCommand internal-sftp -P remove'] });
  assert.equal((await rejection(at.session.remove(at.path, at.version, calm))).kind, 'permanent');
  assert.deepEqual(await at.contents(), { report: 'old' });
});

test('a server that renames nothing lets files be removed all the same', async () => {
  await using at = await stage({ config: ['ForceCommand internal-sftp -P posix-rename,rename'] });
  await at.session.remove(at.path, at.version, calm);
  assert.deepEqual(await at.contents(), {});
});

test('a name that leaves no room for another is removed as it is', async () => {
  await using at = await stage();
  const name = 'n'.repeat(255);
  await rename(at.path, join(at.sshd.folder, name));
  await at.session.remove(join(at.sshd.folder, name), at.version, calm);
  assert.deepEqual(await at.contents(), {});
});

async function listed({ session, sshd }: Stage, lookOnly = false): Promise<readonly string[]> {
  const entries = await Array.fromAsync(session.list(sshd.folder, { ...calm, lookOnly }));
  return entries.filter(({ kind }) => kind === 'file').map(({ path }) => path);
}
