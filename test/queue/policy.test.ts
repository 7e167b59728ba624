import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, FREE_CUTS, judge } from '../../src/queue/policy.ts';
import { Fault, type FaultKind } from '../../src/sync/errors.ts';

const NOW = 1_000_000;
const circumstances = {
  delivery: { attempts: 0, cuts: 0, endpoint: 'server' },
  retry: { attempts: 4, delayMs: 100, maxDelayMs: 250 },
  progressed: false,
  full: false,
  nowMs: NOW,
  random: () => 0.5,
};
const fault = (kind: FaultKind, during?: 'connect') =>
  new Fault(kind, 'something', during === undefined ? {} : { during });

test('the delay doubles up to its limit, half of it certain and half of it random', () => {
  const least = [1, 2, 3, 4, 50].map((nth) => backoffMs(nth, 100, 250, () => 0));
  const most = [1, 2, 3, 4, 5_000].map((nth) => backoffMs(nth, 100, 250, () => 1));
  assert.deepEqual(least, [50, 100, 125, 125, 125]);
  assert.deepEqual(most, [100, 200, 250, 250, 250]);
});

test('a passing fault counts and is tried again until the attempts are used up', () => {
  const transient = fault('transient');
  const after = (attempts: number) =>
    judge({ ...circumstances, fault: transient, delivery: { attempts, cuts: 0, endpoint: 'server' } });
  assert.deepEqual(after(0), {
    outcome: { state: 'queued', fault: transient, counts: true, nextAtMs: NOW + 75 },
    entry: 'retry',
    endpoint: undefined,
    rescan: false,
  });
  assert.equal(after(2).outcome.state, 'queued');
  const { entry, outcome } = after(3);
  assert.ok(outcome.state === 'failed' && outcome.leftover);
  assert.deepEqual([outcome.fault.kind, outcome.fault.message], ['transient', transient.message]);
  assert.equal(entry, 'bury');
});

test('what waits for a person says how it goes on, once', () => {
  const adviceOf = (advice?: string) => {
    const given = new Fault('permanent', 'x', advice === undefined ? {} : { advice, means: 'So.' });
    const { outcome } = judge({ ...circumstances, fault: given });
    return outcome.state === 'failed' ? outcome.fault.advice : undefined;
  };
  assert.equal(adviceOf(), '`ferry retry` sends it again when that is mended.');
  assert.equal(adviceOf('Do.'), 'So. Do. `ferry retry` sends it again when that is mended.');
  assert.equal(adviceOf('Do, then `ferry retry`.'), 'So. Do, then `ferry retry`.');
});

test('where the queue is full, a later try waits in the ledger', () => {
  for (const kind of ['transient', 'unreachable'] as const) {
    const verdict = judge({ ...circumstances, fault: fault(kind), full: true });
    assert.equal(verdict.outcome.state, 'due');
    assert.equal(verdict.entry, 'drop');
  }
});

test('a lost connection counts against nobody', () => {
  for (const [during, endpoint] of [
    ['connect', 'hold'],
    [undefined, 'doubt'],
  ] as const) {
    const verdict = judge({ ...circumstances, fault: fault('unreachable', during) });
    assert.equal(verdict.endpoint, endpoint);
    assert.equal(verdict.entry, 'postpone');
    assert.ok(
      verdict.outcome.state === 'queued' && !verdict.outcome.counts && verdict.outcome.nextAtMs > NOW,
    );
  }
});

test('cuts without progress count in the end, unless no connection could be made at all', () => {
  const delivery = { attempts: 0, cuts: FREE_CUTS, endpoint: 'server' };
  const counts = (more: object, during?: 'connect') => {
    const { outcome } = judge({ ...circumstances, delivery, fault: fault('unreachable', during), ...more });
    return outcome.state === 'queued' && outcome.counts;
  };
  assert.equal(counts({}), true);
  assert.equal(counts({ progressed: true }), false);
  assert.equal(counts({}, 'connect'), false);
  assert.equal(counts({ delivery: { attempts: 0, cuts: FREE_CUTS - 1 } }), false);
  const last = judge({
    ...circumstances,
    delivery: { attempts: 3, cuts: 20, endpoint: 'server' },
    fault: fault('unreachable'),
  });
  assert.equal(last.outcome.state, 'failed');
});

test('each other kind ends the attempt in its own way', () => {
  const verdict = (kind: FaultKind) => judge({ ...circumstances, fault: fault(kind) });
  const said = (kind: FaultKind) => {
    const { outcome, entry, endpoint, rescan } = verdict(kind);
    return [outcome.state, entry, endpoint, rescan];
  };
  assert.deepEqual(said('rejected'), ['due', 'drop', 'stop', false]);
  assert.deepEqual(said('permanent'), ['failed', 'bury', undefined, false]);
  assert.deepEqual(said('changed'), ['superseded', 'drop', undefined, true]);
  assert.deepEqual(said('vanished'), ['superseded', 'drop', undefined, false]);
  assert.deepEqual(said('skipped'), ['superseded', 'drop', undefined, false]);
  assert.deepEqual(said('aborted'), ['due', 'drop', undefined, false]);
  const unmounted = new Fault('aborted', 'not mounted', { code: 'UNMOUNTED' });
  assert.equal(judge({ ...circumstances, fault: unmounted }).rescan, true, 'the look tells the alarm');
  const skipped = verdict('skipped').outcome;
  assert.equal(skipped.state === 'superseded' && skipped.leftover, false);
});

test('trouble of the source is not taken for trouble of the destination, and counts against nobody', () => {
  for (const kind of ['unreachable', 'rejected'] as const) {
    const elsewhere = new Fault(kind, 'the source is away', { during: 'connect', endpoint: 'source' });
    const verdict = judge({ ...circumstances, fault: elsewhere });
    assert.equal(verdict.endpoint, undefined);
    assert.equal(verdict.outcome.state, 'queued');
    assert.equal('counts' in verdict.outcome && verdict.outcome.counts, false);
  }
  const here = new Fault('unreachable', 'the server is away', { during: 'connect', endpoint: 'server' });
  assert.equal(judge({ ...circumstances, fault: here }).endpoint, 'hold');
});
