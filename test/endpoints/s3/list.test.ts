/** Listings: keys that are no names, folders that are not entered, and many pages. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Entry, ListOptions } from '../../../src/endpoints/endpoint.ts';
import { faultOf, listed } from '../../contract/endpoint/kit.ts';
import { Refusal } from '../../support/s3-double/refusal.ts';
import { calm, type DoubleSetup, doubleSetup } from './double-kit.ts';

function put(setup: DoubleSetup, ...keys: readonly string[]): void {
  for (const key of keys) {
    setup.double.store.put(key, {
      body: Buffer.from(key),
      checksums: {},
      headers: {},
      modifiedMs: 1_700_000_000_123,
    });
  }
}

async function paths(
  setup: DoubleSetup,
  folder: string,
  more: Partial<ListOptions> = {},
): Promise<readonly string[]> {
  const found: Entry[] = [];
  for await (const entry of setup.session.list(folder, { ...calm, ...more })) found.push(entry);
  return found.map(({ path, kind }) => (kind === 'folder' ? `${path}/` : path));
}

describe('listing a bucket', () => {
  test('gives paths as they were asked for, below the prefix', async () => {
    await using setup = await doubleSetup({ entry: { prefix: 'data' } });
    put(setup, 'data/a.txt', 'data/in/b.txt', 'database/no.txt', 'other/no.txt', 'data/in x/c.txt');
    assert.deepEqual(await paths(setup, ''), ['a.txt', 'in x/c.txt', 'in/b.txt']);
    assert.deepEqual(await paths(setup, '/'), ['/a.txt', '/in x/c.txt', '/in/b.txt']);
    assert.deepEqual(await paths(setup, 'in'), ['in/b.txt']);
    assert.deepEqual(await paths(setup, '/in/'), ['/in/b.txt']);
    assert.deepEqual(await paths(setup, '/', { recursive: false }), ['/in x/', '/in/', '/a.txt']);
  });

  test('tells the version as a look at the object does, by the second', async () => {
    await using setup = await doubleSetup();
    put(setup, 'in/a.txt');
    const version = {
      sizeBytes: 8,
      mtimeMs: 1_700_000_000_000,
      tag: setup.double.store.get('in/a.txt').etag.slice(1, -1),
    };
    assert.deepEqual((await listed(setup.session, 'in')).get('a.txt')?.version, version);
    assert.deepEqual((await setup.session.stat('in/a.txt', calm))?.version, version);
  });

  test('reports keys that are no names of files, and shows the others', async () => {
    await using setup = await doubleSetup();
    const odd = ['in/../a.txt', 'in//b.txt', './c.txt', '/d.txt', 'in/e\x01.txt'];
    put(setup, 'in/good + plus & <tag>%20.txt', 'in/', 'empty folder/', 'in/.ferry-check', ...odd);
    const unreadable: string[] = [];
    const found = await paths(setup, '', {
      unreadable: (path, fault) => {
        unreadable.push(path);
        assert.equal(fault.kind, 'permanent');
        assert.ok(fault.advice);
      },
    });
    assert.deepEqual(found, ['in/good + plus & <tag>%20.txt']);
    assert.deepEqual(unreadable.sort(), odd.sort());
  });

  test('takes keys as they are from a server that does not encode them', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    setup.double.store.encodesKeys = false;
    put(setup, 'in/100% a+b.txt', 'in/a+b/c%20d.txt');
    assert.deepEqual(await paths(setup, 'in'), ['in/100% a+b.txt', 'in/a+b/c%20d.txt']);
    assert.deepEqual(await paths(setup, 'in', { recursive: false }), ['in/a+b/', 'in/100% a+b.txt']);
  });

  test('goes through all pages, and jumps over folders that are not entered', async () => {
    await using setup = await doubleSetup();
    const many = (folder: string, count: number) =>
      Array.from({ length: count }, (_, n) => `${folder}/${String(n).padStart(5, '0')}`);
    put(setup, ...many('a', 1500), ...many('b/closed', 6000), 'b/closed0', ...many('c', 1200));
    assert.equal((await paths(setup, '')).length, 8701);
    assert.equal(setup.asked().length, 9);

    const asked: string[] = [];
    const enter = (folder: string): boolean => {
      asked.push(folder);
      return folder !== 'b/closed';
    };
    const found = await paths(setup, '', { enter });
    assert.equal(found.length, 2701);
    assert.ok(found.includes('b/closed0'));
    assert.deepEqual(asked.sort(), ['a', 'b', 'b/closed', 'c'], 'each folder was asked about once');
    assert.ok(setup.asked().length - 9 <= 5, 'what is not entered is not listed');
  });

  test('asks only about folders below the one that is listed', async () => {
    await using setup = await doubleSetup({ entry: { prefix: 'data/' } });
    put(setup, 'data/x/y/in/a/1.txt', 'data/x/y/in/2.txt');
    const asked: string[] = [];
    const enter = (folder: string): boolean => asked.push(folder) > 0;
    assert.equal((await paths(setup, '/x/y/in', { enter })).length, 2);
    assert.deepEqual(asked, ['/x/y/in/a']);
  });

  test('does not take the first page for all, where a server does not know how to go on', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    put(setup, ...Array.from({ length: 1001 }, (_, n) => `in/${n}`));
    const serve = (body: Buffer) =>
      Buffer.from(body.toString().replace(/<NextContinuationToken>.*<\/NextContinuationToken>/, ''));
    setup.double.fail('ListObjectsV2', { serve });
    const fault = await faultOf(paths(setup, 'in'), 'permanent');
    assert.match(fault.message, /there is more in in/);
  });

  test('that fails in the middle says so', async () => {
    await using setup = await doubleSetup();
    put(setup, ...Array.from({ length: 1100 }, (_, n) => `a/${n}`));
    const refusal = new Refusal(500, 'InternalError', 'We encountered an internal error.');
    setup.double.fail('ListObjectsV2', { refuse: refusal }, { skip: 1, times: 9 });
    await faultOf(paths(setup, ''), 'unreachable');
  });
});

describe('looking at a name', () => {
  test('knows folders by what is in them', async () => {
    await using setup = await doubleSetup({ entry: { prefix: 'data/' } });
    assert.equal(await setup.session.stat('', calm), undefined);
    put(setup, 'data/in/a.txt');
    for (const folder of ['', '/', 'in', '/in', 'in/']) {
      assert.equal((await setup.session.stat(folder, calm))?.kind, 'folder', folder);
    }
    assert.equal(await setup.session.stat('i', calm), undefined);
    assert.equal((await setup.session.stat('in/a.txt', calm))?.kind, 'file');
  });
});
