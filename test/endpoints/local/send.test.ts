import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Disk } from '../../../src/endpoints/local/disk.ts';
import { Fault } from '../../../src/sync/errors.ts';
import { deliver, faultOf, TOKEN, versionOf } from '../../contract/endpoint/kit.ts';
import { assertNoLeftovers, treeOf } from '../../support/files.ts';
import { type GeneratedOptions, generatedSource } from '../../support/source.ts';
import { within } from '../../support/until.ts';
import { localSetup, signal } from './kit.ts';

const run = promisify(execFile);
const MB = 1e6;
const SIZE = 20 * MB;

/** Sends until the source's connection is lost at a byte; gives the last checkpoint. */
async function interrupted(
  s: Awaited<ReturnType<typeof localSetup>>,
  atByte: number,
  given: Partial<GeneratedOptions> = {},
) {
  let note: string | undefined;
  const source = generatedSource({
    sizeBytes: SIZE,
    ...given,
    beforeChunk: (at) => {
      if (at >= atByte) throw new Fault('unreachable', 'the connection to the source was lost');
    },
  });
  const checkpoint = async (text: string): Promise<void> => {
    note = text;
  };
  await faultOf(deliver(s.session, source, 'file.bin', { checkpoint }), 'unreachable');
  return note;
}

test('goes on where an interrupted attempt was, without reading the source again', async () => {
  await using s = await localSetup();
  const resume = await interrupted(s, 15 * MB);
  assert.ok(resume);
  assert.deepEqual(await treeOf(s.root), [`.ferry-${TOKEN}.part`]);
  const source = generatedSource({ sizeBytes: SIZE });
  const receipt = await deliver(s.session, source, 'file.bin', { resume, verify: 'checksum' });
  assert.equal(receipt.sha256, source.sha256);
  assert.equal(await s.outside.sha256('file.bin'), source.sha256);
  assert.ok(source.bytesRead < 6 * MB, `${source.bytesRead} bytes were read`);
  await assertNoLeftovers(s.root);
});

test('starts anew when the temporary is not what the note says', async () => {
  const spoil: Record<string, (path: string) => Promise<unknown>> = {
    'is gone': (path) => run('rm', [path]),
    'is shorter': (path) => truncate(path, 5 * MB),
    'holds other bytes': (path) =>
      run('dd', ['if=/dev/zero', `of=${path}`, 'bs=1000', 'count=1', 'seek=3000', 'conv=notrunc']),
    'is a link': async (path) => {
      await writeFile(`${path}-target`, 'do not touch');
      await run('rm', [path]);
      await symlink(`${path}-target`, path);
    },
  };
  for (const [what, change] of Object.entries(spoil)) {
    await using s = await localSetup();
    const resume = await interrupted(s, 15 * MB);
    const part = join(s.root, `.ferry-${TOKEN}.part`);
    await change(part);
    const source = generatedSource({ sizeBytes: SIZE });
    await deliver(s.session, source, 'file.bin', { resume });
    assert.equal(await s.outside.sha256('file.bin'), source.sha256, what);
    if (what === 'is a link') assert.equal(await readFile(`${part}-target`, 'utf8'), 'do not touch');
  }
});

test('never goes on with another version, or with a note of another kind', async () => {
  for (const foreign of [undefined, '', '{}', 'upload-id-17', '[1]', '{"bytes":-1}']) {
    await using s = await localSetup();
    const note = await interrupted(s, 15 * MB);
    const source = generatedSource({ sizeBytes: SIZE, seed: 'newer', mtimeMs: 1_800_000_000_000 });
    await deliver(s.session, source, 'file.bin', { resume: foreign ?? note });
    assert.equal(await s.outside.sha256('file.bin'), source.sha256);
    assert.equal(source.bytesRead, SIZE);
  }
});

test('keeps nothing of a small or void attempt', async () => {
  await using s = await localSetup();
  await interrupted(s, 1 * MB);
  assert.deepEqual(await treeOf(s.root), []);
  const source = generatedSource({ sizeBytes: SIZE, trouble: { kind: 'shrinks', atByte: 15 * MB } });
  await faultOf(deliver(s.session, source, 'file.bin'), 'changed');
  assert.deepEqual(await treeOf(s.root), []);
});

test('two attempts at one file at the same time spoil nothing', async () => {
  await using s = await localSetup();
  for (let round = 0; round < 5; round += 1) {
    const sources = ['one', 'two', 'three'].map((seed) =>
      generatedSource({ sizeBytes: 3 * MB, seed, delayMs: 1 }),
    );
    const ends = await Promise.allSettled(sources.map((source) => deliver(s.session, source, 'file.bin')));
    assert.ok(ends.some((end) => end.status === 'fulfilled'));
    for (const end of ends) {
      if (end.status === 'rejected') assert.equal(end.reason.kind, 'transient', String(end.reason));
    }
    const sha256 = await s.outside.sha256('file.bin');
    assert.ok(
      sources.some((source) => source.sha256 === sha256),
      'one of them is there, whole',
    );
  }
  await s.session.discard('file.bin', TOKEN, undefined, { signal });
  assert.deepEqual(await treeOf(s.root), ['file.bin']);
});

test('a name that is no file is no source, and does not hang', async () => {
  await using s = await localSetup();
  await s.outside.write('file', 'x');
  const version = await versionOf(s.session, 'file');
  await run('mkfifo', [join(s.root, 'fifo')]);
  await s.outside.symlink?.('file', 'link');
  await s.outside.mkdir('folder');
  for (const name of ['fifo', 'link', 'folder']) {
    await faultOf(within(30_000, 'open', s.session.source(name, version).open(signal)), 'changed');
  }
});

test('a disk that stops answering is unreachable in bounded time', async () => {
  await using s = await localSetup();
  const fifo = join(s.root, 'fifo');
  await run('mkfifo', [fifo]);
  using disk = new Disk({ stallMs: 200 });
  // Opening a pipe that nobody writes to hangs in the system, as a dead share does.
  const hanging = disk.bounded(signal, () => disk.open(fifo, 0));
  const fault = await faultOf(within(10_000, 'the fault', hanging), 'unreachable');
  assert.equal(fault.code, 'ETIMEDOUT');
  await faultOf(
    disk.bounded(signal, async () => 1),
    'unreachable',
  );
  await writeFile(fifo, ''); // lets the hanging call go
});
