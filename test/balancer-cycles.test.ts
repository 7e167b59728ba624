/**
 * A hundred troubles at random, over several load balancers at once, while files keep coming to one worker: idle times
 * past the limit, black holes, targets that go away. Every file arrives once and whole, and the worker is afterwards
 * what it was before: no descriptor more, no memory to speak of.
 */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Balancer } from './support/balancer.ts';
import { assertTree, sha256OfContent } from './support/files.ts';
import { type Lines, linesOver } from './support/line.ts';
import { type PrivateNetwork, privateNetwork } from './support/private-network.ts';
import { until } from './support/until.ts';

const CYCLES = 100;
/** Less than the time between keep-alives, a third of timeout: whatever idles is forgotten. */
const LIMIT_S = 1;
const SMALL = [0, 1, 4_096, 300_000];
const LARGE = 2_000_000;
/** What a heap may keep that was not collected yet. */
const MOST_GROWTH_BYTES = 96 * 1024 * 1024;

interface Lane {
  readonly job: number;
  readonly balancer: Balancer;
  /** Sizes of what was dropped, by name. */
  readonly dropped: Map<string, number>;
}

type Trouble = (
  lane: Lane,
  drop: (sizeBytes: number) => Promise<void>,
  network: PrivateNetwork,
) => Promise<void>;

const TROUBLES: Readonly<Record<string, Trouble>> = {
  'idle past the limit': async (_lane, drop) => {
    await sleep(LIMIT_S * 1_000 + randomInt(200, 700));
    await drop(anyOf(SMALL));
  },
  'files in a burst': async (_lane, drop) => {
    for (let n = 0; n < 4; n += 1) await drop(anyOf(SMALL));
    await sleep(randomInt(0, 400));
  },
  'a larger file': async (_lane, drop) => {
    await drop(LARGE);
    await sleep(randomInt(0, 500));
  },
  'black hole': async ({ balancer }, drop) => {
    await drop(anyOf(SMALL));
    await balancer.blackHole(true);
    await drop(anyOf([...SMALL, LARGE]));
    await sleep(randomInt(300, 1_500));
    await balancer.blackHole(false);
  },
  'target goes away': async ({ balancer }, drop, { targets }) => {
    const [one, other] = targets;
    const [leaves, stays] = randomInt(2) === 0 ? [one, other] : [other, one];
    await drop(LARGE);
    await sleep(randomInt(0, 400));
    await balancer.toTargets([stays]);
    await leaves.cutConnections();
    await sleep(randomInt(100, 600));
    await balancer.toTargets(targets);
  },
};

function anyOf<T>(values: readonly T[]): T {
  const value = values[randomInt(values.length)];
  assert.ok(value !== undefined);
  return value;
}

/** What the worker holds: descriptors, and resident memory in bytes. */
async function held(lines: Lines): Promise<{ readonly descriptors: number; readonly memory: number }> {
  const folder = `/proc/${lines.worker.child.pid}`;
  const pages = Number((await readFile(`${folder}/statm`, 'utf8')).split(' ')[1]);
  return { descriptors: (await readdir(`${folder}/fd`)).length, memory: pages * 4_096 };
}

test(`${CYCLES} troubles at random: every file arrives once and whole, and nothing grows`, {
  timeout: 600_000,
}, async (t) => {
  await using network = await privateNetwork({ limitSeconds: LIMIT_S });
  await using stack = new AsyncDisposableStack();
  const hows = ['rst', 'rst', 'fin', 'nothing'] as const;
  const balancers: Balancer[] = [];
  for (const how of hows) balancers.push(stack.use(await network.balancer({ how })));
  const entry = { timeout: '4s', connectTimeout: '4s', idleTimeout: '6s' };
  await using lines = await linesOver(balancers, { network, entry });
  const lanes = balancers.map((balancer, job): Lane => ({ job, balancer, dropped: new Map() }));
  const drop = async ({ job, dropped }: Lane, sizeBytes: number): Promise<void> => {
    const name = `file-${dropped.size}`;
    dropped.set(name, sizeBytes);
    await lines.drop(name, sizeBytes, job);
  };
  const all = (): number => lanes.reduce((sum, { dropped }) => sum + dropped.size, 0);
  const arrived = async (): Promise<void> => {
    await until('every file to be delivered', () => lines.delivered().length >= all(), {
      timeoutMs: 240_000,
    }).catch((error: unknown) => assert.fail(`${error}\n${lines.worker.output().slice(-20_000)}`));
  };
  // What one trip opens for good is open before anything is counted.
  for (const lane of lanes) for (const sizeBytes of [...SMALL, LARGE]) await drop(lane, sizeBytes);
  await arrived();
  await sleep(3_000);
  const before = await held(lines);

  const met: Record<string, number> = {};
  const names = Object.keys(TROUBLES);
  const run = async (lane: Lane): Promise<void> => {
    for (let cycle = 0; cycle < CYCLES / lanes.length; cycle += 1) {
      const name = anyOf(names);
      met[name] = (met[name] ?? 0) + 1;
      await TROUBLES[name]?.(lane, (sizeBytes) => drop(lane, sizeBytes), network);
    }
  };
  const sinceMs = performance.now();
  await Promise.all(lanes.map(run));
  await arrived();
  const tookS = Math.round((performance.now() - sinceMs) / 1_000);

  await until(
    'the descriptors to be given back',
    async () => (await held(lines)).descriptors <= before.descriptors,
    {
      timeoutMs: 60_000,
      everyMs: 250,
    },
  ).catch(async () =>
    assert.fail(`${before.descriptors} descriptors before, ${(await held(lines)).descriptors} after`),
  );
  const after = await held(lines);
  const growth = after.memory - before.memory;
  assert.ok(growth < MOST_GROWTH_BYTES, `${growth} bytes more`);
  const sent = lines.delivered();
  const tries = sent.filter((line) => Number(line.attempts) > 1).length;
  let forgotten = 0;
  for (const { job, balancer, dropped } of lanes) {
    const want = [...dropped].map(([name, sizeBytes]) => [name, sha256OfContent(name, sizeBytes)] as const);
    await assertTree(lines.inbox(job), Object.fromEntries(want));
    const told = sent.filter((line) => line.job === `job-${job}`).map((line) => String(line.path));
    assert.deepEqual(told.sort(), [...dropped.keys()].sort(), 'each is delivered once');
    forgotten += await balancer.forgotten();
  }
  assert.ok(forgotten > 0);
  t.diagnostic(`note: ${network.description}`);
  const troubles = Object.entries(met).map(([name, count]) => `${count} × ${name}`);
  t.diagnostic(`note: ${troubles.join(', ')}; ${forgotten} flows forgotten`);
  t.diagnostic(
    `note: ${all()} files, each delivered once, ${tries} of them in more than one attempt, in ${tookS} s; descriptors ${before.descriptors} → ${after.descriptors}, memory ${mb(before.memory)} → ${mb(after.memory)} MB`,
  );
});

function mb(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}
