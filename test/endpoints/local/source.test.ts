import assert from 'node:assert/strict';
import { appendFile, chmod, link, open, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultOf, versionOf } from '../../contract/endpoint/kit.ts';
import { sha256Of } from '../../support/files.ts';
import { localSetup, signal } from './kit.ts';

test('what is written in place while it is read is noticed, also where its mtime is set back', async () => {
  await using s = await localSetup();
  const path = join(s.root, 'file');
  await writeFile(path, 'before');
  await utimes(path, 1_000, 1_000);
  const version = await versionOf(s.session, 'file');
  {
    await using reader = await s.session.source('file', version).open(signal);
    await reader.readAll(signal);
    await reader.recheck(signal);
    await using handle = await open(path, 'r+');
    await handle.write('behind');
    await utimes(path, 1_000, 1_000);
    assert.deepEqual(await versionOf(s.session, 'file'), version, 'it looks as before');
    await faultOf(reader.recheck(signal), 'changed');
    await faultOf(
      reader.recheck(signal, () => sha256Of('before')),
      'changed',
    );
  }
  await using again = await s.session.source('file', version).open(signal);
  assert.equal((await again.readAll(signal)).toString(), 'behind');
  await again.recheck(signal);
});

test('what is only touched while it is read is the same file: its content is compared', async () => {
  await using s = await localSetup();
  const path = join(s.root, 'file');
  await writeFile(path, Buffer.alloc(1_000_000, 'x'));
  const version = await versionOf(s.session, 'file');
  await using reader = await s.session.source('file', version).open(signal);
  const touches: readonly (() => Promise<void>)[] = [
    () => chmod(path, 0o600),
    () => link(path, `${path}-link`),
    () => unlink(`${path}-link`),
  ];
  for (const touch of touches) {
    await touch();
    assert.deepEqual(await versionOf(s.session, 'file'), version);
    await faultOf(reader.recheck(signal), 'changed');
    await faultOf(
      reader.recheck(signal, () => sha256Of('what was sent was another')),
      'changed',
    );
    await reader.recheck(signal, () => sha256Of(Buffer.alloc(1_000_000, 'x')));
    await reader.recheck(signal);
  }
});

test('what grows while it is read is noticed', async () => {
  await using s = await localSetup();
  const path = join(s.root, 'file');
  await writeFile(path, 'before');
  const { size } = await stat(path);
  await using reader = await s.session.source('file', await versionOf(s.session, 'file')).open(signal);
  await appendFile(path, 'more');
  assert.equal((await reader.readAll(signal)).length, size);
  await faultOf(reader.recheck(signal), 'changed');
});
