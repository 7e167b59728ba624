/** A ledger of a million deliveries answers as a small one does. The limits are many times what is measured, in time of the
 * processor: how busy the machine is with other things does not count. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { arrived, claimAll, file, T0, TIMES, take, version } from '../contract/ledger/values.ts';
import { fillLedger, pathOf } from './bulk.ts';
import { open } from './open.ts';

const DELIVERED = 900_000;
const DUE = 100_000;
const NOW = T0 + DELIVERED + DUE + 1_000_000;

describe('a ledger of a million deliveries', () => {
  let folder: string;
  let ledger: Ledger;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ferry-large-'));
    open(folder)[Symbol.dispose]();
    fillLedger(folder, { delivered: DELIVERED, due: DUE });
    ledger = open(folder);
  });

  after(async () => {
    ledger[Symbol.dispose]();
    await rm(folder, { recursive: true });
  });

  test('knows the newest delivery of any path in well under a millisecond', async () => {
    await within(5000, 'asking for 10,000', () => {
      for (let n = 1; n <= DELIVERED; n += DELIVERED / 10_000) {
        assert.equal(ledger.latest('bulk', 'server:/in', pathOf(n))?.id, n);
      }
    });
    assert.equal(ledger.latest('bulk', 'server:/in', 'new'), undefined);
  });

  test('counts without looking at them', async () => {
    const counts = await within(1000, 'counting', () => ledger.counts());
    assert.deepEqual(counts.map(({ endpoint, state, files }) => `${endpoint} ${state} ${files}`).sort(), [
      `other due ${DUE / 2}`,
      `server delivered ${DELIVERED}`,
      `server due ${DUE / 2}`,
    ]);
    assert.equal(await within(1000, 'counting open ones', () => ledger.open(['bulk'])), DUE);
  });

  test('takes a thousand of a hundred thousand', async () => {
    const taken = await within(1000, 'taking', () => take(ledger, { limit: 1000, nowMs: NOW }));
    assert.equal(taken.length, 1000);
    assert.equal(taken[0]?.id, DELIVERED + 2);
    assert.equal(await within(1000, 'releasing', () => ledger.release()), 1000);
  });

  for (const order of ['name', 'mtime'] as const) {
    test(`finds the first of a hundred thousand in the order of ${order}`, async () => {
      const ordered = [{ job: 'bulk', order }];
      const taken = await within(1000, 'taking', () => take(ledger, { nowMs: NOW, ordered }));
      assert.deepEqual(
        taken.map(({ path }) => path),
        [pathOf(DELIVERED + 2)],
      );
      ledger.release();
    });
  }

  test('lists the newest of its history', async () => {
    const newest = await within(1000, 'listing', () => [...ledger.history({ limit: 100 })]);
    assert.equal(newest[0]?.id, DELIVERED + DUE);
    const state = 'delivered';
    const arrivals = await within(1000, 'listing', () => [
      ...ledger.history({ job: 'bulk', state, limit: 100 }),
    ]);
    assert.equal(arrivals[0]?.id, DELIVERED);
    const failures = await within(1000, 'listing', () => [...ledger.history({ state: 'failed' })]);
    assert.deepEqual(failures, []);
    const sinceMs = T0 + DELIVERED + 500 - 9;
    const recent = await within(1000, 'listing', () => [...ledger.history({ state, sinceMs })]);
    assert.equal(recent.length, 10);
  });

  test('owes, claims, settles and prunes as fast', async () => {
    const newer = Array.from({ length: 1000 }, (_, n) =>
      file(pathOf(n + 1), { job: 'bulk', version: version(2) }),
    );
    const made = await within(2000, 'owing 1,000', () => ledger.owe(newer, NOW - 500_000));
    assert.equal(made.length, 1000);
    const taken = take(ledger, { limit: 100, nowMs: NOW });
    const claimed = await within(1000, 'claiming 100', () => claimAll(ledger, taken));
    await Promise.all(claimed.map((each) => ledger.settle(each.id, arrived(each), TIMES)));
    const pruned = await within(1000, 'pruning', () => ledger.prune(NOW, 1000));
    assert.equal(pruned, 1000);
    assert.equal(await within(1000, 'recovering', () => ledger.recover(NOW)), 0);
  });
});

async function within<T>(limitMs: number, what: string, work: () => T | Promise<T>): Promise<T> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  const tookMs = (user + system) / 1_000;
  assert.ok(tookMs < limitMs, `${what} took ${tookMs.toFixed(0)} ms`);
  return result;
}
