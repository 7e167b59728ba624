/**
 * A thread that looks into folders with the system's plain calls: three times as fast as asking for each file
 * without blocking, and nobody else is blocked by it. Given folders (paths of this host) one message each, it
 * answers in the same order, in parts, and never more than `credits` allows ahead of its reader.
 */

import { lstatSync, readdirSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { type FilePath, isUtf8, toBytes } from '../../sync/names.ts';
import { isGone, lostBytes, namesOf, type Part, type Problem, pack, problemOf, WIDTH } from './look.ts';

const MOST = 2_000;

const port = parentPort;
if (port === null) throw new Error('look-worker.ts runs as a worker thread');
const credits = new Int32Array(credit(workerData));
port.on('message', (folder: FilePath) => look(folder));

function look(folder: FilePath): void {
  let names: readonly FilePath[];
  try {
    names = readNames(folder);
  } catch (error) {
    answer({ names: [], numbers: new Float64Array(0), problems: [problemOf('', error)], last: true });
    return;
  }
  const prefix = folder.endsWith('/') ? folder : `${folder}/`;
  let at = 0;
  do {
    const part = lookAt(prefix, names.slice(at, at + MOST));
    at += MOST;
    answer({ ...part, last: at >= names.length });
  } while (at < names.length);
}

function readNames(folder: FilePath): readonly FilePath[] {
  const path = native(folder);
  const names = readdirSync(path);
  return lostBytes(names) ? namesOf(readdirSync(path, 'buffer')) : names;
}

function lookAt(prefix: string, names: readonly FilePath[]): Omit<Part, 'last'> {
  const numbers = new Float64Array(names.length * WIDTH);
  const found: FilePath[] = [];
  const problems: Problem[] = [];
  for (const name of names) {
    try {
      pack(lstatSync(native(prefix + name)), numbers, found.length);
      found.push(name);
    } catch (error) {
      const problem = problemOf(name, error);
      if (!isGone(problem)) problems.push(problem);
    }
  }
  return { names: found, numbers, problems };
}

function answer(part: Part): void {
  Atomics.wait(credits, 0, 0);
  Atomics.sub(credits, 0, 1);
  port?.postMessage(part, [part.numbers.buffer as ArrayBuffer]);
}

function native(path: FilePath): string | Buffer {
  return isUtf8(path) ? path : toBytes(path);
}

function credit(data: unknown): SharedArrayBuffer {
  if (data instanceof SharedArrayBuffer) return data;
  throw new Error('look-worker.ts needs its credits');
}
