import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Entry } from '../../src/endpoints/endpoint.ts';
import { Settling } from '../../src/sync/settling.ts';

const NOW = 1_800_000_000_000;

function entry(changedMs: number, sizeBytes = 10, mtimeMs = changedMs): Entry {
  return { path: 'a', kind: 'file', version: { sizeBytes, mtimeMs, tag: '7' }, changedMs };
}

describe('a file is settled', () => {
  test('at first sight when its times lie long enough back', () => {
    assert.equal(new Settling(5_000).lookAgainMs('a', entry(NOW - 5_000), NOW), undefined);
  });

  test('not before settle has passed since its last change', () => {
    assert.equal(new Settling(5_000).lookAgainMs('a', entry(NOW - 2_000), NOW), NOW + 3_000);
  });

  test('not by an old mtime alone, when something else about it just changed', () => {
    const preserved = entry(NOW - 1_000, 10, NOW - 86_400_000);
    assert.equal(new Settling(5_000).lookAgainMs('a', preserved, NOW), NOW + 4_000);
  });

  test('by our own clock where its times lie in the future', () => {
    const settling = new Settling(5_000);
    const future = entry(NOW + 3_600_000);
    assert.equal(settling.lookAgainMs('a', future, NOW), NOW + 5_000);
    assert.equal(settling.lookAgainMs('a', future, NOW + 4_999), NOW + 5_000);
    assert.equal(settling.lookAgainMs('a', future, NOW + 5_000), undefined);
  });

  test('by our own clock where the place has its clock behind ours', () => {
    const settling = new Settling(5_000);
    settling.lookAgainMs('a', entry(NOW - 1_000), NOW);
    assert.equal(settling.lookAgainMs('a', entry(NOW - 1_000), NOW + 4_000), undefined);
  });

  test('never while it grows', () => {
    const settling = new Settling(5_000);
    for (let second = 0; second < 60; second += 1) {
      const at = NOW + second * 1_000;
      assert.notEqual(settling.lookAgainMs('a', entry(at - 100, 10 + second), at), undefined);
    }
  });

  test('at once with settle 0', () => {
    assert.equal(new Settling(0).lookAgainMs('a', entry(NOW + 1), NOW), undefined);
  });
});
