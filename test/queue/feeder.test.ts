import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { type Entry, Feeder } from '../../src/queue/feeder.ts';
import { openMemory } from '../../src/queue/memory.ts';
import { Fault } from '../../src/sync/errors.ts';
import { until } from '../support/until.ts';
import { makeHome, owedFile } from './support.ts';

const BACKLOG = 100;

async function makeFeeder(files: number) {
  const home = await makeHome();
  const ledger = openLedger({ folder: home.folder, now: Date.now });
  const backend = await openMemory();
  const queue = await backend.makeQueue<Entry>('send-server');
  const owed = ledger.owe(
    Array.from({ length: files }, (_, index) => owedFile('server', `file-${index}`)),
    Date.now(),
  );
  const feeder = new Feeder({
    endpoint: 'server',
    ledger,
    queue,
    backlog: BACKLOG,
    now: Date.now,
    which: () => ({ ordered: [] }),
    trouble: (error) => {
      throw error;
    },
  });
  return {
    ledger,
    queue,
    backend,
    feeder,
    owed,
    async feed() {
      feeder.kick();
      await feeder.idle();
    },
    async [Symbol.asyncDispose]() {
      await backend.close();
      ledger[Symbol.dispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

test('the backlog is bounded, and filled up when half of it is gone', async () => {
  await using made = await makeFeeder(1_000);
  const { feeder, queue, feed } = made;
  await feed();
  await feed();
  assert.deepEqual([feeder.ready, await queue.count()], [BACKLOG, BACKLOG]);
  const ids = (await queue.getJobs(['waiting'], 0, BACKLOG / 2, true)).map(({ id }) => id ?? '');
  for (const id of ids.slice(1)) feeder.started(id);
  await feeder.idle();
  assert.equal(feeder.ready, BACKLOG);
});

test('an entry holds the id and the generation, and can be added again and again', async () => {
  await using made = await makeFeeder(1);
  const { feeder, queue, owed, feed } = made;
  await feed();
  feeder.restore();
  await feed();
  const [job, ...others] = await queue.getJobs(['waiting']);
  assert.equal(others.length, 0);
  assert.deepEqual(job?.data, { id: owed[0]?.id, generation: 1 });
  assert.equal(job?.id, `d${owed[0]?.id}.1`);
  assert.equal(job?.name, 'job: file-0');
});

test('entries that got lost on the way are put back', async () => {
  await using made = await makeFeeder(10);
  const { feeder, queue, feed } = made;
  await feed();
  const ids = (await queue.getJobs(['waiting'])).map(({ id }) => id ?? '');
  for (const id of ids.slice(0, 4)) await queue.remove(id);
  assert.equal(await queue.count(), 6);
  await feeder.sweep(-1_000);
  assert.equal(await queue.count(), 10);
});

test('entries that lie among the failed ones though the ledger calls them queued are put back', async () => {
  await using made = await makeFeeder(3);
  const { feeder, queue, backend, feed } = made;
  await feed();
  const fail = async () => {
    throw new Error('not what the policy says');
  };
  const worker = await backend.makeWorker<Entry>('send-server', fail, { concurrency: 1, backoff: () => -1 });
  void worker.run();
  await until('all to fail', async () => (await queue.getFailedCount()) === 3);
  await worker.close(true);
  await feeder.sweep(-1_000);
  assert.equal(await queue.getWaitingCount(), 3);
});

test('a late try is not sooner ready than its time', async () => {
  await using made = await makeFeeder(1);
  const { ledger, feeder, queue, owed, feed } = made;
  const [taken] = ledger.take({ endpoint: 'server', limit: 1, nowMs: Date.now(), ordered: [] });
  assert.ok(
    taken !== undefined && (await ledger.claim(taken.id, taken.generation, Date.now())) !== undefined,
  );
  const fault = new Fault('transient', 'disk full');
  const times = { startedAtMs: 0, endedAtMs: 0 };
  await ledger.settle(
    taken.id,
    { state: 'queued', fault, counts: true, nextAtMs: Date.now() + 60_000 },
    times,
  );
  feeder.restore();
  await feed();
  assert.deepEqual([feeder.ready, await queue.getDelayedCount(), await queue.getWaitingCount()], [0, 1, 0]);
  assert.equal(owed.length, 1);
});
