/** Totals, indexes and states agree after any sequence of calls: thousands of random ones, checked against a scan. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Outcome } from '../../src/sync/delivery.ts';
import { arrived, fault, file, T0, take, version } from '../contract/ledger/values.ts';
import { open } from './open.ts';

const STEPS = 1500;

test('totals and marks stay true through thousands of steps', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-ledger-'));
  const ledgers = [open(folder), open(folder)];
  const random = randomFrom(20_261_122);
  try {
    for (let n = 0; n < STEPS; n += 1) {
      const ledger = ledgers[random(2)];
      if (ledger !== undefined) await step(ledger, random, T0 + n);
      if (n % 100 === 99) check(folder, ledgers);
    }
  } finally {
    for (const ledger of ledgers) ledger[Symbol.dispose]();
    await rm(folder, { recursive: true });
  }
});

async function step(ledger: Ledger, random: (below: number) => number, nowMs: number): Promise<void> {
  const endpoint = ['server', 'other'][random(2)] ?? 'server';
  const choice = random(12);
  if (choice < 3) {
    const job = `job ${random(3)}`;
    ledger.owe([file(`${random(20)}`, { endpoint, job, version: version(random(4)) })], nowMs);
  } else if (choice < 8) {
    const taken = take(ledger, { endpoint, limit: 3, nowMs, steal: random(4) === 0 });
    for (const delivery of taken) {
      const claimed = await ledger.claim(delivery.id, delivery.generation, nowMs);
      if (claimed === undefined || random(5) === 0) continue;
      const outcome = outcomes(nowMs)[random(8)] ?? arrived(claimed);
      await ledger.settle(claimed.id, outcome, { startedAtMs: nowMs, endedAtMs: nowMs });
    }
  } else if (choice === 8) ledger.release(random(2) === 0 ? endpoint : undefined);
  else if (choice === 9) ledger.retry({ job: `job ${random(3)}` }, nowMs);
  else if (choice === 10) ledger.prune(nowMs - 200, 3);
  else ledger.cleared(ledger.leftovers(endpoint, 2).map(({ id }) => id));
}

function outcomes(nowMs: number): readonly Outcome[] {
  return [
    { state: 'failed', fault: fault('permanent'), leftover: true },
    { state: 'superseded', fault: fault('vanished'), leftover: false },
    { state: 'queued', fault: fault('unreachable'), counts: false, nextAtMs: nowMs + 10 },
    { state: 'due', fault: fault('transient'), counts: true, nextAtMs: nowMs + 10 },
    { state: 'pending', nextAtMs: nowMs, waits: 'queued' },
    { state: 'pending', nextAtMs: nowMs, waits: 'due' },
  ];
}

function check(folder: string, ledgers: readonly Ledger[]): void {
  const db = new DatabaseSync(join(folder, 'ledger.sqlite'), { readOnly: true });
  try {
    const wrong = db.prepare(
      `SELECT count(*) AS n FROM deliveries WHERE
         open <> CASE WHEN state IN ('due', 'queued', 'sending') THEN 1 WHEN state = 'failed' THEN 2 ELSE 0 END
         OR (owner IS NOT NULL) <> (state IN ('queued', 'sending'))
         OR (delivered_at_ms IS NOT NULL) <> (state = 'delivered')
         OR (state = 'delivered' AND leftover = 1)`,
    );
    assert.equal(wrong.get()?.n, 0);
    assert.equal(db.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
    const scanned = db.prepare(
      `SELECT j.name AS job, e.name AS endpoint, state, count(*) AS files, sum(size_bytes) AS bytes
       FROM deliveries d JOIN names j ON j.id = d.job JOIN names e ON e.id = d.endpoint
       WHERE state NOT IN ('delivered', 'superseded') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
    );
    const expected = scanned.all().map((row) => Object.values(row).join(' '));
    for (const ledger of ledgers) {
      const counted = ledger
        .counts()
        .filter(({ state }) => state !== 'delivered' && state !== 'superseded')
        .map(({ job, endpoint, state, files, bytes }) => [job, endpoint, state, files, bytes].join(' '));
      assert.deepEqual(counted.sort(), expected.sort());
    }
  } finally {
    db.close();
  }
}

/** A small generator (mulberry32): the same steps in each run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}
