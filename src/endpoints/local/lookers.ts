/** Two ways to look into folders: without another thread (for few entries), and with one (for many). */

import { Worker } from 'node:worker_threads';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Disk } from './disk.ts';
import { isGone, type Part, type Problem, pack, problemOf, WIDTH } from './look.ts';

/** Looks into folders in the order in which they were asked about. */
export interface Looker extends AsyncDisposable {
  /** @param folder a path of this host */
  ask(folder: FilePath): void;
  /** The next part of the first folder that has not been answered wholly. */
  next(): Promise<Part>;
}

/** A folder with more entries is left to the other kind. */
const MOST_NEAR = 2_000;
/** Parts that a worker may be ahead of its reader. */
const PARTS_AHEAD = 32;
const ANSWER_MS = 60_000;

export function nearLooker(disk: Disk): Looker {
  const answers: Promise<Part>[] = [];
  return {
    ask: (folder) => {
      const answer = lookNear(disk, folder);
      answer.catch(() => undefined); // `next` reports it
      answers.push(answer);
    },
    next: () => answers.shift() ?? Promise.reject(new Error('nothing was asked')),
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled(answers);
    },
  };
}

async function lookNear(disk: Disk, folder: FilePath): Promise<Part> {
  let names: readonly FilePath[];
  try {
    names = await disk.readNames(folder);
  } catch (error) {
    return { names: [], numbers: new Float64Array(0), problems: [problemOf('', error)], last: true };
  }
  const prefix = folder.endsWith('/') ? folder : `${folder}/`;
  const numbers = new Float64Array(names.length * WIDTH);
  const problems: Problem[] = [];
  if (names.length > MOST_NEAR) return { names: [], numbers, problems, last: true, tooMany: true };
  const looks = names.map((name) =>
    disk.lstat(prefix + name).catch((error: unknown) => problemOf(name, error)),
  );
  const found: FilePath[] = [];
  for (const [index, stats] of (await Promise.all(looks)).entries()) {
    if ('mode' in stats) {
      pack(stats, numbers, found.length);
      found.push(names[index] ?? '');
    } else if (!isGone(stats)) problems.push(stats);
  }
  return { names: found, numbers, problems, last: true };
}

export function workerLooker(): Looker {
  const credits = new SharedArrayBuffer(4);
  const counter = new Int32Array(credits);
  Atomics.store(counter, 0, PARTS_AHEAD);
  const file = import.meta.url.endsWith('.ts') ? './look-worker.ts' : './look-worker.js';
  const worker = new Worker(new URL(file, import.meta.url), { workerData: credits, name: 'ferry-list' });
  const parts: Part[] = [];
  let failure: Error | undefined;
  let wake = (): void => undefined;
  let asked: FilePath = '';
  worker.on('message', (part: Part) => {
    parts.push(part);
    wake();
  });
  worker.on('error', (error) => {
    failure = error instanceof Error ? error : new Error(String(error));
    wake();
  });
  worker.unref();
  return {
    ask: (folder) => {
      asked = folder;
      worker.postMessage(folder);
    },
    next: async () => {
      if (parts.length === 0 && failure === undefined) {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = setTimeout(() => reject(silent(asked)), ANSWER_MS);
        await promise.finally(() => clearTimeout(timer));
      }
      const part = parts.shift();
      if (part === undefined) throw failure ?? new Error('the worker woke without an answer');
      Atomics.add(counter, 0, 1);
      Atomics.notify(counter, 0);
      return part;
    },
    [Symbol.asyncDispose]: async () => {
      // Not waited for: a thread that hangs in a dead share does not end.
      void worker.terminate();
    },
  };
}

function silent(folder: FilePath): Fault {
  return new Fault(
    'unreachable',
    `no answer for ${ANSWER_MS / 1000} s while listing near ${printable(folder)}`,
    {
      code: 'ETIMEDOUT',
      advice: 'Check that the share is mounted and its server is up.',
    },
  );
}
