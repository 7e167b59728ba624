/** Listing, looking and reading: what a scan and a fetch rely on. */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { contentOf, sha256Of } from '../../support/files.ts';
import {
  type Contract,
  type ContractSetup,
  calm,
  deliver,
  faultOf,
  listed,
  type Place,
  readAll,
  versionOf,
} from './kit.ts';

const OLD_MS = 1_500_000_000_000;

export function readContract(contract: Contract, setup: ContractSetup): void {
  contract('lists everything below a folder, with versions', async (place) => {
    const files = { 'a.txt': 1, 'sub/b.txt': 22, 'sub/deep/er/c.txt': 333, 'sub/empty.txt': 0 };
    for (const [name, size] of Object.entries(files)) {
      await place.outside.write(name, contentOf(name, 0, size), OLD_MS);
    }
    const found = await listed(place.session, place.folder);
    for (const [name, size] of Object.entries(files)) {
      const entry = found.get(name);
      assert.equal(entry?.kind, 'file', name);
      assert.equal(entry?.version.sizeBytes, size);
      if (setup.datesFiles !== true) assert.equal(entry?.version.mtimeMs, OLD_MS);
      assert.deepEqual((await place.session.stat(place.path(name), calm))?.version, entry?.version);
    }
    if (setup.flat !== true) {
      assert.equal(found.get('sub')?.kind, 'folder');
      assert.equal(found.get('sub/deep')?.kind, 'folder');
      assert.equal((await place.session.stat(place.path('sub'), calm))?.kind, 'folder');
    }
    const flat = await listed(place.session, place.folder, { recursive: false });
    assert.deepEqual([...flat.keys()].sort(), ['a.txt', 'sub'].sort());
    const pruned = await listed(place.session, place.folder, {
      enter: (folder) => folder !== place.path('sub/deep'),
    });
    assert.deepEqual(
      [...pruned.keys()].filter((path) => path.startsWith('sub/deep/')),
      [],
    );
    assert.ok(pruned.has('sub/b.txt'));
  });

  contract('lists 3,000 files of one folder, and can be left in the middle', async (place) => {
    for (let i = 0; i < 3000; i += 50) {
      const names = Array.from({ length: 50 }, (_, n) => `many/${i + n}`);
      await Promise.all(names.map((name) => place.outside.write(name, 'x')));
    }
    assert.equal((await listed(place.session, place.path('many'))).size, 3000);
    for await (const entry of place.session.list(place.path('many'), calm)) {
      assert.equal(entry.kind, 'file');
      break;
    }
    assert.equal((await place.session.stat(place.path('many/7'), calm))?.version.sizeBytes, 1);
  });

  contract('knows what is not there', async (place) => {
    assert.equal(await place.session.stat(place.path('nothing'), calm), undefined);
    assert.equal(await place.session.stat(place.path('no/folder/nothing'), calm), undefined);
    assert.equal((await listed(place.session, place.folder)).size, 0);
    if (setup.flat !== true) {
      const fault = await faultOf(listed(place.session, place.path('nothing')), 'permanent');
      assert.equal(fault.code, 'ENOENT');
    }
  });

  contract('stops listing when it is told to', async (place) => {
    await place.outside.write('a', 'x');
    await faultOf(listed(place.session, place.folder, { signal: AbortSignal.abort() }), 'aborted');
  });

  if (setup.outside.symlink !== undefined) {
    contract('shows links as links, and follows none', async (place) => {
      await place.outside.write('real/file', 'x');
      await place.outside.symlink?.('real', 'to-folder');
      await place.outside.symlink?.('real/file', 'to-file');
      await place.outside.symlink?.('.', 'loop');
      await place.outside.symlink?.('nowhere', 'dangling');
      const found = await listed(place.session, place.folder);
      assert.deepEqual([...found].map(([path, entry]) => `${path} ${entry.kind}`).sort(), [
        ...(setup.hidesDanglingLinks === true ? [] : ['dangling link']),
        'loop link',
        'real folder',
        'real/file file',
        'to-file link',
        'to-folder link',
      ]);
      assert.equal((await place.session.stat(place.path('to-file'), calm))?.kind, 'link');
    });
  }

  if (setup.takesOnly === true) return;

  contract('reads what a scan saw, in ranges and as a whole', async (place) => {
    for (const size of [0, 1, 1000, 1_000_000]) {
      const content = contentOf('read', 0, size);
      await place.outside.write('file', content, OLD_MS);
      const source = place.session.source(
        place.path('file'),
        await versionOf(place.session, place.path('file')),
      );
      assert.ok((await readAll(source)).equals(content));
      await using reader = await source.open(calm.signal);
      if (size <= 1000) assert.ok((await reader.readAll(calm.signal)).equals(content));
      const [from, to] = [Math.floor(size / 3), Math.floor(size / 2)];
      const ranges = [
        [from, to],
        [to, size],
        [0, from],
        [size, size],
      ] as const;
      const read = await Promise.all(ranges.map(([start, end]) => readRange(reader, start, end)));
      for (const [i, [start, end]] of ranges.entries())
        assert.ok(read[i]?.equals(content.subarray(start, end)));
      await reader.recheck(calm.signal);
    }
  });

  contract('carries a file from itself to itself', async (place) => {
    for (const [name, size] of [
      ['small', 5000],
      ['large', 3_000_000],
      ['empty', 0],
    ] as const) {
      await place.outside.write(`from/${name}`, contentOf(name, 0, size), OLD_MS);
      const from = place.path(`from/${name}`);
      const source = place.session.source(from, await versionOf(place.session, from));
      await deliver(place.session, source, place.path(`to/${name}`));
      assert.equal(await place.outside.sha256(`to/${name}`), sha256Of(contentOf(name, 0, size)));
    }
  });

  contract('does not open another version than the one that is owed', async (place) => {
    await place.outside.write('file', 'one', OLD_MS);
    const version = await versionOf(place.session, place.path('file'));
    const source = place.session.source(place.path('file'), version);
    await place.outside.write('file', 'three', OLD_MS);
    await faultOf(opened(source), 'changed');
    await place.outside.remove('file');
    await faultOf(opened(source), 'vanished');
  });

  contract('notices that a file was changed, replaced or removed while it was read', async (place) => {
    const changes: Record<string, (name: string) => Promise<void>> = {
      rewritten: (name) => place.outside.write(name, contentOf('x', 0, 10_000), OLD_MS + 5000),
      cut: (name) => place.outside.write(name, 'short', OLD_MS),
      grown: (name) => place.outside.write(name, contentOf('open', 0, 10_001), OLD_MS),
      replaced: (name) => place.outside.replace(name, contentOf('y', 0, 10_000)),
      removed: (name) => place.outside.remove(name),
    };
    for (const [name, change] of Object.entries(changes)) {
      await place.outside.write(name, contentOf('open', 0, 10_000), OLD_MS);
      const source = place.session.source(place.path(name), await versionOf(place.session, place.path(name)));
      await using reader = await source.open(calm.signal);
      await readRange(reader, 0, 100);
      await sleep(5);
      await change(name);
      await faultOf(reader.recheck(calm.signal), 'changed', 'vanished');
    }
  });

  contract('does not read beyond an end that came early', async (place) => {
    await place.outside.write('file', contentOf('open', 0, 600_000), OLD_MS);
    const path = place.path('file');
    await using reader = await place.session
      .source(path, await versionOf(place.session, path))
      .open(calm.signal);
    await place.outside.write('file', 'short', OLD_MS);
    await faultOf(readRange(reader, 0, 600_000), 'changed');
  });
}

async function readRange(
  reader: Awaited<ReturnType<ReturnType<Place['session']['source']>['open']>>,
  start: number,
  end: number,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of reader.read(start, end, calm.signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function opened(source: ReturnType<Place['session']['source']>): Promise<void> {
  await using _reader = await source.open(calm.signal);
}
