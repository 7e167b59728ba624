import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { fromBytes } from '../../src/sync/names.ts';
import type { WatchOptions } from '../../src/triggers/watch.ts';
import { temporaryFolder } from '../support/files.ts';
import { until } from '../support/until.ts';
import { systemWatches, Watching } from './watching.ts';

const run = promisify(execFile);

/** Proves that events told before it have all been passed on. */
async function settled(watching: Watching, root: string): Promise<void> {
  const since = watching.mark;
  await writeFile(join(root, 'probe'), 'x');
  await watching.covered('probe', since);
}

/** Makes folders `d0`, `d1` … of files `f0`, `f1` … */
function fill(root: string, folders: number, files: number): void {
  for (let folder = 0; folder < folders; folder += 1) {
    mkdirSync(join(root, `d${folder}`));
    for (let file = 0; file < files; file += 1) writeFileSync(join(root, `d${folder}/f${file}`), 'x');
  }
}

/** Spread over 40 folders. */
function fileOf(at: number): string {
  return `${at % 2 === 0 ? 'old' : 'new'}-${Math.floor(at / 2) % 20}/file-${at}`;
}

for (const engine of ['chokidar', 'folders'] as const) {
  describe(`watched by ${engine}:`, () => {
    const start = (folder: string, options: Partial<WatchOptions> = {}): Promise<Watching> =>
      Watching.start(folder, {
        ...(engine === 'folders' ? { ordinary: { entries: 0, looks: 0 } } : {}),
        ...options,
      });

    describe('what happens to files', () => {
      test('a file that is created, changed, moved in or deleted is told by name', async () => {
        await using root = await temporaryFolder('watch');
        await using outside = await temporaryFolder('watch');
        await writeFile(join(root.path, 'old'), 'x');
        await writeFile(join(outside.path, 'moved'), 'x');
        await using watching = await start(root.path);
        assert.deepEqual(watching.told, [], 'what was there before is left to the first scan');

        await writeFile(join(root.path, 'new'), 'x');
        await watching.named('new');
        await appendFile(join(root.path, 'old'), 'y');
        await watching.named('old');
        await rename(join(outside.path, 'moved'), join(root.path, 'moved'));
        await watching.named('moved');
        const since = watching.mark;
        await unlink(join(root.path, 'old'));
        await watching.named('old', since);
        assert.deepEqual(watching.wholes(), []);
        assert.deepEqual(watching.alarms(), []);
      });

      test('names are bytes, in files and in folders', async () => {
        await using root = await temporaryFolder('watch');
        const file = Buffer.concat([Buffer.from(`${root.path}/caf`), Buffer.of(0xe9), Buffer.from('.csv')]);
        const folder = Buffer.concat([Buffer.from(`${root.path}/d`), Buffer.of(0xff)]);
        await mkdir(folder);
        await using watching = await start(root.path);
        await writeFile(file, 'x');
        await watching.named(
          fromBytes(Buffer.concat([Buffer.from('caf'), Buffer.of(0xe9), Buffer.from('.csv')])),
        );
        await writeFile(Buffer.concat([folder, Buffer.from('/in')]), 'x');
        await watching.named(fromBytes(Buffer.concat([Buffer.of(0x64, 0xff), Buffer.from('/in')])));
        await writeFile(`${root.path}/two\nlines\t\u{1f680}`, 'x');
        await watching.named('two\nlines\t\u{1f680}');
      });

      test('Ferry’s own files, ignored names and folders that are not entered stay unsaid', async () => {
        await using root = await temporaryFolder('watch');
        await mkdir(join(root.path, 'no'));
        await mkdir(join(root.path, 'yes'));
        await using watching = await start(root.path, {
          enter: (folder) => folder !== 'no' && folder !== 'later/no',
          ignore: (path) => path.endsWith('.tmp'),
        });
        await writeFile(join(root.path, '.ferry-abc.part'), 'x');
        await mkdir(join(root.path, '.ferry-folder'));
        await writeFile(join(root.path, '.ferry-folder/in'), 'x');
        await writeFile(join(root.path, 'yes/.ferry-abc.part'), 'x');
        await writeFile(join(root.path, 'a.tmp'), 'x');
        await writeFile(join(root.path, 'no/file'), 'x');
        await mkdir(join(root.path, 'later/no'), { recursive: true });
        await watching.covered('later');
        await writeFile(join(root.path, 'later/no/file'), 'x');
        await writeFile(join(root.path, 'yes/last'), 'x');
        await watching.named('yes/last');
        await settled(watching, root.path);
        const named = watching.told.flatMap((told) => (told.is === 'paths' ? [...told.paths] : []));
        assert.deepEqual([...new Set(named)].sort(), ['later', 'probe', 'yes/last']);
      });

      test('links to folders are told, not followed', async () => {
        await using root = await temporaryFolder('watch');
        await using outside = await temporaryFolder('watch');
        await symlink(outside.path, join(root.path, 'before'));
        await using watching = await start(root.path);
        await symlink(outside.path, join(root.path, 'link'));
        await watching.named('link');
        await writeFile(join(outside.path, 'secret'), 'x');
        await settled(watching, root.path);
        assert.equal(watching.names('link/secret') || watching.names('before/secret'), false);
        assert.equal(watching.watch.folders, 1);
      });

      test('5,000 files at once, while the process is busy, are all covered', async () => {
        await using root = await temporaryFolder('watch');
        await using watching = await start(root.path);
        const since = watching.mark;
        for (let at = 0; at < 5_000; at += 1) writeFileSync(join(root.path, `file-${at}`), 'x');
        await settled(watching, root.path);
        for (let at = 0; at < 5_000; at += 1) assert.ok(watching.covers(`file-${at}`, since), `file-${at}`);
        assert.ok(watching.told.length < 100, 'told together, not one by one');
      });

      test('40,000 files at once, while the process is busy, in folders old and new: more than the system tells of', async () => {
        await using root = await temporaryFolder('watch');
        for (let at = 0; at < 20; at += 1) mkdirSync(join(root.path, `old-${at}`));
        await using watching = await start(root.path);
        const since = watching.mark;
        for (let at = 0; at < 20; at += 1) mkdirSync(join(root.path, `new-${at}`));
        for (let at = 0; at < 40_000; at += 1) writeFileSync(join(root.path, fileOf(at)), 'x');
        await until('a look at the whole', () => watching.wholes(since).length > 0);
        await until('the watches on the new folders', () => watching.watch.folders === 41);
        for (let at = 0; at < 40; at += 1) {
          const later = watching.mark;
          await writeFile(join(root.path, fileOf(at)), 'y');
          await watching.covered(fileOf(at), later);
        }
      });

      test('more events about a few files than the system keeps', async () => {
        await using root = await temporaryFolder('watch');
        await using other = await temporaryFolder('watch');
        await using watching = await start(root.path);
        await using beside = await start(other.path);
        for (let round = 0; round < 100; round += 1)
          for (let at = 0; at < 200; at += 1) appendFileSync(join(root.path, `file-${at}`), 'x');
        writeFileSync(join(root.path, 'last'), 'x');
        writeFileSync(join(other.path, 'last'), 'x');
        await watching.covered('last');
        await beside.covered('last');
      });

      test('a change right after one that was told', async () => {
        await using root = await temporaryFolder('watch');
        await writeFile(join(root.path, 'file'), 'x');
        await using watching = await start(root.path);
        for (let round = 0; round < 10; round += 1) {
          const since = watching.mark;
          appendFileSync(join(root.path, 'file'), 'y');
          await watching.named('file', since);
        }
      });
    });

    describe('what happens to folders', () => {
      test('a new folder is watched, and what was in it before its watch is covered', async () => {
        await using root = await temporaryFolder('watch');
        await using watching = await start(root.path);
        mkdirSync(join(root.path, 'a/b/c'), { recursive: true });
        writeFileSync(join(root.path, 'a/b/c/at-once'), 'x');
        await watching.covered('a/b/c/at-once');
        await until('the watch on the new folders', () => watching.watch.folders === 4);
        await writeFile(join(root.path, 'a/b/c/later'), 'x');
        await watching.named('a/b/c/later');
      });

      test('a folder that is moved in comes with all below', async () => {
        await using root = await temporaryFolder('watch');
        await using outside = await temporaryFolder('watch');
        await mkdir(join(outside.path, 'batch/day'), { recursive: true });
        await writeFile(join(outside.path, 'batch/day/one'), 'x');
        await using watching = await start(root.path);
        await rename(join(outside.path, 'batch'), join(root.path, 'batch'));
        await watching.covered('batch/day/one');
        await until('the watch on the moved folders', () => watching.watch.folders === 3);
        await writeFile(join(root.path, 'batch/day/two'), 'x');
        await watching.named('batch/day/two');
      });

      test('a folder that is moved or deleted is forgotten under its old name', async () => {
        await using root = await temporaryFolder('watch');
        await using outside = await temporaryFolder('watch');
        await mkdir(join(root.path, 'a/sub'), { recursive: true });
        await mkdir(join(root.path, 'gone'));
        await using watching = await start(root.path);
        await rename(join(root.path, 'a'), join(root.path, 'b'));
        await rename(join(root.path, 'gone'), join(outside.path, 'gone'));
        await until('both to be noticed', () => watching.covers('b') && watching.covers('gone'));
        await until('the watches to follow', () => watching.watch.folders === 3);
        const since = watching.mark;
        await writeFile(join(outside.path, 'gone/file'), 'x');
        await writeFile(join(root.path, 'b/sub/file'), 'x');
        await watching.named('b/sub/file', since);
        assert.equal(watching.names('a/sub/file') || watching.names('gone/file'), false);
      });

      test('a folder that is deleted and made again at once, and two that swap names, are watched under the right name', async () => {
        await using root = await temporaryFolder('watch');
        await mkdir(join(root.path, 'again'));
        await mkdir(join(root.path, 'x/only-x'), { recursive: true });
        await mkdir(join(root.path, 'y/only-y'), { recursive: true });
        await using watching = await start(root.path);
        await rm(join(root.path, 'again'), { recursive: true });
        await mkdir(join(root.path, 'again'));
        await rename(join(root.path, 'x'), join(root.path, 'z'));
        await rename(join(root.path, 'y'), join(root.path, 'x'));
        await rename(join(root.path, 'z'), join(root.path, 'y'));
        await until('all three to be told', () => ['again', 'x', 'y'].every((path) => watching.covers(path)));
        const since = watching.mark;
        await settled(watching, root.path);
        for (const path of ['again/file', 'x/only-y/file', 'y/only-x/file']) {
          await writeFile(join(root.path, path), 'x');
          await watching.covered(path, since);
        }
        assert.equal(watching.names('x/only-x/file'), false);
      });

      test('two watches on one tree both follow a folder that is deleted and made again', async () => {
        await using root = await temporaryFolder('watch');
        await mkdir(join(root.path, 'again'));
        await using one = await start(root.path);
        await using two = await start(root.path);
        for (let round = 0; round < 3; round += 1) {
          const marks = [one.mark, two.mark] as const;
          rmdirSync(join(root.path, 'again'));
          mkdirSync(join(root.path, 'again'));
          await one.covered('again', marks[0]);
          await two.covered('again', marks[1]);
          for (const watching of [one, two]) {
            const since = watching.mark;
            await writeFile(join(root.path, 'again/file'), 'x');
            await watching.covered('again/file', since);
          }
          await unlink(join(root.path, 'again/file'));
        }
      });

      test('folders are counted, files are not', async () => {
        await using root = await temporaryFolder('watch');
        fill(root.path, 10, 50);
        await using watching = await start(root.path);
        assert.equal(watching.watch.folders, 11);
        assert.equal(watching.watch.by, 'events');
        assert.equal(watching.watch.engine, engine);
      });
    });

    describe('what happens to the root', () => {
      test('deleted: an alarm; made again: all clear, a look at the whole, and it is watched', async () => {
        await using parent = await temporaryFolder('watch');
        const root = join(parent.path, 'root');
        await mkdir(join(root, 'sub'), { recursive: true });
        await using watching = await start(root);
        await rm(root, { recursive: true });
        await watching.alarmed('ENOENT');
        const since = watching.mark;
        await mkdir(join(root, 'sub'), { recursive: true });
        await watching.alarmed(undefined, since);
        await until('a look at the whole', () => watching.wholes(since).length > 0);
        await watching.followed(join(root, 'sub/file'), 'sub/file');
        assert.deepEqual(watching.alarms(), ['ENOENT', undefined]);
      });

      test('deleted and made again between two looks: watched again, even with the inode of the old one', async () => {
        await using parent = await temporaryFolder('watch');
        const root = join(parent.path, 'root');
        await mkdir(root);
        await using watching = await start(root);
        for (let round = 0; round < 5; round += 1) {
          const since = watching.mark;
          await rm(root, { recursive: true });
          await mkdir(root);
          await until('a look at the whole', () => watching.wholes(since).length > 0);
          await writeFile(join(root, 'file'), 'x');
          await watching.covered('file', since);
          const later = watching.mark;
          await writeFile(join(root, `file-${round}`), 'x');
          await watching.covered(`file-${round}`, later);
        }
      });

      test('another folder in its place: a look at the whole, and that one is watched', async () => {
        await using parent = await temporaryFolder('watch');
        const root = join(parent.path, 'root');
        await mkdir(root);
        await mkdir(join(parent.path, 'other'));
        await using watching = await start(root);
        await rename(root, join(parent.path, 'old'));
        await rename(join(parent.path, 'other'), root);
        await until('a look at the whole', () => watching.wholes().length > 0);
        await writeFile(join(parent.path, 'old/wrong'), 'x');
        await watching.followed(join(root, 'right'), 'right');
        assert.equal(watching.names('wrong'), false);
      });

      test('a file system that is mounted over it, and unmounted, is noticed', async () => {
        await using parent = await temporaryFolder('watch');
        const root = join(parent.path, 'root');
        await mkdir(root);
        await using watching = await start(root);
        await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'ferry-test', root]);
        await using stack = new AsyncDisposableStack();
        stack.defer(async () => void (await run('umount', ['-l', root])));
        await until('a look at the whole', () => watching.wholes().length > 0);
        await watching.followed(join(root, 'on-the-mount'), 'on-the-mount');
        const mounted = watching.mark;
        await stack.disposeAsync();
        await until('another look at the whole', () => watching.wholes(mounted).length > 0);
        await watching.followed(join(root, 'below'), 'below');
      });

      test('a root that is a link is followed, also when it points elsewhere', async () => {
        await using parent = await temporaryFolder('watch');
        const root = join(parent.path, 'root');
        await mkdir(join(parent.path, 'v1'));
        await mkdir(join(parent.path, 'v2'));
        await symlink('v1', root);
        await using watching = await start(root);
        await writeFile(join(parent.path, 'v1/one'), 'x');
        await watching.named('one');
        await symlink('v2', join(parent.path, 'next'));
        await rename(join(parent.path, 'next'), root);
        await until('a look at the whole', () => watching.wholes().length > 0);
        await writeFile(join(parent.path, 'v1/wrong'), 'x');
        await watching.followed(join(parent.path, 'v2/two'), 'two');
        assert.equal(watching.names('wrong'), false);
        assert.deepEqual(watching.alarms(), []);
      });

      test('a root that is missing, or a file, at the start: an alarm, and it waits', async () => {
        await using parent = await temporaryFolder('watch');
        const root = join(parent.path, 'root');
        await using watching = await start(root);
        assert.deepEqual(watching.alarms(), ['ENOENT']);
        await writeFile(root, 'x');
        await watching.alarmed('ENOTDIR');
        await unlink(root);
        await mkdir(root);
        await watching.alarmed(undefined);
        await until('a look at the whole', () => watching.wholes().length > 0);
        const since = watching.mark;
        await writeFile(join(root, 'file'), 'x');
        await watching.covered('file', since);
      });

      test('a folder below the root that has the root’s own name is an ordinary one', async () => {
        await using parent = await temporaryFolder('watch');
        const root = join(parent.path, 'same');
        await mkdir(root);
        await using watching = await start(root);
        await mkdir(join(root, 'same'));
        await watching.named('same');
        await until('its watch', () => watching.watch.folders === 2);
        await writeFile(join(root, 'same/file'), 'x');
        await watching.covered('same/file');
        await rm(join(root, 'same'), { recursive: true });
        await until('its end', () => watching.watch.folders === 1);
        assert.deepEqual(watching.alarms(), []);
      });
    });
  });
}

describe('other ways to watch', () => {
  test('folder by folder: one watch each, none on a file', async () => {
    await using root = await temporaryFolder('watch');
    fill(root.path, 10, 50);
    const before = await systemWatches();
    await using watching = await Watching.start(root.path, { ordinary: { entries: 0, looks: 0 } });
    assert.equal(watching.watch.engine, 'folders');
    await until('eleven watches', async () => (await systemWatches()) - before === 11);
  });

  test('polling asks for the whole again and again, and not while the root is missing', async () => {
    await using parent = await temporaryFolder('watch');
    const root = join(parent.path, 'root');
    await using watching = await Watching.start(root, { pollMs: 20 });
    assert.equal(watching.watch.by, 'polling');
    assert.deepEqual(watching.wholes(), []);
    await mkdir(root);
    await until('three looks', () => watching.wholes().filter((reason) => reason === 'poll').length >= 3);
    assert.equal(watching.watch.folders, 0);
    const since = watching.mark;
    await rm(root, { recursive: true });
    await watching.alarmed('ENOENT', since);
  });

  test('one watch for the whole tree, as on Windows and macOS', async () => {
    await using root = await temporaryFolder('watch');
    await mkdir(join(root.path, 'a/b'), { recursive: true });
    await using watching = await Watching.start(root.path, { recursive: true });
    await writeFile(join(root.path, 'a/b/file'), 'x');
    await watching.named('a/b/file');
    await writeFile(join(root.path, 'a/.ferry-x'), 'x');
    await mkdir(join(root.path, 'new'));
    await watching.covered('new');
    await settled(watching, root.path);
    assert.equal(watching.names('a/.ferry-x'), false);
  });

  test('after its end nothing is told', async () => {
    await using root = await temporaryFolder('watch');
    const ended = await Watching.start(root.path);
    await using other = await Watching.start(root.path);
    await ended[Symbol.asyncDispose]();
    await settled(other, root.path);
    assert.deepEqual(ended.told, []);
    assert.equal(ended.watch.folders, 0);
  });
});
