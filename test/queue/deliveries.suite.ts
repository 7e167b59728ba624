/** What the queues promise of deliveries, on any backend. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../src/sync/errors.ts';
import { until, within } from '../support/until.ts';
import { makeRig, type OnBackend } from './support.ts';

const transient = () => new Fault('transient', 'the disk is full over there');
const refused = () =>
  new Fault('unreachable', 'connection refused', { code: 'ECONNREFUSED', during: 'connect' });
const cut = () => new Fault('unreachable', 'the connection was cut', { code: 'ECONNRESET' });

export function deliveriesSuite({ backend }: OnBackend): void {
  test('a passing fault of a file is tried again, later each time, until its attempts are used up', async () => {
    const times = new Map<string, number[]>();
    await using rig = await makeRig({
      backend: backend(),
      retry: { attempts: 3, delayMs: 60, maxDelayMs: 1_000 },
      send: async ({ path }) => {
        times.set(path, [...(times.get(path) ?? []), performance.now()]);
        if (path === 'file-0' || (path === 'file-1' && (times.get(path)?.length ?? 0) < 3)) throw transient();
      },
    });
    const [bad, good] = rig.owe(2);
    await until('both to end', () => rig.files('failed') === 1 && rig.files('delivered') === 1);
    assert.equal(times.get('file-0')?.length, 3);
    const [first = 0, second = 0, third = 0] = times.get('file-0') ?? [];
    assert.ok(second - first >= 29, `the second try came after ${second - first} ms`);
    assert.ok(third - second >= 59, `the third try came after ${third - second} ms`);
    const failed = rig.ledger.get(bad?.id ?? 0);
    assert.equal(failed?.attempts, 3);
    assert.equal(failed?.error?.message, 'the disk is full over there');
    assert.equal(rig.ledger.get(good?.id ?? 0)?.attempts, 2);
    await until('the failure to be told', () => rig.seen.some(([name]) => name === 'failed'));
    assert.equal(rig.seen.filter(([name]) => name === 'failed').length, 1);
  });

  test('a lasting fault of a file stops it at once, and a retry sends it with fresh attempts', async () => {
    let tries = 0;
    await using rig = await makeRig({
      backend: backend(),
      send: async () => {
        tries += 1;
        if (tries === 1) throw new Fault('permanent', 'no permission');
      },
    });
    const [delivery] = rig.owe(1);
    await until('it to fail', () => rig.files('failed') === 1);
    await sleep(100);
    assert.equal(tries, 1);
    rig.ledger.retry({ ids: [delivery?.id ?? 0] }, Date.now());
    await until('the retry to be noticed without a kick', () => rig.files('delivered') === 1);
  });

  test('an endpoint that is down is held and probed, and costs no file an attempt', async () => {
    let down = true;
    let probes = 0;
    let sent = 0;
    await using rig = await makeRig({
      backend: backend(),
      concurrency: 4,
      send: async () => {
        sent += 1;
        if (down) throw refused();
      },
      probe: async () => {
        probes += 1;
        if (down) throw refused();
      },
    });
    rig.owe(50);
    await until('a probe', () => probes > 0);
    const tries = sent;
    assert.ok(tries <= 20, `${tries} files were tried against a closed port`);
    assert.equal(rig.ledger.endpoint(rig.endpoint)?.state, 'held');
    assert.equal(rig.ledger.endpoint(rig.endpoint)?.fault?.code, 'ECONNREFUSED');
    down = false;
    await until('everything to arrive', () => rig.files('delivered') === 50);
    assert.equal(rig.ledger.endpoint(rig.endpoint)?.state, 'up');
    for (const delivery of rig.ledger.history({ job: 'job' })) assert.equal(delivery.attempts, 0);
    assert.equal(rig.seen.filter(([name]) => name === 'endpointUp').length, 1);
    assert.equal(rig.seen.filter(([name]) => name === 'failed').length, 0);
  });

  test('a cut costs a look at the endpoint and nobody an attempt; endless cuts count in the end', async () => {
    let probes = 0;
    await using rig = await makeRig({
      backend: backend(),
      retry: { attempts: 2, delayMs: 10, maxDelayMs: 20 },
      send: async ({ path, cuts }) => {
        if (path === 'file-0' && cuts < 2) throw cut();
      },
      probe: async () => {
        probes += 1;
      },
    });
    const [delivery] = rig.owe(20);
    await until('all to arrive', () => rig.files('delivered') === 20);
    const arrived = rig.ledger.get(delivery?.id ?? 0);
    assert.deepEqual([arrived?.cuts, arrived?.attempts], [2, 0]);
    assert.equal(probes, 2);
    assert.deepEqual(
      rig.seen.filter(([name]) => name.startsWith('endpoint')),
      [],
    );
  });

  test('a refused login stops the endpoint until somebody resumes it', async () => {
    let wrong = true;
    let tries = 0;
    let probes = 0;
    await using rig = await makeRig({
      backend: backend(),
      concurrency: 2,
      send: async () => {
        tries += 1;
        if (wrong) throw new Fault('rejected', 'permission denied (publickey)');
      },
      probe: async () => {
        probes += 1;
        if (wrong) throw new Fault('rejected', 'permission denied (publickey)');
      },
    });
    rig.owe(30);
    await until('the endpoint to stop', () => rig.ledger.endpoint(rig.endpoint)?.state === 'stopped');
    await until('everything to be due again', () => rig.files('due') === 30);
    const before = tries;
    await sleep(1_500);
    assert.equal(tries, before, 'nothing was tried while it is stopped');
    assert.equal(probes, 0);
    assert.ok(before <= 6, `${before} tries before it stopped`);
    rig.deliveries.tryNow(rig.endpoint);
    await until('one more look', () => probes === 1 && rig.deliveries.status()[0]?.gate === 'stopped');
    wrong = false;
    // As `ferry resume` does, from another process.
    rig.ledger.setEndpoint({
      endpoint: rig.endpoint,
      state: 'up',
      fault: undefined,
      sinceMs: Date.now(),
      nextProbeMs: undefined,
    });
    await until('everything to arrive', () => rig.files('delivered') === 30);
    for (const delivery of rig.ledger.history({ job: 'job' })) assert.equal(delivery.attempts, 0);
  });

  test('what a person pauses waits: an endpoint, a job', async () => {
    let sent = 0;
    let open = Promise.withResolvers<void>();
    await using rig = await makeRig({
      backend: backend(),
      concurrency: 2,
      send: async () => {
        sent += 1;
        await open.promise;
      },
    });
    for (const name of [rig.endpoint, 'job']) {
      open = Promise.withResolvers<void>();
      rig.owe(40, { version: { sizeBytes: 1, mtimeMs: sent + 2, tag: '' } });
      await until('some to be sent', () => rig.files('sending') > 0);
      rig.ledger.pause(name, Date.now());
      await until('the pause to be noticed', () =>
        rig.seen.some(([event, paused]) => event === 'paused' && paused === name),
      );
      open.resolve();
      await until('the rest to be due', () => rig.files('queued') + rig.files('sending') === 0);
      const before = sent;
      await sleep(300);
      assert.equal(sent, before);
      assert.ok(rig.files('due') > 0);
      rig.ledger.resume(name);
      await until(
        'everything to arrive',
        () => rig.files('due') + rig.files('queued') + rig.files('sending') === 0,
      );
    }
    assert.equal(rig.files('failed'), 0);
  });

  test('a source that changed is looked at again, one that is gone or left alone is not', async () => {
    const rescanned: string[] = [];
    const kinds = ['changed', 'vanished', 'skipped'] as const;
    await using rig = await makeRig({
      backend: backend(),
      send: async ({ path }) => {
        throw new Fault(kinds[Number(path.slice(5))] ?? 'aborted', 'no');
      },
      onChanged: ({ path }) => void rescanned.push(path),
    });
    rig.owe(3);
    await until('all to be superseded', () => rig.files('superseded') === 3);
    await until('the one to be looked at again', () => rescanned.length > 0);
    assert.deepEqual(rescanned, ['file-0']);
  });

  test('an asynchronous endpoint holds no place while it works', async () => {
    let asked = 0;
    let begun = 0;
    let begunBeforeAsked = 0;
    await using rig = await makeRig({
      backend: backend(),
      concurrency: 1,
      deliver: (ledger) => async (delivery) => {
        if (delivery.note === undefined) {
          await ledger.checkpoint(delivery.id, 'transfer-1');
          begun += 1;
          return { state: 'pending', checkAfterMs: 2_000 };
        }
        if (asked === 0) begunBeforeAsked = begun;
        asked += 1;
        const receipt = {
          remotePath: delivery.target,
          sizeBytes: 1,
          sha256: undefined,
          verified: 'size',
        } as const;
        await ledger.settle(
          delivery.id,
          { state: 'delivered', receipt },
          { startedAtMs: 0, endedAtMs: Date.now() },
        );
        return { state: 'done' };
      },
    });
    rig.owe(5);
    await until('all to arrive', () => rig.files('delivered') === 5);
    assert.equal(asked, 5);
    assert.ok(begunBeforeAsked > 1, 'the only place was held until the first had arrived');
    for (const { id } of rig.ledger.history({ job: 'job' })) assert.equal(rig.ledger.attempts(id).length, 1);
  });

  test('a job that keeps an order has one file on its way at a time', async () => {
    const order: string[] = [];
    let sending = 0;
    await using rig = await makeRig({
      backend: backend(),
      order: 'name',
      send: async ({ path }) => {
        sending += 1;
        assert.equal(sending, 1);
        order.push(path);
        await sleep(1);
        sending -= 1;
      },
    });
    rig.owe(60);
    // The next one follows at once: with the looks, one a second, they would take a minute.
    await until('all to arrive', () => rig.files('delivered') === 60, { timeoutMs: 40_000 });
    assert.deepEqual(order, Array.from({ length: 60 }, (_, index) => `file-${index}`).toSorted());
  });

  test('doubled entries are harmless', async () => {
    const sent: number[] = [];
    await using rig = await makeRig({
      backend: backend(),
      concurrency: 8,
      send: async ({ id }) => {
        sent.push(id);
        await sleep(100);
      },
    });
    const owed = rig.owe(4);
    const [queue] = rig.deliveries.queues();
    await until('all to be sending', () => sent.length === 4);
    for (const { id, generation } of owed) {
      await queue?.add('again', { id, generation }, { jobId: `again-${id}` });
      await queue?.add('old', { id, generation: generation - 1 }, { jobId: `old-${id}` });
    }
    await until('all to arrive', () => rig.files('delivered') === 4);
    await until('the queue to be empty', async () => (await queue?.count()) === 0);
    assert.equal(sent.length, 4);
  });

  test('a stop lets what is being sent finish, and puts the rest back', async () => {
    const open = Promise.withResolvers<void>();
    await using rig = await makeRig({ backend: backend(), concurrency: 4, send: () => open.promise });
    rig.owe(40);
    await until('four to be sending', () => rig.files('sending') === 4);
    const stopped = rig.deliveries.stop({ deadlineMs: 60_000 });
    await until('the rest to be due', () => rig.files('due') === 36);
    open.resolve();
    await stopped;
    assert.equal(rig.files('delivered'), 4);
    assert.equal(rig.files('due'), 36);
  });

  test('a stop aborts what does not finish in time, without an attempt lost', async () => {
    await using rig = await makeRig({
      backend: backend(),
      concurrency: 4,
      send: (_delivery, signal) => sleep(60_000, undefined, { signal }),
    });
    rig.owe(6);
    await until('four to be sending', () => rig.files('sending') === 4);
    await within(30_000, 'the stop', rig.deliveries.stop({ deadlineMs: 200 }));
    assert.equal(rig.files('due'), 6);
    for (const delivery of rig.ledger.history({ job: 'job' })) assert.equal(delivery.attempts, 0);
  });

  test('endpoints come and go with the configuration', async () => {
    await using rig = await makeRig({ backend: backend() });
    const other = `${rig.endpoint}-other`;
    const job = rig.config.jobs[0];
    assert.ok(job !== undefined);
    rig.ledger.owe(
      [
        {
          job: 'job',
          endpoint: other,
          destination: `${other}:/in`,
          path: 'a',
          target: '/in/a',
          version: { sizeBytes: 1, mtimeMs: 1, tag: '' },
        },
      ],
      Date.now(),
    );
    await sleep(50);
    assert.equal(rig.files('due'), 1);
    await rig.deliveries.configure({
      endpoints: new Map([[other, { concurrency: 2 }]]),
      jobs: [{ ...job, to: [{ endpoint: other, path: '/in' }] }],
    });
    await until('it to arrive', () => rig.files('delivered') === 1);
    rig.owe(1);
    await sleep(1_200);
    assert.equal(rig.files('due'), 1, 'nobody sends to an endpoint that no job uses');
    assert.deepEqual(
      rig.deliveries.status().map(({ endpoint }) => endpoint),
      [other],
    );
  });
}
