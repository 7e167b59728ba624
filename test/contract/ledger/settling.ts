/** How attempts end, and what that makes of a delivery. */

import assert from 'node:assert/strict';
import { noteOf, type Outcome } from '../../../src/sync/delivery.ts';
import {
  arrived,
  type Contract,
  claimAll,
  failed,
  fault,
  file,
  known,
  only,
  owe,
  pathsOf,
  receipt,
  SHA,
  sending,
  T0,
  TIMES,
  take,
  version,
} from './kit.ts';

const NOT_CLAIMED = { name: 'Fault', kind: 'aborted', code: 'NOT_CLAIMED' };

export function settleContract(contract: Contract): void {
  contract('records what arrived, with its receipt', async ({ ledger }) => {
    const claimed = await sending(ledger, file('a'));
    const there = {
      ...receipt(claimed),
      remotePath: '/in/a (1)',
      verified: 'checksum',
      reference: '"etag"',
    } as const;
    await ledger.settle(claimed.id, { state: 'delivered', receipt: there }, TIMES);
    assert.deepEqual(known(ledger, claimed.id), {
      ...claimed,
      state: 'delivered',
      leftover: false,
      remotePath: '/in/a (1)',
      sha256: SHA,
      verified: 'checksum',
      reference: '"etag"',
      updatedAtMs: TIMES.endedAtMs,
      deliveredAtMs: TIMES.endedAtMs,
    });
    const attempt = {
      delivery: claimed.id,
      ...TIMES,
      outcome: 'delivered',
      counted: false,
      error: undefined,
    };
    assert.deepEqual(ledger.attempts(claimed.id), [attempt]);
  });

  contract(
    'records a receipt that came without a checksum, under the name that was asked for',
    async ({ ledger }) => {
      const claimed = await sending(ledger, file('\udcfe'));
      const there = { ...receipt(claimed), sha256: undefined };
      await ledger.settle(claimed.id, { state: 'delivered', receipt: there }, TIMES);
      const { remotePath, sha256, verified, reference } = known(ledger, claimed.id);
      assert.deepEqual(
        [remotePath, sha256, verified, reference],
        ['/in/\udcfe', undefined, 'size', undefined],
      );
    },
  );

  contract(
    'forgets the last error once the delivery has arrived, and keeps it with the attempt',
    async ({ ledger }) => {
      const { id } = await sending(ledger, file('a'));
      await ledger.settle(id, again(true), TIMES);
      assert.deepEqual(known(ledger, id).error, noteOf(fault('transient')));
      const claimed = only(await claimAll(ledger, [known(ledger, id)]));
      await ledger.settle(id, arrived(claimed), TIMES);
      assert.equal(known(ledger, id).error, undefined);
      const outcomes = ledger.attempts(id).map(({ outcome, error }) => [outcome, error?.kind]);
      assert.deepEqual(outcomes, [
        ['transient', 'transient'],
        ['delivered', undefined],
      ]);
    },
  );

  contract('counts attempts against the file only where that is said', async ({ ledger }) => {
    const { id } = await sending(ledger, file('a'));
    for (const [counts, kind, during] of [
      [true, 'transient', undefined],
      [false, 'unreachable', undefined],
      [false, 'unreachable', 'connect'],
      [false, 'aborted', undefined],
      [true, 'unreachable', undefined],
    ] as const) {
      const before = known(ledger, id).generation;
      const outcome = { state: 'queued', fault: fault(kind, during), counts, nextAtMs: T0 + 50 } as const;
      await ledger.settle(id, outcome, TIMES);
      const { state, nextAtMs, generation } = known(ledger, id);
      assert.deepEqual([state, nextAtMs, generation], ['queued', T0 + 50, before]);
      await claimAll(ledger, [known(ledger, id)]);
    }
    const { attempts, cuts } = known(ledger, id);
    assert.deepEqual({ attempts, cuts }, { attempts: 2, cuts: 1 });
    const counted = ledger.attempts(id).map((attempt) => attempt.counted);
    assert.deepEqual(counted, [true, false, false, false, true]);
  });

  contract('puts one back to due, for whoever takes next', async ({ ledger, another }) => {
    const { id, generation } = await sending(ledger, file('a'));
    const outcome = { state: 'due', fault: fault('aborted'), counts: false, nextAtMs: T0 } as const;
    await ledger.settle(id, outcome, TIMES);
    assert.equal(known(ledger, id).generation, generation + 1);
    assert.equal(known(ledger, id).leftover, true);
    assert.equal(await ledger.claim(id, generation, T0), undefined);
    assert.deepEqual(pathsOf(take(another())), ['a']);
  });

  contract(
    'keeps what was accepted and is not confirmed in the queue; no attempt has ended',
    async ({ ledger }) => {
      const claimed = await sending(ledger, file('a'));
      await ledger.checkpoint(claimed.id, 'transfer 1');
      await ledger.settle(claimed.id, { state: 'pending', nextAtMs: T0 + 500, waits: 'queued' }, TIMES);
      const pending = known(ledger, claimed.id);
      assert.deepEqual(
        [pending.state, pending.nextAtMs, pending.note, pending.generation, pending.attempts],
        ['queued', T0 + 500, 'transfer 1', claimed.generation, 0],
      );
      assert.deepEqual(ledger.attempts(claimed.id), []);
      await claimAll(ledger, [pending]);
    },
  );

  contract('lets what was accepted wait as due, where a queue is full', async ({ ledger, another }) => {
    const claimed = await sending(ledger, file('a'));
    await ledger.checkpoint(claimed.id, 'transfer 1', true);
    await ledger.settle(claimed.id, { state: 'pending', nextAtMs: T0 + 500, waits: 'due' }, TIMES);
    const pending = known(ledger, claimed.id);
    assert.deepEqual(
      [pending.state, pending.nextAtMs, pending.note, pending.generation],
      ['due', T0 + 500, 'transfer 1', claimed.generation + 1],
    );
    assert.deepEqual(ledger.attempts(claimed.id), []);
    assert.deepEqual(pathsOf(take(another(), { nowMs: T0 + 499 })), []);
    assert.deepEqual(pathsOf(take(another(), { nowMs: T0 + 500 })), ['a']);
  });

  contract(
    'counts as being sent what the far side may be at work on, until a checkpoint says otherwise',
    async ({ ledger }) => {
      const older = await sending(ledger, file('a', { version: version(1) }));
      await ledger.checkpoint(older.id, 'transfer 1', true);
      await ledger.settle(older.id, { state: 'pending', nextAtMs: T0, waits: 'queued' }, TIMES);
      const newer = owe(ledger, file('a', { version: version(2) }));
      assert.equal(known(ledger, older.id).state, 'queued', 'the newer version does not take its place');
      assert.deepEqual([...ledger.underWay()], [[older.job, 1]]);
      const taken = only(take(ledger));
      assert.equal(taken.id, newer.id);
      assert.equal(await ledger.claim(newer.id, taken.generation, T0), undefined, 'one at a time');

      const again = await ledger.claim(older.id, older.generation, T0);
      assert.ok(again, 'and the older one can go on');
      await ledger.checkpoint(older.id, 'over');
      assert.deepEqual([...ledger.underWay()], []);
      const due = { state: 'due', fault: fault('transient'), counts: true, nextAtMs: T0 } as const;
      await ledger.settle(older.id, due, TIMES);
      assert.ok(await ledger.claim(newer.id, taken.generation, T0), 'nothing is under way any more');
    },
  );

  contract(
    'lets a newer version take the place of one that failed while it was under way',
    async ({ ledger }) => {
      const older = await sending(ledger, file('a', { version: version(1) }));
      await ledger.checkpoint(older.id, 'transfer 1', true);
      const failed = { state: 'failed', fault: fault('permanent'), leftover: true } as const;
      await ledger.settle(older.id, failed, TIMES);
      owe(ledger, file('a', { version: version(2) }));
      assert.equal(known(ledger, older.id).state, 'superseded');
      assert.equal(known(ledger, older.id).note, 'transfer 1', 'what it left can be found');
    },
  );

  contract('leaves what is under way when its destination is gone from the job', async ({ ledger }) => {
    const older = await sending(ledger, file('a'));
    await ledger.checkpoint(older.id, 'transfer 1', true);
    await ledger.settle(older.id, { state: 'pending', nextAtMs: T0, waits: 'queued' }, TIMES);
    const why = noteOf(fault('vanished'));
    assert.equal(ledger.disown(older.job, [], why, T0), 0);
    assert.equal(known(ledger, older.id).state, 'queued');
  });

  contract('lets go of what is under way for jobs and endpoints that are gone', async ({ ledger }) => {
    const older = await sending(ledger, file('a'));
    await ledger.checkpoint(older.id, 'transfer 1', true);
    await ledger.settle(older.id, { state: 'pending', nextAtMs: T0, waits: 'queued' }, TIMES);
    const why = noteOf(fault('vanished'));
    assert.equal(ledger.letGo([older.job, 'other'], [older.endpoint]), 0);
    assert.equal(ledger.disown(older.job, [], why, T0), 0);
    assert.equal(ledger.letGo([older.job], ['other']), 1);
    assert.equal(ledger.letGo(['other'], ['other']), 0);
    assert.equal(ledger.disown(older.job, [], why, T0), 1);
    assert.equal(known(ledger, older.id).note, 'transfer 1', 'what it left can be found');
  });

  contract('records failures and what was given up, with the reason', async ({ ledger }) => {
    for (const [outcome, attempts] of [
      [{ state: 'failed', fault: fault('permanent'), leftover: true }, 1],
      [{ state: 'failed', fault: fault('transient'), leftover: false }, 1],
      [{ state: 'failed', fault: fault('rejected'), leftover: false }, 0],
      [{ state: 'superseded', fault: fault('skipped'), leftover: false }, 0],
      [{ state: 'superseded', fault: fault('vanished'), leftover: true }, 0],
    ] as const) {
      const claimed = await sending(ledger, file(`${outcome.state} ${outcome.fault.kind}`));
      await ledger.settle(claimed.id, outcome, TIMES);
      const error = noteOf(outcome.fault);
      const { state, leftover } = outcome;
      const endedAt = { updatedAtMs: TIMES.endedAtMs };
      assert.deepEqual(known(ledger, claimed.id), {
        ...claimed,
        state,
        leftover,
        attempts,
        error,
        ...endedAt,
      });
      const attempt = { delivery: claimed.id, ...TIMES, outcome: error.kind, counted: attempts === 1, error };
      assert.deepEqual(ledger.attempts(claimed.id), [attempt]);
    }
  });

  contract('settles only what it has claimed, and that once', async ({ ledger, another }) => {
    const other = another();
    const claimed = await sending(ledger, file('a'));
    await assert.rejects(other.settle(claimed.id, arrived(claimed), TIMES), NOT_CLAIMED);
    await assert.rejects(other.checkpoint(claimed.id, 'note'), NOT_CLAIMED);
    await ledger.settle(claimed.id, arrived(claimed), TIMES);
    await assert.rejects(ledger.settle(claimed.id, failed(), TIMES), NOT_CLAIMED);
    await assert.rejects(ledger.checkpoint(claimed.id, 'note'), NOT_CLAIMED);
    assert.equal(ledger.attempts(claimed.id).length, 1);
    assert.equal(known(ledger, claimed.id).state, 'delivered');
  });

  contract('settles many at once; what fails among them fails alone', async ({ ledger }) => {
    const asked = Array.from({ length: 300 }, (_, n) => file(`${n}`));
    ledger.owe(asked, T0);
    const claimed = await claimAll(ledger, take(ledger));
    const settled = claimed.flatMap((each, n) =>
      n % 100 === 50 ? [settle(each), ledger.settle(each.id + 1000, failed(), TIMES)] : [settle(each)],
    );
    const results = await Promise.allSettled(settled);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 300);
    assert.equal(results.filter(({ status }) => status === 'rejected').length, 3);
    const states = [...ledger.history({ state: 'delivered' })];
    assert.equal(states.length, 300);
    assert.equal(states.filter(({ id }) => ledger.attempts(id).length === 1).length, 300);

    function settle(each: (typeof claimed)[number]): Promise<void> {
      return ledger.settle(each.id, arrived(each), TIMES);
    }
  });

  contract('what waits for the disk is kept when the ledger is closed', async ({ ledger, another }) => {
    const claimed = await sending(ledger, file('a'));
    const settled = ledger.settle(claimed.id, arrived(claimed), TIMES);
    ledger[Symbol.dispose]();
    await settled;
    assert.equal(known(another(), claimed.id).state, 'delivered');
    await assert.rejects(ledger.settle(claimed.id, failed(), TIMES), {
      kind: 'aborted',
      code: 'LEDGER_CLOSED',
    });
  });
}

function again(counts: boolean): Outcome {
  return { state: 'queued', fault: fault('transient'), counts, nextAtMs: T0 };
}
