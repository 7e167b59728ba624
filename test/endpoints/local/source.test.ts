import assert from 'node:assert/strict';
import { appendFile, open, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultOf, versionOf } from '../../contract/endpoint/kit.ts';
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
  }
  await using again = await s.session.source('file', version).open(signal);
  assert.equal((await again.readAll(signal)).toString(), 'behind');
  await again.recheck(signal);
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
