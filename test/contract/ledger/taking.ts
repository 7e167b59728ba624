/** What is taken into a queue, in which order, and how it comes back. */

import assert from 'node:assert/strict';
import type { NewDelivery } from '../../../src/sync/delivery.ts';
import {
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
} from './kit.ts';

const LATER = T0 + 60_000;

export function takeContract(contract: Contract): void {
  contract('takes the oldest first, up to the limit, each once', ({ ledger }) => {
    for (const name of ['c', 'a', 'd', 'b']) owe(ledger, file(name, { job: `job ${name}` }));
    const first = take(ledger, { limit: 3, nowMs: T0 + 3 });
    assert.deepEqual(pathsOf(first), ['c', 'a', 'd']);
    for (const delivery of first) {
      assert.equal(delivery.state, 'queued');
      assert.equal(delivery.updatedAtMs, T0 + 3);
      assert.deepEqual(known(ledger, delivery.id), delivery);
    }
    assert.deepEqual(pathsOf(take(ledger, { limit: Number.POSITIVE_INFINITY })), ['b']);
    assert.deepEqual(take(ledger), []);
    assert.deepEqual(take(ledger, { limit: 0 }), []);
  });

  contract('takes only for that endpoint, of those jobs, and none that is excepted', ({ ledger }) => {
    for (const job of ['one', 'two', 'three']) owe(ledger, file('a', { job }));
    owe(ledger, file('a', { endpoint: 'elsewhere' }));
    const jobsOf = (changes: Parameters<typeof take>[1]) => take(ledger, changes).map(({ job }) => job);
    assert.deepEqual(jobsOf({ jobs: ['two', 'three', 'none'], exceptJobs: ['three'] }), ['two']);
    assert.deepEqual(jobsOf({ jobs: [] }), []);
    assert.deepEqual(jobsOf({ endpoint: 'unknown' }), []);
    assert.deepEqual(jobsOf({ exceptJobs: ['one'] }), ['three']);
    assert.deepEqual(jobsOf({}), ['one']);
  });

  contract('takes nothing before its time', async ({ ledger }) => {
    await postpone(file('a'));
    assert.deepEqual(take(ledger, { nowMs: LATER - 1 }), []);
    assert.deepEqual(pathsOf(take(ledger, { nowMs: LATER })), ['a']);

    async function postpone(delivery: NewDelivery): Promise<void> {
      const { id } = await sending(ledger, delivery);
      await ledger.settle(id, back(LATER), TIMES);
    }
  });

  contract('two that take at once share what is due', ({ ledger, another }) => {
    const two = another();
    for (let n = 0; n < 10; n += 1) owe(ledger, file(`${n}`));
    const taken = [take(ledger, { limit: 3 }), take(two, { limit: 3 }), take(ledger), take(two)].flatMap(
      pathsOf,
    );
    assert.equal(taken.length, 10);
    assert.equal(new Set(taken).size, 10);
  });

  contract(
    'of a job in the order of names, takes the first name, and nothing while that is on its way',
    async ({ ledger }) => {
      const ordered = [{ job: 'invoices', order: 'name' }] as const;
      for (const name of ['b', 'c', 'x/a', 'a']) owe(ledger, file(name));
      owe(ledger, file('z', { job: 'other' }));
      assert.deepEqual(pathsOf(take(ledger, { ordered })), ['a', 'z']);
      assert.deepEqual(take(ledger, { ordered }), []);
      const first = only(await claimAll(ledger, queuedOf('a')));
      assert.deepEqual(take(ledger, { ordered }), []);
      owe(ledger, file('0'));
      assert.deepEqual(take(ledger, { ordered }), []);
      await ledger.settle(first.id, failed(), TIMES);
      assert.deepEqual(
        pathsOf(take(ledger, { ordered })),
        ['0'],
        'a failed one waits for a person, not the others',
      );

      function queuedOf(path: string) {
        return ledger.queuedBefore('server', LATER, 10).filter((delivery) => delivery.path === path);
      }
    },
  );

  contract('of a job in the order of modification times, takes the first of these', ({ ledger }) => {
    const ordered = [{ job: 'invoices', order: 'mtime' }] as const;
    for (const [name, mtimeMs] of [
      ['a', 30],
      ['b', 10.5],
      ['c', 10.25],
      ['d', 20],
    ] as const) {
      owe(ledger, file(name, { version: { sizeBytes: 1, mtimeMs, tag: '' } }));
    }
    assert.deepEqual(pathsOf(take(ledger, { ordered })), ['c']);
  });

  contract('of a job that keeps an order, takes none while the first must wait', async ({ ledger }) => {
    const ordered = [{ job: 'invoices', order: 'name' }] as const;
    const first = await sending(ledger, file('a'));
    owe(ledger, file('b'));
    await ledger.settle(first.id, back(LATER), TIMES);
    assert.deepEqual(take(ledger, { ordered }), []);
    assert.deepEqual(pathsOf(take(ledger, { ordered, nowMs: LATER })), ['a']);
  });

  contract('keeps an order at each endpoint for itself', ({ ledger }) => {
    const ordered = [{ job: 'invoices', order: 'name' }] as const;
    for (const endpoint of ['server', 'other'])
      for (const name of ['b', 'a']) owe(ledger, file(name, { endpoint }));
    assert.deepEqual(pathsOf(take(ledger, { ordered })), ['a']);
    assert.deepEqual(pathsOf(take(ledger, { ordered, endpoint: 'other' })), ['a']);
  });

  contract(
    'for a person, takes also what another has queued, and makes that entry void',
    async ({ ledger, another }) => {
      const worker = another();
      for (const name of ['later', 'sending', 'queued']) owe(worker, file(name));
      const entries = take(worker);
      const [later, atWork] = await claimAll(worker, entries.slice(0, 2));
      assert.ok(later && atWork);
      await worker.settle(later.id, again(LATER), TIMES);
      owe(ledger, file('due'));
      assert.deepEqual(pathsOf(take(ledger, { limit: 1 })), ['due'], 'not unless asked');
      const stolen = take(ledger, { steal: true });
      assert.deepEqual(pathsOf(stolen), ['later', 'queued']);
      for (const { id, generation } of entries)
        assert.equal(await worker.claim(id, generation, T0), undefined);
      assert.deepEqual(take(ledger, { steal: true }), [], 'not from itself');
      assert.equal((await claimAll(ledger, stolen)).length, 2);
      assert.equal(known(ledger, atWork.id).state, 'sending');
    },
  );

  contract('for a person, takes what is due whatever its time', async ({ ledger }) => {
    const { id } = await sending(ledger, file('a'));
    await ledger.settle(id, back(LATER), TIMES);
    assert.deepEqual(pathsOf(take(ledger, { steal: true })), ['a']);
  });

  contract('for a person, keeps a job in order all the same', async ({ ledger, another }) => {
    const ordered = [{ job: 'invoices', order: 'name' }] as const;
    const worker = another();
    for (const name of ['b', 'a', 'c']) owe(worker, file(name));
    take(worker, { ordered });
    assert.deepEqual(pathsOf(take(ledger, { ordered, steal: true })), ['a']);
    await claimAll(ledger, ledger.queuedBefore('server', LATER, 10));
    assert.deepEqual(take(worker, { ordered, steal: true }), []);
  });

  contract(
    'lists what it has queued and not claimed, when its time has passed',
    async ({ ledger, another }) => {
      for (const name of ['a', 'b', 'c', 'd'])
        owe(ledger, file(name, { version: { sizeBytes: 1, mtimeMs: 1, tag: '' } }));
      owe(ledger, file('elsewhere', { endpoint: 'other' }));
      take(ledger, { endpoint: 'other' });
      take(another(), { limit: 1 });
      const [first] = take(ledger);
      assert.ok(first);
      await claimAll(ledger, [first]);
      assert.deepEqual(pathsOf(ledger.queuedBefore('server', T0 + 1, 10)), ['c', 'd']);
      assert.deepEqual(pathsOf(ledger.queuedBefore('server', T0 + 1, 1)), ['c']);
      assert.deepEqual(ledger.queuedBefore('server', T0, 10), []);
      await ledger.settle(first.id, again(LATER), TIMES);
      assert.deepEqual(pathsOf(ledger.queuedBefore('server', LATER + 1, 10)), ['c', 'd', 'b']);
    },
  );

  contract(
    'releases what it has queued, at one endpoint or all, and not what it is sending',
    async ({ ledger, another }) => {
      const atWork = await sending(ledger, file('sending'));
      for (const name of ['a', 'b']) owe(ledger, file(name));
      for (const name of ['c', 'd']) owe(ledger, file(name, { endpoint: 'other' }));
      const before = [...take(ledger, { limit: 1 }), ...take(ledger, { endpoint: 'other' })];
      const theirs = only(take(another()));
      assert.equal(ledger.release('server'), 1);
      assert.equal(ledger.release('unknown'), 0);
      assert.equal(ledger.release(), 2);
      assert.equal(ledger.release(), 0);
      for (const { id, generation } of before) {
        assert.equal(known(ledger, id).state, 'due');
        assert.equal(known(ledger, id).generation, generation + 1);
        assert.equal(await ledger.claim(id, generation, T0), undefined);
      }
      assert.equal(known(ledger, atWork.id).state, 'sending');
      assert.equal(known(ledger, theirs.id).state, 'queued');
    },
  );

  contract('releases also what was settled back into the queue just before', async ({ ledger }) => {
    const { id } = await sending(ledger, file('a'));
    const settled = ledger.settle(id, again(T0), TIMES);
    assert.equal(ledger.release(), 1);
    await settled;
    assert.equal(known(ledger, id).state, 'due');
  });

  contract('does not take what has ended', async ({ ledger }) => {
    await ended(ledger, file('delivered'));
    await ended(ledger, file('failed'), failed());
    assert.deepEqual(take(ledger, { steal: true }), []);
  });
}

function back(nextAtMs: number) {
  return { state: 'due', fault: fault('unreachable'), counts: false, nextAtMs } as const;
}

function again(nextAtMs: number) {
  return { state: 'queued', fault: fault('transient'), counts: true, nextAtMs } as const;
}
