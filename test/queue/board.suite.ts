/** What a dashboard sees of a queue and does to it: the same on any backend. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import type { OnBackend } from './support.ts';

interface Data {
  readonly n: number;
}

export function boardSuite({ backend }: OnBackend): void {
  test('a dashboard sees each entry in its state, in order, and can move it', async () => {
    const queue = await backend().makeQueue<Data>('send-board');
    await queue.addBulk([
      ...[1, 2, 3].map((n) => ({ name: `file ${n}`, data: { n }, opts: { jobId: `w${n}` } })),
      { name: 'later', data: { n: 4 }, opts: { jobId: 'd4', delay: 3_600_000 } },
      { name: 'again', data: { n: 1 }, opts: { jobId: 'w1' } },
    ]);
    assert.deepEqual(await queue.getJobCounts('waiting', 'active', 'delayed', 'completed', 'failed'), {
      waiting: 3,
      active: 0,
      delayed: 1,
      completed: 0,
      failed: 0,
    });
    const ids = async (state: 'waiting' | 'delayed' | 'failed', asc = true) =>
      (await queue.getJobs([state], 0, -1, asc)).map(({ id }) => id);
    assert.deepEqual(await ids('waiting'), ['w1', 'w2', 'w3']);
    assert.deepEqual(await ids('waiting', false), ['w3', 'w2', 'w1']);
    assert.deepEqual(
      (await queue.getJobs(['waiting'], 0, 1, true)).map(({ id }) => id),
      ['w1', 'w2'],
    );
    const first = await queue.getJob('w1');
    assert.deepEqual([first?.name, first?.data, await first?.getState()], ['file 1', { n: 1 }, 'waiting']);
    assert.equal(await queue.getJob('none'), undefined);

    assert.equal(await queue.remove('w3'), 1);
    assert.equal(await queue.getJob('w3'), undefined);
    await (await queue.getJob('d4'))?.promote();
    assert.deepEqual(await ids('waiting'), ['w1', 'w2', 'd4']);
    await first?.log('seen');
    assert.deepEqual(await queue.getJobLogs('w1'), { logs: ['seen'], count: 1 });

    const worker = await backend().makeWorker<Data>(
      'send-board',
      async ({ data }) => {
        if (data.n === 2) throw new Error('no permission');
      },
      { concurrency: 1, backoff: () => -1 },
    );
    worker.on('error', () => undefined);
    void worker.run();
    await until(
      'all to be worked off',
      async () => (await queue.getJobCountByTypes('waiting', 'active')) === 0,
    );
    assert.deepEqual(await ids('failed'), ['w2']);
    const failed = await queue.getJob('w2');
    assert.deepEqual(
      [failed?.failedReason, failed?.attemptsMade, await failed?.isFailed()],
      ['no permission', 1, true],
    );
    assert.equal(await queue.getCompletedCount(), 0, 'what is done is forgotten');
    await worker.pause();
    await failed?.retry();
    assert.deepEqual(await ids('waiting'), ['w2']);
    await queue.pause();
    assert.equal(await queue.isPaused(), true);
    await queue.resume();
    await queue.drain(true);
    assert.equal(await queue.count(), 0);
    await worker.close(true);
  });

  test('an entry belongs to the worker that took it', async () => {
    const queue = await backend().makeQueue<Data>('send-stalled');
    await queue.add('x', { n: 1 }, { jobId: 's1' });
    const worker = await backend().makeWorker<Data>('send-stalled', async () => undefined, {
      concurrency: 1,
      backoff: () => -1,
    });
    worker.on('error', () => undefined);
    const held = await worker.getNextJob('a-token', { block: false });
    assert.equal(held?.id, 's1');
    assert.equal(await held?.getState(), 'active');
    // Nobody else may end it.
    await assert.rejects(
      async () => held?.moveToCompleted(undefined, 'another-token', false),
      /Lock mismatch|Missing lock/,
    );
    await held?.moveToDelayed(Date.now() + 1_000, 'a-token');
    assert.equal(await held?.getState(), 'delayed');
    await until(
      'its time to come',
      async () => (await worker.getNextJob('b-token', { block: false })) !== undefined,
    );
    await worker.close(true);
  });
}
