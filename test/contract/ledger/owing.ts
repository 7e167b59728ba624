/** What is known of a path, and when it is owed anew. */

import assert from 'node:assert/strict';
import { noteOf, type Outcome } from '../../../src/sync/delivery.ts';
import type { FaultKind } from '../../../src/sync/errors.ts';
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
  sending,
  T0,
  TIMES,
  take,
  version,
} from './kit.ts';

const NAMES = [
  'plain.csv',
  'with space and "quotes" and \'these\'',
  'line\nbreak and tab\t',
  '-dash',
  'ünïcödé NFC',
  'u\u0308nfd',
  '😀/日本語.txt',
  'not utf-8 \udcff\udc80 at all',
  'a'.repeat(255),
  `${'folder/'.repeat(100)}deep`,
  '%_*?[x]',
  'İıſ',
];

export function oweContract(contract: Contract): void {
  contract('owes a new file, as due', ({ ledger }) => {
    const asked = file('a.csv');
    const made = owe(ledger, asked, T0 + 5);
    assert.deepEqual(made, {
      ...asked,
      id: made.id,
      state: 'due',
      generation: made.generation,
      attempts: 0,
      cuts: 0,
      nextAtMs: T0 + 5,
      note: undefined,
      leftover: false,
      remotePath: undefined,
      sha256: undefined,
      verified: undefined,
      reference: undefined,
      error: undefined,
      createdAtMs: T0 + 5,
      updatedAtMs: T0 + 5,
      deliveredAtMs: undefined,
    });
    assert.deepEqual(known(ledger, made.id), made);
  });

  contract('knows the newest delivery of a path to a destination, whatever its state', async ({ ledger }) => {
    const { job, destination } = file('a');
    assert.equal(ledger.latest(job, destination, 'a'), undefined);
    const first = owe(ledger, file('a'));
    const asKnown = {
      id: first.id,
      state: 'due',
      target: '/in/a',
      version: version(1),
      vanished: false,
      skippedMs: undefined,
    };
    assert.deepEqual(ledger.latest(job, destination, 'a'), asKnown);
    const second = await ended(ledger, file('a', { version: version(2) }));
    assert.deepEqual(ledger.latest(job, destination, 'a'), {
      ...asKnown,
      id: second.id,
      state: 'delivered',
      version: version(2),
    });
    assert.equal(ledger.latest('other', destination, 'a'), undefined);
    assert.equal(ledger.latest(job, 'server:/other', 'a'), undefined);
    assert.equal(ledger.latest(job, destination, 'A'), undefined);
  });

  contract('gives every name back as it was, also after it was closed', ({ ledger, another }) => {
    const asked = NAMES.map((name) =>
      file(name, { target: `/${name}`, destination: `server:${name}`, job: `job ${name.toWellFormed()}` }),
    );
    assert.deepEqual(pathsOf(ledger.owe(asked, T0)), NAMES);
    ledger[Symbol.dispose]();
    const later = another();
    for (const { job, destination, path, target } of asked) {
      const latest = later.latest(job, destination, path);
      assert.equal(latest?.target, target);
      const { destination: kept, path: keptPath, job: keptJob } = known(later, latest.id);
      assert.deepEqual([kept, keptPath, keptJob], [destination, path, job]);
    }
    assert.deepEqual(later.owe(asked, T0), []);
  });

  contract('gives every version back as it was', ({ ledger }) => {
    const versions = [
      { sizeBytes: 0, mtimeMs: 0, tag: '' },
      { sizeBytes: Number.MAX_SAFE_INTEGER, mtimeMs: 1_700_000_000_123.456, tag: '"etag-\'"' },
      { sizeBytes: 1, mtimeMs: -1.5, tag: '18446744073709551615' },
    ];
    for (const each of versions) {
      const made = owe(ledger, file('a', { version: each }));
      assert.deepEqual(known(ledger, made.id).version, each);
      assert.deepEqual(ledger.owe([file('a', { version: each })], T0), []);
    }
  });

  contract('owes nothing for a version that it knows, whatever became of it', async ({ ledger }) => {
    owe(ledger, file('due'));
    take(ledger);
    await sending(ledger, file('sending'));
    await ended(ledger, file('delivered'));
    await ended(ledger, file('failed'), failed());
    const again = ['due', 'sending', 'delivered', 'failed'].map((name) => file(name));
    assert.deepEqual(ledger.owe(again, T0 + 1), []);
  });

  for (const [what, other] of [
    ['size', { sizeBytes: 1 }],
    ['modification time', { mtimeMs: T0 + 1.124 }],
    ['inode or tag', { tag: 'other' }],
  ] as const) {
    contract(`owes a file anew when its ${what} is another`, async ({ ledger }) => {
      await ended(ledger, file('a'));
      const made = ledger.owe([file('a', { version: { ...version(1), ...other } })], T0);
      assert.equal(made.length, 1);
    });
  }

  contract('owes a file anew to another place, and for another job', async ({ ledger }) => {
    await ended(ledger, file('a'));
    const made = ledger.owe(
      [
        file('a', { target: '/elsewhere/a' }),
        file('a', { destination: 'server:/two' }),
        file('a', { endpoint: 'two' }),
        file('a', { job: 'two' }),
        file('A'),
      ],
      T0,
    );
    assert.equal(made.length, 5);
  });

  for (const kind of ['vanished', 'changed'] as const) {
    contract(`owes a file anew that was given up as ${kind} and is back as it was`, async ({ ledger }) => {
      const gone = await ended(ledger, file('a'), superseded(kind));
      assert.equal(ledger.latest(gone.job, gone.destination, 'a')?.vanished, true);
      const made = owe(ledger, file('a'), T0 + 9);
      assert.notEqual(made.id, gone.id);
      assert.equal(ledger.latest(gone.job, gone.destination, 'a')?.vanished, false);
    });
  }

  contract('owes a file anew that was skipped, when it is asked to', async ({ ledger }) => {
    const skipped = await ended(ledger, file('a'), superseded('skipped'));
    assert.equal(ledger.latest(skipped.job, skipped.destination, 'a')?.skippedMs, skipped.updatedAtMs);
    const made = owe(ledger, file('a'), T0 + 9);
    assert.notEqual(made.id, skipped.id);
    assert.equal(ledger.latest(skipped.job, skipped.destination, 'a')?.skippedMs, undefined);
    assert.deepEqual(ledger.owe([file('a')], T0 + 10), [], 'now it is owed');
  });

  contract('disowns what a job owes to destinations that it has no more', async ({ ledger }) => {
    const gone = { endpoint: 'gone', destination: 'gone:/in' };
    const failure = await ended(ledger, file('failed', gone), failed());
    owe(ledger, file('queued', gone));
    const [entry] = take(ledger, { endpoint: 'gone' });
    assert.ok(entry);
    const due = owe(ledger, file('due', gone));
    const moved = owe(ledger, file('moved', { destination: 'server:/before' }));
    const kept = [owe(ledger, file('kept')), owe(ledger, file('due', { ...gone, job: 'another' }))];

    const why = noteOf(fault('vanished'));
    assert.equal(ledger.disown(failure.job, [file('kept').destination], why, T0 + 9), 4);
    for (const { id } of [failure, entry, due, moved]) {
      assert.equal(ledger.get(id)?.state, 'superseded');
      assert.deepEqual(ledger.get(id)?.error, why);
    }
    for (const { id, state } of kept) assert.equal(ledger.get(id)?.state, state);
    assert.equal(ledger.open([failure.job]), 1);
    assert.equal(await ledger.claim(entry.id, entry.generation, T0 + 9), undefined);
    assert.equal(ledger.disown(failure.job, [file('kept').destination], why, T0 + 9), 0);
    assert.equal(ledger.owe([file('due', gone)], T0 + 10).length, 1, 'owed anew when it comes back');
  });

  contract('a newer version takes the place of one that is due, queued or failed', async ({ ledger }) => {
    const due = owe(ledger, file('due', { endpoint: 'other' }));
    const queued = owe(ledger, file('queued'));
    const entry = only(take(ledger));
    const failure = await ended(ledger, file('failed'), failed());
    for (const name of ['queued', 'failed']) owe(ledger, file(name, { version: version(2) }), T0 + 7);
    owe(ledger, file('due', { endpoint: 'other', version: version(2) }), T0 + 7);
    for (const { id } of [due, queued, failure]) {
      assert.equal(known(ledger, id).state, 'superseded');
      assert.equal(known(ledger, id).updatedAtMs, T0 + 7);
    }
    assert.equal(await ledger.claim(entry.id, entry.generation, T0), undefined, 'its queue entry is void');
  });

  contract('a newer version leaves one that is sending, and one that has arrived', async ({ ledger }) => {
    const atWork = await sending(ledger, file('sending'));
    const there = await ended(ledger, file('delivered'));
    for (const name of ['sending', 'delivered']) owe(ledger, file(name, { version: version(2) }));
    assert.equal(known(ledger, atWork.id).state, 'sending');
    assert.equal(known(ledger, there.id).state, 'delivered');
    await ledger.settle(atWork.id, arrived(atWork), TIMES);
    assert.equal(known(ledger, atWork.id).state, 'delivered');
  });

  contract('every older version gives way, also one that went back to the queue', async ({ ledger }) => {
    const first = await sending(ledger, file('a'));
    const second = owe(ledger, file('a', { version: version(2) }));
    const again = { state: 'queued', fault: fault('unreachable'), counts: false, nextAtMs: T0 } as const;
    await ledger.settle(first.id, again, TIMES);
    const third = owe(ledger, file('a', { version: version(3) }));
    const states = [first, second, third].map(({ id }) => known(ledger, id).state);
    assert.deepEqual(states, ['superseded', 'superseded', 'due']);
  });

  contract(
    'a superseded delivery stays marked for the temporary that it may have left',
    async ({ ledger }) => {
      const first = await sending(ledger, file('a'));
      const again = { state: 'due', fault: fault('unreachable'), counts: false, nextAtMs: T0 } as const;
      await ledger.settle(first.id, again, TIMES);
      owe(ledger, file('a', { version: version(2) }));
      assert.equal(only(ledger.leftovers('server', 10)).id, first.id);
    },
  );

  contract('only the same file gives way: same job, destination and path', ({ ledger }) => {
    const others = [
      file('a', { job: 'two' }),
      file('a', { destination: 'server:/two' }),
      file('a', { endpoint: 'two' }),
      file('b'),
    ].map((each) => owe(ledger, each));
    owe(ledger, file('a', { version: version(2) }));
    for (const { id } of others) assert.equal(known(ledger, id).state, 'due');
  });

  contract('takes doubles in one call as one after the other', ({ ledger }) => {
    const made = ledger.owe([file('a'), file('a'), file('a', { version: version(2) })], T0);
    assert.deepEqual(
      made.map(({ id }) => known(ledger, id).state),
      ['superseded', 'due'],
    );
    const counts = ledger.counts().map(({ state, files, bytes }) => `${state} ${files} ${bytes}`);
    assert.deepEqual(counts.sort(), ['due 1 1002', 'superseded 1 1001']);
  });

  contract('owes all or, when one cannot be kept, none', ({ ledger }) => {
    owe(ledger, file('b'));
    const broken = file('c', { version: { ...version(1), mtimeMs: Number.NaN } });
    assert.throws(() => ledger.owe([file('a'), file('b', { version: version(2) }), broken], T0));
    assert.deepEqual(pathsOf(take(ledger)), ['b']);
    assert.equal(ledger.open(['invoices']), 1);
  });

  contract('never gives a number twice', async ({ ledger }) => {
    const first = await ended(ledger, file('a'), superseded('vanished'));
    assert.equal(ledger.prune(T0 + 1000, 10), 1);
    const { id } = owe(ledger, file('a'));
    assert.ok(id > first.id);
    await claimAll(ledger, take(ledger));
  });
}

function superseded(kind: FaultKind): Outcome {
  return { state: 'superseded', fault: fault(kind), leftover: false };
}
