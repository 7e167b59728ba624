import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { EndpointRecord } from '../../src/ledger/ledger.ts';
import { Gate } from '../../src/queue/gate.ts';
import { Fault } from '../../src/sync/errors.ts';
import { Events } from '../../src/sync/events.ts';

const refused = new Fault('unreachable', 'connection refused', { during: 'connect' });
const noLogin = new Fault('rejected', 'permission denied');

/** A gate whose clock stands still until it is told to go on. */
function gateOf(t: TestContext, record?: EndpointRecord) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  const records: EndpointRecord[] = record === undefined ? [] : [record];
  const told: (number | 'stopped' | 'up')[] = [];
  const events = new Events();
  events.on('endpointDown', (_endpoint, _fault, nextProbeMs) => void told.push(nextProbeMs ?? 'stopped'));
  events.on('endpointUp', () => void told.push('up'));
  const probes: { readonly answer: (fault?: Fault) => Promise<void>; readonly signal: AbortSignal }[] = [];
  const moves: boolean[] = [];
  const gate: Gate = new Gate({
    endpoint: 'server',
    ledger: { endpoint: () => records.at(-1), setEndpoint: (made) => void records.push(made) },
    events,
    now: Date.now,
    random: () => 1,
    moved: () => void moves.push(gate.isOpen),
    probe: (_endpoint, signal) =>
      new Promise((resolve, reject) => {
        const answer = async (fault?: Fault): Promise<void> => {
          if (fault === undefined) resolve();
          else reject(fault);
          await settled();
        };
        probes.push({ answer, signal });
      }),
  });
  t.after(() => gate.close());
  return { gate, records, told, probes, moves, events };
}

/** Lets everything that waits for a promise go on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

test('a cut is looked into quietly: nothing is said when the endpoint answers', async (t) => {
  const { gate, records, told, probes, moves } = gateOf(t);
  gate.doubt();
  gate.doubt();
  assert.equal(gate.isOpen, false);
  assert.equal(probes.length, 1);
  await probes[0]?.answer();
  assert.equal(gate.isOpen, true);
  assert.deepEqual([records, told, moves], [[], [], [false, true]]);
});

test('an endpoint that cannot be reached is probed, later each time, up to five minutes, until it answers', async (t) => {
  const { gate, records, told, probes } = gateOf(t);
  gate.hold(refused);
  const expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((seconds) => seconds * 1_000);
  for (const [index, delayMs] of expected.entries()) {
    assert.equal(told.at(-1), delayMs);
    assert.equal(records.at(-1)?.nextProbeMs, Date.now() + delayMs);
    t.mock.timers.tick(delayMs - 1);
    assert.equal(probes.length, index);
    t.mock.timers.tick(1);
    assert.equal(probes.length, index + 1);
    if (index < expected.length - 1) await probes[index]?.answer(refused);
  }
  await probes.at(-1)?.answer();
  assert.equal(gate.isOpen, true);
  assert.equal(told.at(-1), 'up');
  assert.equal(records.at(-1)?.state, 'up');
  assert.equal(records[0]?.sinceMs, 1_000_000);
  assert.equal(records[0]?.fault?.message, 'connection refused');
});

test('one that answers probes but fails files is not asked more and more often', async (t) => {
  const { gate, told, probes } = gateOf(t);
  for (const seconds of [1, 2, 4]) {
    gate.hold(refused);
    assert.equal(told.at(-1), seconds * 1_000);
    t.mock.timers.tick(seconds * 1_000);
    await probes.at(-1)?.answer();
  }
  gate.worked();
  gate.hold(refused);
  assert.equal(told.at(-1), 1_000);
});

test('a person who resumes one that is held does not have to wait for its next probe', async (t) => {
  const { gate, records, probes } = gateOf(t);
  gate.hold(refused);
  gate.look();
  assert.equal(probes.length, 0);
  records.push({ endpoint: 'server', state: 'up', fault: undefined, sinceMs: 0, nextProbeMs: undefined });
  gate.look();
  await probes[0]?.answer();
  assert.equal(gate.isOpen, true);
});

test('a refusal stops it, and it is tried again only when told', async (t) => {
  const { gate, records, told, probes } = gateOf(t);
  gate.stop(noLogin);
  t.mock.timers.tick(86_400_000);
  assert.equal(probes.length, 0);
  assert.deepEqual(told, ['stopped']);
  assert.equal(records.at(-1)?.state, 'stopped');
  gate.look();
  assert.equal(probes.length, 0);
  gate.tryNow();
  await probes[0]?.answer(noLogin);
  assert.equal(gate.state, 'stopped');
  // As another process does.
  records.push({ endpoint: 'server', state: 'up', fault: undefined, sinceMs: 0, nextProbeMs: undefined });
  gate.look();
  await probes[1]?.answer();
  assert.equal(gate.isOpen, true);
});

test('trouble of an earlier process means one look before files are risked', async (t) => {
  const record = {
    endpoint: 'server',
    state: 'stopped',
    fault: undefined,
    sinceMs: 5,
    nextProbeMs: undefined,
  } as const;
  const { gate, probes, told } = gateOf(t, record);
  gate.start();
  assert.equal(gate.isOpen, false);
  await probes[0]?.answer();
  assert.equal(gate.isOpen, true);
  assert.deepEqual(told, ['up']);
});

test('a probe that hears nothing ends', async (t) => {
  const { gate, probes, told } = gateOf(t);
  gate.doubt();
  t.mock.timers.tick(60_000);
  await settled();
  assert.equal(probes[0]?.signal.aborted, true);
  assert.equal(gate.state, 'held');
  assert.deepEqual(told, [1_000]);
});
