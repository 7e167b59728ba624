/**
 * The promise behind everything, for any endpoint: `ferry start` is killed at random moments while files keep coming,
 * and now and then Redis is emptied; afterwards every file is at the destination, whole, and the ledger agrees.
 */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Home, makeHome, type Running } from './ferry.ts';
import { contentOf, sha256Of } from './files.ts';
import { startRedis } from './redis.ts';
import { until } from './until.ts';

const SIZES = [0, 1, 4_096, 300_000];
const LARGEST = 3_000_000;
/** A machine that is slow to start a worker does not get more files to send for that. */
const MOST_FILES_A_KILL = 40;
/** So long no file may arrive, with some still to come. */
const STILL_MS = 120_000;

/** Where the files go, and how to see what is there. */
export interface CrashSite {
  /** As in endpoints.yaml. */
  readonly endpoint: Readonly<Record<string, unknown>>;
  /** The folder on it that the job delivers to; it holds nothing yet. */
  readonly path: string;
  /** Besides small ones, the largest file is so large: for an endpoint that sends large ones in another way. */
  readonly largestBytes?: number;
  /** For Ferry, besides its own: an SDK's credentials. */
  readonly env?: Readonly<Record<string, string>>;
  /** Names of all that lies in the folder, finished or not. */
  names(): Promise<readonly string[]>;
  sha256(name: string): Promise<string>;
}

/** @param kills of ten, one comes just after Redis was emptied, and one just before */
export async function crash(site: CrashSite, kills: number): Promise<void> {
  await using home = await makeHome();
  await using redis = await startRedis();
  await home.endpoints({ server: site.endpoint });
  await home.job('drop', {
    from: './outbox',
    to: { endpoint: 'server', path: site.path },
    when: { watch: true },
    settle: '100ms',
    verify: 'size',
    retry: { attempts: 8, delay: '100ms', maxDelay: '1s' },
  });
  const env = { ...site.env, REDIS_URL: redis.url, FERRY_LOG: 'debug' };
  const expected = new Map<string, string>();

  const dropping = new AbortController();
  const room = { files: 0 };
  const drops = drop(home.outbox, expected, {
    largest: site.largestBytes ?? LARGEST,
    room,
    signal: dropping.signal,
  });
  await using stack = new AsyncDisposableStack(); // also when something fails meanwhile
  stack.defer(async () => {
    dropping.abort();
    await drops;
  });
  for (let kill = 0; kill < kills; kill += 1) {
    room.files = MOST_FILES_A_KILL;
    const worker = home.start(['start'], env);
    await untilKill(worker, kill);
    if (kill % 10 === 5) await redis.empty();
    const ended = await worker.stop('SIGKILL');
    assert.equal(ended.signal, 'SIGKILL', `the worker ended by itself: ${ended.stderr}`);
    if (kill % 10 === 9) await redis.empty();
  }
  await stack.disposeAsync();
  const attempts = (await home.ferry(['history', '--json', '--attempts'])).stdout;
  assert.match(attempts, /"state":"delivered"/, 'the kills left no time for any delivery');
  assert.match(attempts, /"outcome":"interrupted"/, 'no kill came while a file was being sent');

  const worker = await home.worker(env);
  await allArrive(site, [...expected.keys()]);
  const settled = async (): Promise<boolean> => !(await owesAnything(home));
  await until('the ledger to be settled', settled, { timeoutMs: STILL_MS, everyMs: 500 });
  const ended = await worker.stop();
  assert.equal(ended.code, 0, ended.stderr);

  for (const [name, sha256] of expected) assert.equal(await site.sha256(name), sha256, name);
  const names = await site.names();
  assert.deepEqual([...names].sort(), [...expected.keys()].sort(), 'nothing else lies there');
  const history = (await home.ferry(['history', '--json'])).lines();
  for (const [name, sha256] of expected) {
    const rows = history.filter((row) => row.path === name);
    const delivered = rows.filter((row) => row.state === 'delivered');
    assert.equal(
      delivered.length,
      1,
      `${name} is delivered once in the ledger, which has ${JSON.stringify(rows)}`,
    );
    assert.equal(delivered[0]?.sha256, sha256);
  }
}

/**
 * Every other kill comes while something is being sent, and every fourth once something has arrived, however slow the
 * machine is; the others at any time.
 */
async function untilKill(worker: Running, kill: number): Promise<void> {
  const event = [undefined, 'sending', 'delivered', 'sending'][kill % 4];
  if (event === undefined) return void (await sleep(randomInt(200, 3_000)));
  const happened = (): boolean => {
    if (worker.child.exitCode !== null) throw new Error('the worker ended by itself');
    return worker.output().includes(`"event":"${event}"`);
  };
  try {
    await until(`a file that is ${event}`, happened, { timeoutMs: 60_000, everyMs: 5 });
  } catch (cause) {
    throw new Error(`no file was ${event}; the worker said: ${worker.output().slice(-4_000)}`, { cause });
  }
  await sleep(randomInt(0, 60));
}

/** However long that takes, as long as there are more and more. */
async function allArrive(site: CrashSite, expected: readonly string[]): Promise<void> {
  let most = -1;
  let sinceMs = performance.now();
  for (;;) {
    const names = new Set(await site.names());
    const there = expected.filter((name) => names.has(name)).length;
    if (there === expected.length) return;
    if (there > most) sinceMs = performance.now();
    most = Math.max(most, there);
    if (performance.now() - sinceMs > STILL_MS)
      throw new Error(`${there} of ${expected.length} files have arrived, and no more for ${STILL_MS} ms`);
    await sleep(200);
  }
}

interface Drops {
  readonly largest: number;
  /** How many more may be dropped now. */
  readonly room: { files: number };
  readonly signal: AbortSignal;
}

/** Drops files of all sizes until it is told to stop: some written in place, some renamed in. */
async function drop(
  outbox: string,
  expected: Map<string, string>,
  { largest, room, signal }: Drops,
): Promise<void> {
  const sizes = [...SIZES, largest];
  for (let n = 0; !signal.aborted; n += 1) {
    while (room.files === 0 && !signal.aborted) await sleep(20);
    room.files -= 1;
    const name = `drop-${n}.bin`;
    const content = contentOf(name, 0, sizes[n % sizes.length] ?? 0);
    expected.set(name, sha256Of(content));
    if (n % 2 === 0) await writeFile(join(outbox, name), content);
    else {
      await writeFile(join(outbox, `.${name}`), content);
      await rename(join(outbox, `.${name}`), join(outbox, name));
    }
    await sleep(randomInt(20, 200));
  }
}

async function owesAnything(home: Home): Promise<boolean> {
  const [row] = (await home.ferry(['status', '--json'])).lines();
  return row?.owed !== 0 || row.sending !== 0;
}
