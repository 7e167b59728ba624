import assert from 'node:assert/strict';
import { link, readdir, rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Aside } from '../../../src/endpoints/local/aside.ts';
import { Disk } from '../../../src/endpoints/local/disk.ts';
import { Root } from '../../../src/endpoints/local/root.ts';
import { faultOf, listed, versionOf } from '../../contract/endpoint/kit.ts';
import { contentOf, sha256Of, temporaryFolder } from '../../support/files.ts';
import { mountTmpfs } from '../../support/tmpfs.ts';
import { until } from '../../support/until.ts';
import { localSetup, signal } from './kit.ts';

const LATER = 61_000;

test('a file that a dead process took aside is put back, overwriting nothing', async () => {
  await using s = await localSetup();
  await s.outside.write('in/.ferry-taken-0011223344556677/lost.txt', 'lost');
  await s.outside.write('in/.ferry-taken-8899aabbccddeeff/again.txt', 'older');
  await s.outside.write('in/again.txt', 'newer');
  assert.deepEqual(
    [...(await listed(s.session, 'in')).keys()],
    ['again.txt'],
    'not while its owner may live',
  );

  using disk = new Disk();
  const aside = new Aside(disk, new Root(s.root, disk), () => Date.now() + LATER);
  const back = [];
  for (const name of await readdir(join(s.root, 'in')))
    back.push(...(await aside.recover(join(s.root, 'in', name))));
  assert.deepEqual(back.map((path) => path.slice(s.root.length + 1)).sort(), [
    'in/again (1).txt',
    'in/lost.txt',
  ]);
  assert.deepEqual(await s.outside.tree(), ['in/', 'in/again (1).txt', 'in/again.txt', 'in/lost.txt']);
  assert.equal(await s.outside.sha256('in/again.txt'), sha256Of('newer'));
});

test('a file that was replaced while it was taken aside is put back', async () => {
  await using s = await localSetup();
  await s.outside.write('file', 'one');
  const version = await versionOf(s.session, 'file');
  // Between the look at the name and the look at what was taken, another file takes the name.
  using racingDisk = new Disk();
  const { lstat } = racingDisk;
  let looks = 0;
  Object.defineProperty(racingDisk, 'lstat', {
    value: async (path: string) => {
      const stats = await lstat(path);
      looks += 1;
      if (looks === 1) await s.outside.replace('file', 'another');
      return stats;
    },
  });
  const racing = new Aside(racingDisk, new Root(s.root, racingDisk), Date.now);
  await faultOf(
    racing.take(join(s.root, 'file'), 'file', version, () => assert.fail('not that version')),
    'changed',
  );
  assert.equal(await s.outside.sha256('file'), sha256Of('another'));
  assert.deepEqual(await s.outside.tree(), ['file']);

  using disk = new Disk();
  const aside = new Aside(disk, new Root(s.root, disk), Date.now);
  const now = await versionOf(s.session, 'file');
  await assert.rejects(
    aside.take(join(s.root, 'file'), 'file', now, async () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.deepEqual(await s.outside.tree(), ['file'], 'what was not used is put back');
});

test('archives across file systems: whole, with its time and mode, never over another', async () => {
  await using s = await localSetup();
  await s.outside.mkdir('other');
  await using _other = await mountTmpfs(20e6, join(s.root, 'other'));
  const content = contentOf('archive', 0, 3_000_000);
  for (const expected of ['file.bin', 'file (1).bin']) {
    await s.outside.write('file.bin', expected === 'file.bin' ? content : 'different', 1_500_000_000_000);
    const version = await versionOf(s.session, 'file.bin');
    const mode = (await s.outside.stat('file.bin'))?.mode;
    const went = await s.session.archive('file.bin', version, 'other/deep/file.bin', { signal });
    assert.equal(went, `other/deep/${expected}`);
    assert.equal(await s.outside.sha256('file.bin'), undefined);
    const there = await s.outside.stat(went);
    assert.equal(there?.mtimeMs, 1_500_000_000_000);
    assert.equal(there?.mode, mode);
  }
  assert.equal(await s.outside.sha256('other/deep/file.bin'), sha256Of(content));
  assert.equal(await s.outside.sha256('other/deep/file (1).bin'), sha256Of('different'));
});

test('an archive that is full costs nothing: the source stays, no half copy is left', async () => {
  await using s = await localSetup();
  await s.outside.mkdir('other');
  await using _other = await mountTmpfs(1e6, join(s.root, 'other'));
  await s.outside.write('file.bin', contentOf('archive', 0, 3_000_000));
  const version = await versionOf(s.session, 'file.bin');
  const fault = await faultOf(
    s.session.archive('file.bin', version, 'other/file.bin', { signal }),
    'transient',
  );
  assert.equal(fault.code, 'ENOSPC');
  assert.deepEqual(await s.outside.tree(), ['file.bin', 'other/']);
  assert.deepEqual(await versionOf(s.session, 'file.bin'), version);
});

test('an archive outside the root is an absolute path', async () => {
  await using s = await localSetup();
  await using elsewhere = await temporaryFolder('archive');
  await s.outside.write('file', 'one');
  const target = join(elsewhere.path, 'sent', 'file');
  assert.equal(
    await s.session.archive('file', await versionOf(s.session, 'file'), target, { signal }),
    target,
  );
  assert.deepEqual(await s.outside.tree(), []);
  assert.deepEqual(await readdir(join(elsewhere.path, 'sent')), ['file']);
});

test('an archive that died between its two steps is completed, not doubled', async () => {
  await using s = await localSetup();
  await s.outside.write('file', 'one');
  await s.outside.mkdir('archive');
  await link(join(s.root, 'file'), join(s.root, 'archive', 'file'));
  const version = await versionOf(s.session, 'file');
  assert.equal(await s.session.archive('file', version, 'archive/file', { signal }), 'archive/file');
  assert.deepEqual(await s.outside.tree(), ['archive/', 'archive/file']);
});

test('takes files by the thousand without leaving folders of its own', async () => {
  await using s = await localSetup();
  const names = Array.from({ length: 500 }, (_, i) => `in/${i}`);
  for (const name of names) await s.outside.write(name, name);
  await Promise.all(
    names.map(async (name, i) => {
      const version = await versionOf(s.session, name);
      if (i % 2 === 0) await s.session.remove(name, version, { signal });
      else await s.session.archive(name, version, `out/${name}`, { signal });
    }),
  );
  assert.deepEqual(await s.outside.below('in').tree(), []);
  assert.equal((await s.outside.below('out/in').tree()).length, 250);
});

test('a version that only looks the same is another: the inode counts', async () => {
  await using s = await localSetup();
  await s.outside.write('file', 'one');
  const version = await versionOf(s.session, 'file');
  await s.outside.write('other', 'two');
  const seconds = version.mtimeMs / 1000;
  await utimes(join(s.root, 'other'), seconds, seconds);
  await rename(join(s.root, 'other'), join(s.root, 'file'));
  await faultOf(s.session.remove('file', version, { signal }), 'changed');
  await faultOf(s.session.source('file', version).open(signal), 'changed');
  await until('the file to be there', async () => (await s.outside.sha256('file')) === sha256Of('two'));
});
