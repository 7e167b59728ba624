import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Entry } from '../../src/endpoints/endpoint.ts';
import { Settling } from '../../src/sync/settling.ts';

const NOW = 1_800_000_000_000;
const SKEW = 600_000;

function entry(changedMs: number, sizeBytes = 10, mtimeMs = changedMs): Entry {
  return { path: 'a', kind: 'file', version: { sizeBytes, mtimeMs, tag: '7' }, changedMs };
}

describe('a file is settled', () => {
  test('at first sight when its times lie long enough back', () => {
    assert.equal(new Settling(5_000).lookAgainMs('a', entry(NOW - 5_000), NOW, 0), undefined);
  });

  test('not before settle has passed since its last change', () => {
    assert.equal(new Settling(5_000).lookAgainMs('a', entry(NOW - 2_000), NOW, 0), NOW + 3_000);
  });

  test('not by an old mtime alone, when something else about it just changed', () => {
    const preserved = entry(NOW - 1_000, 10, NOW - 86_400_000);
    assert.equal(new Settling(5_000).lookAgainMs('a', preserved, NOW, 0), NOW + 4_000);
  });

  test('by our own clock where its times lie in the future', () => {
    const settling = new Settling(5_000);
    const future = entry(NOW + 3_600_000);
    assert.equal(settling.lookAgainMs('a', future, NOW, 0), NOW + 5_000);
    assert.equal(settling.lookAgainMs('a', future, NOW + 4_999, 0), NOW + 5_000);
    assert.equal(settling.lookAgainMs('a', future, NOW + 5_000, 0), undefined);
  });

  test('by our own clock where the place has its clock behind ours', () => {
    const settling = new Settling(5_000);
    settling.lookAgainMs('a', entry(NOW - 1_000), NOW, 0);
    assert.equal(settling.lookAgainMs('a', entry(NOW - 1_000), NOW + 4_000, 0), undefined);
  });

  test('never while it grows', () => {
    const settling = new Settling(5_000);
    for (let second = 0; second < 60; second += 1) {
      const at = NOW + second * 1_000;
      assert.notEqual(settling.lookAgainMs('a', entry(at - 100, 10 + second), at, 0), undefined);
    }
  });

  test('only by our own clock where the clock of the place may be off ours', () => {
    const settling = new Settling(5_000);
    const fresh = entry(NOW - 60_000);
    assert.equal(settling.lookAgainMs('a', fresh, NOW, SKEW), NOW + 5_000);
    assert.equal(settling.lookAgainMs('a', fresh, NOW + 4_999, SKEW), NOW + 5_000);
    assert.equal(settling.lookAgainMs('a', fresh, NOW + 5_000, SKEW), undefined);
  });

  test('at first sight when it is older than any clock is off', () => {
    const settling = new Settling(5_000);
    assert.notEqual(settling.lookAgainMs('a', entry(NOW - SKEW - 4_999), NOW, SKEW), undefined);
    assert.equal(settling.lookAgainMs('b', entry(NOW - SKEW - 5_000), NOW, SKEW), undefined);
    assert.notEqual(settling.lookAgainMs('c', entry(0), NOW, Number.POSITIVE_INFINITY), undefined);
  });

  test('never while it grows at a place whose clock is behind ours', () => {
    const settling = new Settling(5_000);
    for (let second = 0; second < 60; second += 1) {
      const at = NOW + second * 1_000;
      assert.equal(settling.lookAgainMs('a', entry(at - 300_000, 10 + second), at, SKEW), at + 5_000);
    }
    assert.equal(settling.firstSeenMs('a'), NOW);
  });

  test('at once with settle 0', () => {
    assert.equal(new Settling(0).lookAgainMs('a', entry(NOW + 1), NOW, 0), undefined);
  });
});
