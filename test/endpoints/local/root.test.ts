import assert from 'node:assert/strict';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLocal } from '../../../src/endpoints/local/endpoint.ts';
import { deliver, faultOf, listed, options, versionOf } from '../../contract/endpoint/kit.ts';
import { temporaryFolder, treeOf } from '../../support/files.ts';
import { generatedSource } from '../../support/source.ts';
import { localSetup, signal } from './kit.ts';

test('a root that is missing is unreachable, and is never created', async () => {
  await using folder = await temporaryFolder();
  const endpoint = createLocal({ path: join(folder.path, 'not', 'mounted') }, { name: 'share' });
  const fault = await faultOf(endpoint.connect(signal), 'unreachable');
  assert.equal(fault.code, 'ENOENT');
  assert.ok(fault.advice);
  assert.deepEqual(await treeOf(folder.path), []);
});

test('a root that is a file is refused', async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, 'file'), '');
  const endpoint = createLocal({ path: join(folder.path, 'file') }, { name: 'share' });
  assert.equal((await faultOf(endpoint.connect(signal), 'rejected')).code, 'ENOTDIR');
});

test('a root that goes away makes every call unreachable: nothing has vanished, nothing is created', async () => {
  await using s = await localSetup();
  await s.outside.write('in/file', 'x');
  const version = await versionOf(s.session, 'in/file');
  await rename(s.root, `${s.root}-away`);
  const calls: Record<string, () => Promise<unknown>> = {
    open: () => s.session.source('in/file', version).open(signal),
    send: () => deliver(s.session, generatedSource({ sizeBytes: 10 }), 'out/deep/file'),
    list: () => listed(s.session, 'in'),
    stat: () => s.session.stat('in/file', { signal }),
    remove: () => s.session.remove('in/file', version, { signal }),
    archive: () => s.session.archive('in/file', version, 'out/file', { signal }),
    discard: () => s.session.discard('in/file', 'a'.repeat(16), undefined, { signal }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const session = await freshSession(s.root);
    const fault = await faultOf(call(), 'unreachable');
    assert.equal(fault.code, 'ENOENT', name);
    assert.ok(session === undefined);
  }
  assert.equal(s.session.broken?.kind, 'unreachable');
  await rename(`${s.root}-away`, s.root);
  assert.deepEqual(await s.outside.tree(), ['in/', 'in/file']);
});

/** No new session while the root is away. */
async function freshSession(root: string): Promise<undefined> {
  await faultOf(createLocal({ path: root }, { name: 'share' }).connect(signal), 'unreachable');
}

for (const call of ['open', 'send', 'list', 'stat', 'remove', 'archive', 'discard'] as const) {
  test(`a root that goes away is noticed by ${call} first`, async () => {
    await using s = await localSetup();
    await s.outside.write('in/file', 'x');
    const version = await versionOf(s.session, 'in/file');
    await rm(s.root, { recursive: true });
    const { session } = s;
    const calls = {
      open: () => session.source('in/file', version).open(signal),
      send: () => deliver(session, generatedSource({ sizeBytes: 10 }), 'out/deep/file'),
      list: () => listed(session, 'in'),
      stat: () => session.stat('in/file', { signal }),
      remove: () => session.remove('in/file', version, { signal }),
      archive: () => session.archive('in/file', version, 'out/file', { signal }),
      discard: () => session.discard('in/file', 'a'.repeat(16), undefined, { signal }),
    };
    await faultOf(calls[call](), 'unreachable');
    assert.ok(session.broken);
    await mkdir(s.root);
    assert.deepEqual(await s.outside.tree(), []);
  });
}

test('paths stay below the root', async () => {
  await using outer = await temporaryFolder();
  await mkdir(join(outer.path, 'root'));
  await writeFile(join(outer.path, 'secret'), 'secret');
  await using session = await createLocal({ path: join(outer.path, 'root') }, { name: 'root' }).connect(
    signal,
  );
  for (const path of ['../secret', 'a/../../secret', '..', '/../secret', 'nul\0byte']) {
    const source = generatedSource({ sizeBytes: 10 });
    assert.equal((await faultOf(session.stat(path, { signal }), 'permanent')).code, 'OUTSIDE');
    assert.equal((await faultOf(deliver(session, source, path), 'permanent')).code, 'OUTSIDE');
    await faultOf(listed(session, path), 'permanent');
  }
  await deliver(session, generatedSource({ sizeBytes: 10 }), '/from/the/root');
  await faultOf(session.send(generatedSource({ sizeBytes: 10 }), '/', options()), 'permanent');
  assert.deepEqual(
    (await treeOf(outer.path)).filter((path) => !path.endsWith('/')),
    ['root/from/the/root', 'secret'],
  );
});
