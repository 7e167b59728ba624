import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { deliver, faultOf, listed } from '../../contract/endpoint/kit.ts';
import { temporaryFolder, treeOf, writeContent } from '../../support/files.ts';
import { generatedSource } from '../../support/source.ts';
import { openSandbox, sandboxSetup } from './kit.ts';

const signal = new AbortController().signal;

test('says where its files are, and starts nothing before it is used', async () => {
  await using data = await temporaryFolder('sandbox');
  const endpoint = await openSandbox(data.path);
  assert.equal(endpoint.kind, 'sandbox');
  assert.ok(endpoint.address.includes(join(data.path, 'sandbox', 'try-out', 'files')));
  assert.deepEqual(await treeOf(data.path), []);
  await faultOf(endpoint.connect(AbortSignal.abort()), 'aborted');
  await endpoint.close?.();
  assert.deepEqual(await treeOf(data.path), []);
});

test('many connections at once start one server, and it can be closed and used again', async () => {
  await using s = await sandboxSetup();
  for (const round of [1, 2]) {
    const sessions = await Promise.all(Array.from({ length: 4 }, () => s.endpoint.connect(signal)));
    await Promise.all(
      sessions.map((session, i) =>
        deliver(session, generatedSource({ sizeBytes: 1000 }), `/in/${round}-${i}`, {
          token: `${i}`.repeat(16),
        }),
      ),
    );
    for (const session of sessions) await session[Symbol.asyncDispose]();
    await s.endpoint.close?.();
  }
  assert.equal((await s.outside.below('in').tree()).length, 8);
});

test('a folder of the user’s own, and two processes on it', async () => {
  await using data = await temporaryFolder('sandbox');
  await using other = await temporaryFolder('sandbox');
  await using folder = await temporaryFolder('served');
  await writeContent(join(folder.path, 'there'), 'there', 10);
  const endpoints = [
    await openSandbox(data.path, { path: folder.path, port: undefined }),
    await openSandbox(other.path, { path: folder.path }),
  ];
  for (const [i, endpoint] of endpoints.entries()) {
    await using session = await endpoint.connect(signal);
    await deliver(session, generatedSource({ sizeBytes: 1000, seed: `${i}` }), `/in/${i}`);
    assert.equal((await listed(session, '/in')).size, i + 1);
  }
  assert.deepEqual(await treeOf(folder.path), ['in/', 'in/0', 'in/1', 'there']);
  for (const endpoint of endpoints) await endpoint.close?.();
});

test('a server that cannot start says why', async () => {
  await using data = await temporaryFolder('sandbox');
  await writeContent(join(data.path, 'file'), 'file', 1);
  const endpoint = await openSandbox(data.path, { path: join(data.path, 'file', 'below') });
  const fault = await faultOf(endpoint.connect(signal), 'rejected');
  assert.ok(fault.advice);
  for await (const step of endpoint.probe('/', { signal })) assert.equal(step.ok, false);
});
