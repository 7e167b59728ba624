import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Entry } from '../../../src/endpoints/endpoint.ts';
import type { Fault } from '../../../src/sync/errors.ts';
import { fromBytes, toBytes } from '../../../src/sync/names.ts';
import { until } from '../../support/until.ts';
import { localSetup, signal } from './kit.ts';

const run = promisify(execFile);

async function threads(): Promise<number> {
  return (await readdir('/proc/self/task')).length;
}

/** More than is looked at without a worker, in folders and in one folder. */
async function makeMany(root: string): Promise<number> {
  const script = `cd "$1" && for f in $(seq 0 29); do mkdir "folder $f"; (cd "folder $f" && seq 0 99 | xargs touch); done
    mkdir one && cd one && seq 0 4499 | xargs touch`;
  await run('sh', ['-ec', script, 'sh', root]);
  return 30 * 100 + 4500;
}

test('lists many files by a worker, as it lists few, and ends the worker', async () => {
  await using s = await localSetup();
  const count = await makeMany(s.root);
  const odd = fromBytes(Buffer.from([0x6f, 0xff, 0x64]));
  await mkdir(toBytes(join(s.root, 'one', odd)));
  await writeFile(toBytes(join(s.root, 'one', odd, odd)), 'odd');
  const before = await threads();
  const found = new Map<string, Entry>();
  for await (const entry of s.session.list('', { signal })) found.set(entry.path, entry);
  assert.equal([...found.values()].filter((entry) => entry.kind === 'file').length, count + 1);
  assert.equal(found.get(`one/${odd}/${odd}`)?.version.sizeBytes, 3);
  for (const path of ['folder 7/99', 'one/4499', 'one', `one/${odd}`]) {
    assert.deepEqual(await s.session.stat(path, { signal }), found.get(path), path);
  }
  await until('the worker to end', async () => (await threads()) <= before);
});

test('a list that is left or stopped in the middle ends its worker', async () => {
  await using s = await localSetup();
  await makeMany(s.root);
  for await (const _entry of s.session.list('folder 1', { signal })) break; // all that starts threads has started
  const before = await threads();
  let seen = 0;
  for await (const _entry of s.session.list('', { signal })) {
    seen += 1;
    if (seen > 5000) break;
  }
  await until('the worker to end', async () => (await threads()) <= before);

  const stop = new AbortController();
  await assert.rejects(
    async () => {
      for await (const _entry of s.session.list('', { signal: stop.signal })) {
        seen += 1;
        if (seen > 10_000) stop.abort();
      }
    },
    { kind: 'aborted' },
  );
  await until('the worker to end', async () => (await threads()) <= before);
});

test('a folder that cannot be looked into is reported, and hides nothing else', async () => {
  await using s = await localSetup();
  await s.outside.write('a/file', 'x');
  await s.outside.write('z/file', 'x');
  // A path longer than the system takes: nobody can look into it by name, not even root.
  const name = 'd'.repeat(250);
  await run('sh', [
    '-c',
    `cd "$1/a"; for i in $(seq 20); do mkdir ${name}; cd ${name}; done; touch below`,
    'sh',
    s.root,
  ]);
  for (const extra of [0, 3000]) {
    for (let i = 0; i < extra; i += 1) await writeFile(join(s.root, 'z', `${i}`), '');
    const unreadable: [string, Fault][] = [];
    const found: string[] = [];
    for await (const entry of s.session.list('', {
      signal,
      unreadable: (path, fault) => unreadable.push([path, fault]),
    })) {
      found.push(entry.path);
    }
    assert.equal(unreadable.length, 1);
    assert.ok(unreadable[0]?.[0].startsWith(`a/${name}/`));
    assert.equal(unreadable[0]?.[1].code, 'ENAMETOOLONG');
    assert.ok(found.includes('a/file') && found.includes('z/file'));
    assert.ok(found.length > extra);
  }
  await run('rm', ['-rf', s.root]);
  await mkdir(s.root);
});

test('lists the root and its folders under whatever words are used for them', async () => {
  await using s = await localSetup();
  await s.outside.write('in/file', 'x');
  const paths = async (folder: string): Promise<string[]> => {
    const found = [];
    for await (const entry of s.session.list(folder, { signal })) found.push(entry.path);
    return found.sort();
  };
  assert.deepEqual(await paths(''), ['in', 'in/file']);
  assert.deepEqual(await paths('/'), ['/in', '/in/file']);
  assert.deepEqual(await paths('in'), ['in/file']);
  assert.deepEqual(await paths('in/'), ['in/file']);
  assert.deepEqual(await paths('/in'), ['/in/file']);
});

test('shows no file of Ferry’s own', async () => {
  await using s = await localSetup();
  await s.outside.write('in/.ferry-0123456789abcdef.part', 'x');
  await s.outside.write('in/.ferry-other/file', 'x');
  await s.outside.write('in/.hidden', 'x');
  const found = [];
  for await (const entry of s.session.list('in', { signal })) found.push(entry.path);
  assert.deepEqual(found, ['in/.hidden']);
});
