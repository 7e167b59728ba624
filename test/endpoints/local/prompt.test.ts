import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Disk } from '../../../src/endpoints/local/disk.ts';
import { Prompt } from '../../../src/endpoints/local/prompt.ts';
import { Fault } from '../../../src/sync/errors.ts';
import type { TemporaryFolder } from '../../support/files.ts';
import { signal } from './kit.ts';

/** On a tmpfs, whatever /tmp is on. */
async function localFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp('/dev/shm/ferry-prompt-');
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

const onlyLinux = { skip: process.platform === 'linux' ? false : 'only Linux tells' };

test('calls are made in place on a disk that is known as a local one, for a second', onlyLinux, async () => {
  await using folder = await localFolder();
  await writeFile(join(folder.path, 'file'), 'content');
  using disk = new Disk();
  let nowMs = 0;
  const prompt = new Prompt(disk, () => nowMs);
  const isInPlace = (): boolean => prompt.calls(folder.path) !== disk;
  assert.equal(isInPlace(), false, 'nothing is known yet');
  await prompt.learn(folder.path);
  assert.equal(isInPlace(), true);
  const content = await prompt.within(folder.path, signal, async (calls) => {
    assert.notEqual(calls, disk);
    const fd = await calls.open(join(folder.path, 'file'), 0);
    const bytes = await calls.read(fd, 100, 3);
    assert.equal((await calls.fstat(fd)).ino, (await calls.lstat(join(folder.path, 'file'))).ino);
    await calls.close(fd);
    return bytes.toString();
  });
  assert.equal(content, 'tent');
  await assert.rejects(
    prompt.within(folder.path, signal, (calls) => calls.open(join(folder.path, 'missing'), 0)),
    { code: 'ENOENT' },
  );
  nowMs = 1_001;
  assert.equal(isInPlace(), false);
  await prompt.learn(folder.path);
  assert.equal(isInPlace(), true);
});

test('where the file system is none of the local ones, nothing is done in place', onlyLinux, async () => {
  using disk = new Disk();
  const prompt = new Prompt(disk);
  for (const folder of ['/proc/self', '/no/such/folder']) {
    await prompt.learn(folder);
    assert.equal(prompt.calls(folder), disk);
  }
});

test(
  'after a call that had to wait for the disk, nothing is done in place for a while',
  onlyLinux,
  async () => {
    await using folder = await localFolder();
    using disk = new Disk();
    let nowMs = 0;
    let callMs = 0;
    const prompt = new Prompt(disk, () => {
      nowMs += callMs;
      return nowMs;
    });
    const isInPlace = (): boolean => prompt.calls(folder.path) !== disk;
    await prompt.learn(folder.path);
    callMs = 10;
    await prompt.calls(folder.path).lstat(folder.path);
    callMs = 0;
    assert.equal(isInPlace(), false);
    nowMs += 199;
    assert.equal(isInPlace(), false);
    nowMs += 1;
    assert.equal(isInPlace(), true);
  },
);

test('a disk that does not answer, or a stop, ends it before the first call', onlyLinux, async () => {
  await using folder = await localFolder();
  using disk = new Disk();
  const prompt = new Prompt(disk);
  await prompt.learn(folder.path);
  const never = (): Promise<never> => Promise.reject(new Error('it was called'));
  const stopped = AbortSignal.abort(new Fault('aborted', 'stopped'));
  await assert.rejects(prompt.within(folder.path, stopped, never), { kind: 'aborted' });
  const gone = new Fault('unreachable', 'it does not answer');
  disk.broken = gone;
  await assert.rejects(prompt.within(folder.path, signal, never), gone);
});
