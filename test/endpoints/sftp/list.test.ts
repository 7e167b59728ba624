/** Listing real trees: large ones, ones that change meanwhile, and stopping in the middle. */

import assert from 'node:assert/strict';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Entry } from '../../../src/endpoints/endpoint.ts';
import type { SftpSession } from '../../../src/endpoints/sftp/session.ts';
import { type FilePath, fromBytes, toBytes } from '../../../src/sync/names.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { calm, entryFor, rejection, sftp } from './kit.ts';

describe('a listing', () => {
  let sshd: Sshd;
  let session: SftpSession;
  before(async () => {
    sshd = await startSshd();
    session = await sftp(entryFor(sshd)).connect(calm.signal);
    for (let folder = 0; folder < 60; folder += 1) {
      const path = join(sshd.folder, `wide/${folder}/below`);
      await mkdir(path, { recursive: true });
      for (let file = 0; file < 5; file += 1) await writeFile(join(path, `${file}`), '');
    }
    await mkdir(join(sshd.folder, 'long'));
    for (let file = 0; file < 1_234; file += 1) await writeFile(join(sshd.folder, `long/${file}`), '');
  });
  after(async () => {
    await session[Symbol.asyncDispose]();
    await sshd[Symbol.asyncDispose]();
  });

  const list = (folder: FilePath, more = {}): Promise<Entry[]> =>
    Array.fromAsync(session.list(folder, { ...calm, ...more }));

  test('gives every entry of a wide and of a long folder, once', async () => {
    const wide = await list('wide');
    assert.equal(wide.filter((entry) => entry.kind === 'file').length, 300);
    assert.equal(wide.filter((entry) => entry.kind === 'folder').length, 120);
    const long = await list('long');
    assert.deepEqual(
      new Set(long.map((entry) => entry.path)),
      new Set(Array.from({ length: 1_234 }, (_, n) => `long/${n}`)),
    );
    assert.equal(long.length, 1_234);
  });

  test('enters only where it is told to', async () => {
    assert.equal((await list('wide', { recursive: false })).length, 60);
    const one = await list('wide', { enter: (folder: FilePath) => folder.startsWith('wide/7') });
    assert.equal(one.filter((entry) => entry.kind === 'file').length, 5);
  });

  test('starts where a login starts when it is given no folder', async () => {
    const paths = (await list('', { recursive: false })).map((entry) => entry.path);
    assert.deepEqual(paths.sort(), ['long', 'wide']);
  });

  test('follows no link, and tells what it is', async () => {
    await symlink('../wide', join(sshd.folder, 'long/link'));
    const entry = (await list('long')).find(({ path }) => path === 'long/link');
    assert.equal(entry?.kind, 'link');
    await rm(join(sshd.folder, 'long/link'));
  });

  test('carries names that are not UTF-8, and those that only look so', async () => {
    const names = ['\ufffd', fromBytes(Buffer.from([0x61, 0xff])), `dir${fromBytes(Buffer.from([0xe9]))}`];
    const [, , folder = ''] = names;
    await mkdir(toBytes(join(sshd.folder, 'odd', folder)), { recursive: true });
    for (const name of names.slice(0, 2)) {
      await writeFile(toBytes(join(sshd.folder, 'odd', name)), '');
      await writeFile(toBytes(join(sshd.folder, 'odd', folder, name)), '');
    }
    const paths = (await list('odd')).map((entry) => entry.path);
    const expected = [...names, ...names.slice(0, 2).map((name) => `${folder}/${name}`)];
    assert.deepEqual(new Set(paths), new Set(expected.map((name) => `odd/${name}`)));
    await rm(join(sshd.folder, 'odd'), { recursive: true });
  });

  test('goes on when folders vanish while it walks', async () => {
    const seen: Entry[] = [];
    for await (const entry of session.list('wide', calm)) {
      if (seen.length === 0) await rm(join(sshd.folder, 'wide/59'), { recursive: true });
      seen.push(entry);
    }
    assert.ok(seen.filter((entry) => entry.kind === 'file').length >= 295);
  });

  test('says when the folder itself is not there', async () => {
    const fault = await rejection(list('nowhere'));
    assert.deepEqual([fault.kind, fault.code], ['permanent', 'ENOENT']);
  });

  test('stops when nobody asks for more, and when it is told to', async () => {
    for await (const entry of session.list('wide', calm)) {
      assert.ok(entry.path.startsWith('wide/'));
      break;
    }
    const stop = new AbortController();
    const stopped = (async () => {
      for await (const _ of session.list('wide', { signal: stop.signal })) stop.abort();
    })();
    assert.equal((await rejection(stopped)).kind, 'aborted');
    assert.equal((await list('long')).length, 1_234, 'the session is as good as before');
  });

  test('reads a file from anywhere, several pieces at once', async () => {
    const bytes = Buffer.alloc(3_000_000, 'ferry ');
    await writeFile(join(sshd.folder, 'bytes'), bytes);
    const entry = await session.stat('bytes', calm);
    assert.ok(entry);
    await using reader = await session.source('bytes', entry.version).open(calm.signal);
    for (const [start, end] of [
      [0, 3_000_000],
      [1, 2],
      [2_999_999, 3_000_000],
      [500_000, 1_700_001],
    ] as const) {
      const parts = await Array.fromAsync(reader.read(start, end, calm.signal));
      assert.deepEqual(Buffer.concat(parts), bytes.subarray(start, end));
    }
    const beyond = Array.fromAsync(reader.read(2_999_000, 3_000_001, calm.signal));
    assert.equal((await rejection(beyond)).kind, 'changed');
    await rm(join(sshd.folder, 'bytes'));
    assert.equal((await rejection(reader.recheck(calm.signal))).kind, 'vanished');
  });
});
