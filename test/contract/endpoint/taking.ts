/** Removing and archiving: of exactly the version that was delivered, and never over another file. */

import assert from 'node:assert/strict';
import { sha256Of } from '../../support/files.ts';
import { type Contract, type ContractSetup, calm, faultOf, type Place, versionOf } from './kit.ts';

const OLD_MS = 1_500_000_000_000;

export function takeContract(contract: Contract, setup: ContractSetup): void {
  contract('discards what was never there', async (place) => {
    await place.session.discard(place.path('file'), 'f'.repeat(16), undefined, calm);
    await place.session.discard(place.path('no/folder/file'), 'f'.repeat(16), undefined, calm);
    assert.deepEqual(await place.outside.tree(), []);
  });

  if (setup.takesOnly === true) return;

  contract('removes exactly the version that was asked for', async (place) => {
    const { path, version } = await written(place, 'file', 'one');
    await place.outside.write('file', 'three', OLD_MS);
    await faultOf(place.session.remove(path, version, calm), 'changed');
    assert.equal(await place.outside.sha256('file'), sha256Of('three'), 'another version is left alone');
    await place.session.remove(path, await versionOf(place.session, path), calm);
    assert.deepEqual(await place.outside.tree(), []);
    await faultOf(place.session.remove(path, version, calm), 'vanished');
  });

  contract('archives into folders that it makes', async (place) => {
    const { path, version } = await written(place, 'in/file.txt', 'one');
    const target = place.path('out/deep/er/file.txt');
    assert.equal(await place.session.archive(path, version, target, calm), target);
    assert.equal(await place.outside.sha256('out/deep/er/file.txt'), sha256Of('one'));
    assert.equal(await place.outside.sha256('in/file.txt'), undefined);
    assert.equal((await place.outside.stat('out/deep/er/file.txt'))?.mtimeMs, OLD_MS);
    await faultOf(place.session.archive(path, version, target, calm), 'vanished');
  });

  contract('archives only the version that was asked for', async (place) => {
    const { path, version } = await written(place, 'file', 'one');
    await place.outside.write('file', 'three', OLD_MS);
    await faultOf(place.session.archive(path, version, place.path('out/file'), calm), 'changed');
    assert.equal(await place.outside.sha256('file'), sha256Of('three'));
    assert.equal(await place.outside.sha256('out/file'), undefined);
  });

  contract('never archives over another file', async (place) => {
    for (const [content, expected] of [
      ['one', 'a.b.txt'],
      ['two', 'a.b (1).txt'],
      ['three', 'a.b (2).txt'],
    ] as const) {
      const { path, version } = await written(place, 'a.b.txt', content);
      const went = await place.session.archive(path, version, place.path('out/a.b.txt'), calm);
      assert.equal(went, place.path(`out/${expected}`));
      assert.equal(await place.outside.sha256(`out/${expected}`), sha256Of(content));
    }
    for (const [content, expected] of [
      ['one', 'plain'],
      ['two', 'plain (1)'],
    ] as const) {
      const { path, version } = await written(place, 'plain', content);
      const went = await place.session.archive(path, version, place.path('out/plain'), calm);
      assert.equal(went, place.path(`out/${expected}`));
    }
    const files = (await place.outside.tree()).filter((path) => !path.endsWith('/'));
    assert.equal(files.length, 5);
  });

  contract('archives many files of one name at once', async (place) => {
    const given = [];
    for (let i = 0; i < 8; i += 1) given.push(await written(place, `in${i}/file.txt`, `content ${i}`));
    const went = await Promise.all(
      given.map(({ path, version }) =>
        place.session.archive(path, version, place.path('out/file.txt'), calm),
      ),
    );
    assert.equal(new Set(went).size, 8);
    assert.equal((await place.outside.below('out').tree()).length, 8);
  });

  if (setup.flat !== true) {
    contract('does not archive into a file', async (place) => {
      const { path, version } = await written(place, 'file', 'one');
      await place.outside.write('taken', 'kept');
      await faultOf(place.session.archive(path, version, place.path('taken/file'), calm), 'permanent');
      assert.equal(await place.outside.sha256('file'), sha256Of('one'), 'the source is still there');
    });
  }
}

async function written(place: Place, name: string, content: string) {
  await place.outside.write(name, content, OLD_MS);
  const path = place.path(name);
  return { path, version: await versionOf(place.session, path) };
}
