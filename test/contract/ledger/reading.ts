/** What can be read: single deliveries, the history, counts. */

import assert from 'node:assert/strict';
import type { Count, HistoryFilter, Ledger } from '../../../src/ledger/ledger.ts';
import type { Outcome } from '../../../src/sync/delivery.ts';
import {
  arrived,
  type Contract,
  claimAll,
  ended,
  failed,
  fault,
  file,
  known,
  only,
  owe,
  pathsOf,
  T0,
  take,
  version,
} from './kit.ts';

export function readContract(contract: Contract): void {
  contract('knows nothing of a delivery that was never made', ({ ledger }) => {
    assert.equal(ledger.get(1), undefined);
    assert.deepEqual(ledger.attempts(1), []);
    assert.deepEqual([...ledger.history({})], []);
    assert.deepEqual(ledger.counts(), []);
  });

  contract('lists the history newest first', async ({ ledger }) => {
    const [a, b, c] = ['a', 'b', 'c'].map((name, n) => owe(ledger, file(name), T0 + n));
    assert.ok(a && b && c);
    assert.deepEqual(pathsOf(ledger.history({})), ['c', 'b', 'a']);
    await claimAll(ledger, take(ledger, { nowMs: T0 + 10 }));
    for (const [each, endedAtMs] of [
      [c, 20],
      [a, 21],
      [b, 22],
    ] as const) {
      await settleAt(ledger, each.id, endedAtMs);
    }
    assert.deepEqual(pathsOf(ledger.history({})), ['b', 'a', 'c']);
    owe(ledger, file('d'), T0 + 30);
    assert.deepEqual(pathsOf(ledger.history({})), ['d', 'b', 'a', 'c']);
    assert.deepEqual([...ledger.history({ limit: 1 })], [known(ledger, 4)]);
    assert.deepEqual([...ledger.history({ limit: 0 })], []);
  });

  contract('filters the history by job, state and time, in any combination', async ({ ledger }) => {
    const made: {
      readonly job: string;
      readonly state: string;
      readonly at: number;
      readonly path: string;
    }[] = [];
    let n = 0;
    for (const job of ['one', 'two']) {
      for (const state of ['delivered', 'failed', 'superseded', 'queued', 'sending', 'due'] as const) {
        n += 1;
        const path = `${job} ${state}`;
        const delivery = owe(ledger, file(path, { job, endpoint: `server ${n}` }), T0 + n);
        if (state !== 'due') await bring(ledger, delivery, state, n);
        made.push({ job, state, at: T0 + n, path });
      }
    }
    for (const job of [undefined, 'one', 'none']) {
      for (const state of [
        undefined,
        'delivered',
        'failed',
        'superseded',
        'queued',
        'sending',
        'due',
      ] as const) {
        for (const sinceMs of [undefined, T0 + 4, T0 + 100]) {
          const expected = made
            .filter((each) => job === undefined || each.job === job)
            .filter((each) => state === undefined || each.state === state)
            .filter((each) => sinceMs === undefined || each.at >= sinceMs);
          const filter: HistoryFilter = {
            ...(job === undefined ? {} : { job }),
            ...(state === undefined ? {} : { state }),
            ...(sinceMs === undefined ? {} : { sinceMs }),
          };
          assert.deepEqual(
            pathsOf(ledger.history(filter)),
            expected.map(({ path }) => path).reverse(),
            JSON.stringify(filter),
          );
        }
      }
    }
  });

  contract('finds paths by a glob or a plain text', ({ ledger }) => {
    const names = ['a.csv', 'b.txt', 'in/a.csv', 'in/deep/c.csv', '100%_[x].csv', 'raw \udcff.bin', 'A.CSV'];
    ledger.owe(
      names.map((name) => file(name)),
      T0,
    );
    for (const [path, expected] of [
      ['*.csv', ['a.csv', '100%_[x].csv']],
      ['**/*.csv', ['a.csv', 'in/a.csv', 'in/deep/c.csv', '100%_[x].csv']],
      ['**.csv', ['a.csv', 'in/a.csv', 'in/deep/c.csv', '100%_[x].csv']],
      ['in/*', ['in/a.csv']],
      ['in/**', ['in/a.csv', 'in/deep/c.csv']],
      ['?.*', ['a.csv', 'b.txt', 'A.CSV']],
      ['raw ?.bin', ['raw \udcff.bin']],
      ['\udcff', ['raw \udcff.bin']],
      ['deep', ['in/deep/c.csv']],
      ['%_[x]', ['100%_[x].csv']],
      ['a.csv', ['a.csv', 'in/a.csv']],
      ['none', []],
    ] as const) {
      assert.deepEqual(pathsOf(ledger.history({ path })).toReversed(), expected, path);
    }
    assert.deepEqual(pathsOf(ledger.history({ path: '**/*.csv', limit: 2 })), [
      '100%_[x].csv',
      'in/deep/c.csv',
    ]);
  });

  contract('lists deliveries by number, filtered by the rest', async ({ ledger }) => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => owe(ledger, file(name)));
    assert.ok(a && b && c);
    assert.deepEqual(pathsOf(ledger.history({ ids: [a.id, c.id, 999, a.id] })), ['c', 'a']);
    assert.deepEqual(pathsOf(ledger.history({ ids: [a.id, c.id], path: 'a' })), ['a']);
    assert.deepEqual(pathsOf(ledger.history({ ids: [a.id, c.id], limit: 1 })), ['c']);
    assert.deepEqual(pathsOf(ledger.history({ ids: [a.id], state: 'failed' })), []);
    assert.deepEqual(pathsOf(ledger.history({ ids: [a.id], job: 'other' })), []);
    assert.deepEqual(pathsOf(ledger.history({ ids: [a.id], sinceMs: T0 + 1 })), []);
    assert.deepEqual(pathsOf(ledger.history({ ids: [] })), []);
  });

  contract('streams a long history whole, while it is written to', async ({ ledger }) => {
    const asked = Array.from({ length: 5000 }, (_, n) => file(`${n}`));
    await ended(ledger, file('ended'));
    ledger.owe(asked, T0);
    const seen: string[] = [];
    for (const { path } of ledger.history({})) {
      if (seen.length % 1000 === 0) owe(ledger, file(`new ${seen.length}`), T0 + 1);
      seen.push(path);
    }
    const old = seen.filter((path) => !path.startsWith('new'));
    assert.equal(old.length, 5001);
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(old.slice(0, 2), ['ended', '4999']);
  });

  contract('counts files and bytes by job, endpoint and state', async ({ ledger, another }) => {
    const big = { ...version(1), sizeBytes: 10 };
    for (const job of ['one', 'two']) {
      for (const endpoint of ['server', 'other']) {
        for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g'])
          owe(ledger, file(name, { job, endpoint, version: big }));
      }
    }
    const taken = take(ledger, { jobs: ['one'], limit: 6 });
    const [first, second, third, fourth] = await claimAll(ledger, taken.slice(0, 5));
    assert.ok(first && second && third && fourth);
    await settleAt(ledger, first.id, 1);
    await settleAt(ledger, second.id, 1, failed());
    await settleAt(ledger, third.id, 1, failed());
    await settleAt(ledger, fourth.id, 1, { state: 'superseded', fault: fault('vanished'), leftover: false });
    const rest = ['one:other', 'two:server', 'two:other'].map((at) => `${at} due 7 70`);
    const expected = [
      'due 1 10',
      'queued 1 10',
      'sending 1 10',
      'delivered 1 10',
      'failed 2 20',
      'superseded 1 10',
    ];
    assert.deepEqual(told(ledger.counts()), told([...expected.map((each) => `one:server ${each}`), ...rest]));
    assert.deepEqual(told(another().counts()), told(ledger.counts()));
    assert.equal(ledger.open(['one']), 10);
    assert.equal(ledger.open(['one', 'two']), 24);
    assert.equal(ledger.open(['none']), 0);
    assert.equal(ledger.open([]), 0);
    ledger.release();
    only(ledger.retry({ ids: [second.id] }, T0));
    owe(ledger, file('c', { job: 'one', version: { ...version(2), sizeBytes: 5 } }));
    const later = ['due 4 35', 'sending 1 10', 'delivered 1 10', 'superseded 2 20'];
    assert.deepEqual(told(ledger.counts()), told([...later.map((each) => `one:server ${each}`), ...rest]));
  });
}

function told(counts: readonly (Count | string)[]): readonly string[] {
  return counts
    .map((count) => {
      if (typeof count === 'string') return count;
      const { job, endpoint, state, files, bytes } = count;
      return `${job}:${endpoint} ${state} ${files} ${bytes}`;
    })
    .sort();
}

async function settleAt(ledger: Ledger, id: number, endedMs: number, outcome?: Outcome): Promise<void> {
  const times = { startedAtMs: T0, endedAtMs: T0 + endedMs };
  await ledger.settle(id, outcome ?? arrived(known(ledger, id)), times);
}

/** Brings a due delivery to another state, last touched at T0 + n. */
async function bring(
  ledger: Ledger,
  { id, endpoint }: { readonly id: number; readonly endpoint: string },
  state: 'delivered' | 'failed' | 'superseded' | 'queued' | 'sending',
  n: number,
): Promise<void> {
  const taken = take(ledger, { endpoint, nowMs: T0 + n }).find((each) => each.id === id);
  assert.ok(taken);
  if (state === 'queued') return;
  assert.ok(await ledger.claim(id, taken.generation, T0 + n));
  if (state === 'sending') return;
  if (state === 'delivered') await settleAt(ledger, id, n);
  else await settleAt(ledger, id, n, { state, fault: fault('permanent'), leftover: false });
}
