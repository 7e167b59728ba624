/** When chokidar watches a tree, when it gives way to a watch for each folder, and that nothing is lost on the way. */

import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromBytes, toBytes } from '../../src/sync/names.ts';
import { ChokidarTree } from '../../src/triggers/chokidar-tree.ts';
import { temporaryFolder } from '../support/files.ts';
import { until } from '../support/until.ts';
import { systemWatches, Watching } from './watching.ts';

function fill(folder: string, files: number): void {
  for (let at = 0; at < files; at += 1) writeFileSync(join(folder, `old-${at}`), 'x');
}

/** Writes files, with time in between for what they cause, and waits until each was told after it was made. */
async function keepWriting(watching: Watching, root: string, paths: readonly string[]): Promise<void> {
  const written: (readonly [path: string, since: number])[] = [];
  for (const path of paths) {
    written.push([path, watching.mark]);
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), 'x');
    await sleep(1);
  }
  for (const [path, since] of written) await watching.covered(path, since);
}

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at);

describe('the size of a tree', () => {
  test('decides at the start', async () => {
    await using root = await temporaryFolder('watch');
    await mkdir(join(root.path, 'sub'));
    await mkdir(join(root.path, 'not-entered'));
    fill(root.path, 4);
    fill(join(root.path, 'sub'), 5);
    fill(join(root.path, 'not-entered'), 50);
    const enter = (folder: string): boolean => folder !== 'not-entered';
    await using ordinary = await Watching.start(root.path, {
      ordinary: { entries: 10, looks: 100_000 },
      enter,
    });
    assert.equal(ordinary.watch.engine, 'chokidar');
    await using large = await Watching.start(root.path, { ordinary: { entries: 9, looks: 100_000 }, enter });
    assert.equal(large.watch.engine, 'folders');
    await writeFile(join(root.path, 'sub/new'), 'x');
    await large.named('sub/new');
    assert.deepEqual(large.wholes(), [], 'the first scan covers the start');
  });

  test('that grows: it changes over while files keep coming, and each is told', async () => {
    await using root = await temporaryFolder('watch');
    fill(root.path, 100);
    await using watching = await Watching.start(root.path, { ordinary: { entries: 200, looks: 100_000 } });
    assert.equal(watching.watch.engine, 'chokidar');
    await keepWriting(
      watching,
      root.path,
      numbers(400).map((at) => (at % 2 === 0 ? `new-${at}` : `d${at % 40}/new-${at}`)),
    );
    assert.equal(watching.watch.engine, 'folders');
    assert.match(watching.wholes().join(), /more than 200 entries/);
    assert.equal(watching.watch.folders, 21);
    assert.deepEqual(watching.alarms(), []);
  });

  test('that shrinks again does not bring chokidar back, nor does another root', async () => {
    await using parent = await temporaryFolder('watch');
    const root = join(parent.path, 'root');
    await mkdir(root);
    await using watching = await Watching.start(root, { ordinary: { entries: 1, looks: 100_000 } });
    writeFileSync(join(root, 'a'), 'x');
    await mkdir(join(root, 'b'));
    await until('the change', () => watching.watch.engine === 'folders');
    const since = watching.mark;
    rmdirSync(join(root, 'b'));
    await watching.covered('b', since);
    assert.equal(watching.watch.engine, 'folders');
  });
});

describe('folders that come and go', () => {
  test('are followed one after another, with what is put into them at once and later', async () => {
    await using root = await temporaryFolder('watch');
    await using watching = await Watching.start(root.path, { ordinary: { entries: 1_000, looks: 1e9 } });
    await keepWriting(
      watching,
      root.path,
      numbers(60).flatMap((at) => [`d${at}/first`, `d${Math.max(0, at - 1)}/second`, `d${at}/e/f/third`]),
    );
    await until('the watches', () => watching.watch.folders === 1 + 3 * 60);
    const since = watching.mark;
    for (const at of numbers(60)) writeFileSync(join(root.path, `d${at}/e/f/last`), 'x');
    for (const at of numbers(60)) await watching.covered(`d${at}/e/f/last`, since);
    assert.equal(watching.watch.engine, 'chokidar');
  });

  test('are told when they come while the tree is opened, or watched', async () => {
    await using root = await temporaryFolder('watch');
    fill(root.path, 900);
    for (const at of numbers(24)) {
      const told = new Set<string>();
      using tree = new ChokidarTree({
        root: root.path,
        enter: () => true,
        ordinary: { entries: 1_000, looks: 1e9 },
        onEvent: (path) => told.add(path),
        onDoubt: assert.fail,
      });
      const opening = tree.open();
      await sleep(at * 2);
      mkdirSync(join(root.path, `d${at}`));
      await opening;
      writeFileSync(join(root.path, `d${at}/file`), 'x');
      await until(`d${at}`, () => told.has(`d${at}`) || told.has(`d${at}/file`));
    }
  });

  test('leave no watch behind', async () => {
    await using root = await temporaryFolder('watch');
    await mkdir(join(root.path, 'stays'));
    fill(root.path, 20);
    fill(join(root.path, 'stays'), 20);
    const before = await systemWatches();
    await using watching = await Watching.start(root.path);
    for (let round = 0; round < 10; round += 1) {
      const since = watching.mark;
      mkdirSync(join(root.path, 'goes'));
      await watching.covered('goes', since);
      const later = watching.mark;
      rmdirSync(join(root.path, 'goes'));
      await watching.covered('goes', later);
    }
    // The root, 41 entries, and none twice.
    await until('as many watches as at the start', async () => (await systemWatches()) - before === 42);
    assert.equal(watching.watch.engine, 'chokidar');
    await watching[Symbol.asyncDispose]();
    await until('none', async () => (await systemWatches()) === before);
  });
});

describe('what chokidar should not do', () => {
  test('a file that grows and grows in a full folder: it changes over, and tells of it', async () => {
    await using root = await temporaryFolder('watch');
    fill(root.path, 300);
    await using watching = await Watching.start(root.path, { ordinary: { entries: 1_000, looks: 5_000 } });
    assert.equal(watching.watch.engine, 'chokidar');
    const append = (): boolean => {
      appendFileSync(join(root.path, 'grows'), 'x');
      return watching.watch.engine === 'folders';
    };
    await until('the change', append, { everyMs: 5 });
    await until('a look at the whole', () => watching.wholes().join().includes('too much happens'));
    const since = watching.mark;
    append();
    await watching.named('grows', since);
  });

  const odd = [
    ['a file whose name is not UTF-8', fromBytes(Buffer.from([0x63, 0xe9]))],
    ['a folder whose name is not UTF-8', `${fromBytes(Buffer.from([0x64, 0xff]))}/in`],
    ['a file with a backslash in its name', 'a\\b'],
    ['a folder with a backslash in its name', 'c\\d/in'],
    ['a file whose name has the mark for what is not UTF-8', 'x\ufffdy'],
  ] as const;
  for (const [what, path] of odd) {
    test(`${what}, at the start or later`, async () => {
      await using root = await temporaryFolder('watch');
      await using earlier = await Watching.start(root.path);
      assert.equal(earlier.watch.engine, 'chokidar');
      const folder = path.split('/').slice(0, -1).join('/');
      if (folder !== '') await mkdir(toBytes(join(root.path, folder)));
      await writeFile(toBytes(join(root.path, path)), 'x');
      await earlier.covered(path);
      await until('the change', () => earlier.watch.engine === 'folders');
      await using later = await Watching.start(root.path);
      assert.equal(later.watch.engine, 'folders');
      for (const watching of [earlier, later]) {
        const since = watching.mark;
        await writeFile(toBytes(join(root.path, path)), 'y');
        await watching.covered(path, since);
      }
    });
  }

  test('a root whose own name is odd', async () => {
    await using parent = await temporaryFolder('watch');
    for (const name of ['back\\slash', fromBytes(Buffer.from([0xfc]))]) {
      const root = `${parent.path}/${name}`;
      await mkdir(toBytes(root));
      await using watching = await Watching.start(root);
      assert.equal(watching.watch.engine, 'folders');
      await writeFile(toBytes(`${root}/file`), 'x');
      await watching.named('file');
    }
  });
});
