import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { type AttemptOptions, Attempts } from '../../src/queue/attempt.ts';
import type { Delivery } from '../../src/sync/delivery.ts';
import { Fault, messageOf } from '../../src/sync/errors.ts';
import { Events } from '../../src/sync/events.ts';
import { until } from '../support/until.ts';
import { makeHome, owedFile } from './support.ts';

async function makeAttempts(
  deliver: AttemptOptions['deliver'],
  change: (ledger: Ledger) => Partial<Ledger> = () => ({}),
  isFull = false,
) {
  const home = await makeHome();
  const ledger = openLedger({ folder: home.folder, now: Date.now });
  const events = new Events();
  const told: string[] = [];
  events.on('attemptFailed', (_delivery, fault) => void told.push(fault.kind));
  ledger.owe([owedFile('server', 'a')], Date.now());
  const [delivery] = ledger.take({ endpoint: 'server', limit: 1, nowMs: Date.now(), ordered: [] });
  assert.ok(delivery !== undefined);
  const attempts = new Attempts({
    ledger: { ...ledger, ...change(ledger) },
    events,
    deliver,
    retryOf: () => ({ attempts: 3, delayMs: 10, maxDelayMs: 10 }),
    isFull: () => isFull,
    judged: () => undefined,
    worked: () => undefined,
    trouble: (error) => void told.push(messageOf(error)),
    onChanged: () => undefined,
    now: Date.now,
    random: () => 0,
  });
  return {
    attempts,
    ledger,
    delivery,
    told,
    state: () => ledger.get(delivery.id)?.state,
    async [Symbol.asyncDispose]() {
      ledger[Symbol.dispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

/** Goes on until it is aborted. */
function endless(_delivery: Delivery, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

test('a lost lock ends a send only when the claim is lost too', async () => {
  let claimed = true;
  await using made = await makeAttempts(endless, (ledger) => ({
    get: (id) => (claimed ? ledger.get(id) : undefined),
  }));
  const { attempts, delivery, state } = made;
  const running = attempts.run(delivery);
  await until('it to be claimed', () => state() === 'sending');
  attempts.lost(delivery);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(attempts.size, 1);
  claimed = false;
  attempts.lost(delivery);
  assert.deepEqual(await running, { entry: 'drop' });
  assert.equal(attempts.size, 0);
  assert.equal(state(), 'sending', 'and nothing is written about a delivery that is not ours');
});

test('an abort puts it back to due, without an attempt', async () => {
  await using made = await makeAttempts(endless);
  const { attempts, delivery, ledger, state, told } = made;
  const running = attempts.run(delivery);
  attempts.abort();
  assert.deepEqual(await running, { entry: 'drop' });
  assert.deepEqual([state(), ledger.get(delivery.id)?.attempts, told], ['due', 0, []]);
});

test('a second entry for what is being sent is void', async () => {
  await using made = await makeAttempts(endless);
  const { attempts, delivery } = made;
  const running = attempts.run(delivery);
  assert.deepEqual(await attempts.run(delivery), { entry: 'drop' });
  attempts.abort();
  await running;
});

test('one that waits for an older version of the same file is put off, not dropped', async () => {
  await using made = await makeAttempts(endless);
  const { attempts, delivery, ledger, state } = made;
  const running = attempts.run(delivery);
  await until('it to be claimed', () => state() === 'sending');
  ledger.owe([owedFile('server', 'a', { version: { sizeBytes: 2, mtimeMs: 2, tag: '' } })], Date.now());
  const [newer] = ledger.take({ endpoint: 'server', limit: 1, nowMs: Date.now(), ordered: [] });
  assert.ok(newer !== undefined);
  assert.equal((await attempts.run(newer)).entry, 'postpone');
  attempts.abort();
  await running;
});

test('an outcome that cannot be written is written later, and until then nobody else takes the file', async () => {
  let full = true;
  await using made = await makeAttempts(
    async () => {
      throw new Fault('transient', 'no space over there');
    },
    (ledger) => ({
      settle: async (...call) => {
        if (full) throw new Fault('transient', 'the disk is full');
        return ledger.settle(...call);
      },
    }),
  );
  const { attempts, delivery, told, state } = made;
  const running = attempts.run(delivery);
  await until('the trouble to be told', () => told.length > 0);
  assert.match(told[0] ?? '', /cannot be written down: the disk is full/);
  assert.equal(state(), 'sending');
  full = false;
  assert.equal((await running).entry, 'retry');
  assert.equal(state(), 'queued');
});

test('trouble after the receipt is written does not undo it', async () => {
  const ledgers: Ledger[] = [];
  await using made = await makeAttempts(async (delivery) => {
    const receipt = { remotePath: '/in/a', sizeBytes: 1, sha256: undefined, verified: 'size' } as const;
    await ledgers[0]?.settle(delivery.id, { state: 'delivered', receipt }, { startedAtMs: 0, endedAtMs: 1 });
    throw new Error('a bug in what comes after');
  });
  ledgers.push(made.ledger);
  assert.deepEqual(await made.attempts.run(made.delivery), { entry: 'drop' });
  assert.equal(made.state(), 'delivered');
});

test('what is accepted and not confirmed waits in the queue, or in the ledger where the queue is full', async () => {
  for (const [isFull, entry, state] of [
    [false, 'postpone', 'queued'],
    [true, 'drop', 'due'],
  ] as const) {
    const accepted = async () => ({ state: 'pending', checkAfterMs: 60_000 }) as const;
    await using made = await makeAttempts(accepted, undefined, isFull);
    const beforeMs = Date.now();
    assert.equal((await made.attempts.run(made.delivery)).entry, entry);
    assert.equal(made.state(), state);
    const known = made.ledger.get(made.delivery.id);
    assert.ok((known?.nextAtMs ?? 0) >= beforeMs + 60_000, 'and is not asked after before its time');
    assert.equal(known?.attempts, 0);
  }
});
