/**
 * Everything below a folder. Links are shown, never followed; Ferry's own files are not shown; what cannot be
 * looked at is reported, and hides nothing else.
 *
 * Few entries are looked at from here; from `FEW` on, a worker thread does it.
 */

import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, joinPath, nameOf, OWN_PREFIX, printable } from '../../sync/names.ts';
import type { Entry, ListOptions } from '../endpoint.ts';
import type { Disk } from './disk.ts';
import { entryOf } from './entry.ts';
import { isGone, type Part, type Problem, unpack } from './look.ts';
import { type Looker, nearLooker, workerLooker } from './lookers.ts';
import type { Root } from './root.ts';

const FEW = 2_000;
/** Folders asked about before the first of them is answered. */
const AHEAD = 8;

export interface ListContext {
  readonly disk: Disk;
  readonly root: Root;
  stat(path: FilePath): Promise<Entry | undefined>;
  /** Puts back what an interrupted `remove` or `archive` took aside into that folder of ours; resolves to where it is. */
  recover(own: FilePath): Promise<readonly FilePath[]>;
}

export async function* list(
  context: ListContext,
  folder: FilePath,
  options: ListOptions,
): AsyncGenerator<Entry> {
  const { disk } = context;
  throwIfAborted(options.signal);
  try {
    yield* walk(context, folder, options);
  } catch (error) {
    throw disk.fault(error, `list ${printable(folder)}`);
  }
}

async function* walk(context: ListContext, folder: FilePath, options: ListOptions): AsyncGenerator<Entry> {
  const { disk, root } = context;
  let looker: Looker = nearLooker(disk);
  let isNear = true;
  try {
    const waiting: FilePath[] = [folder];
    const asked: FilePath[] = [];
    let seen = 0;
    let many = false;
    for (;;) {
      if (many && isNear && asked.length === 0) {
        looker = workerLooker();
        isNear = false;
      }
      while (waiting.length > 0 && asked.length < AHEAD && !(many && isNear)) {
        const next = waiting.pop() ?? '';
        asked.push(next);
        looker.ask(root.at(next));
      }
      const [current] = asked;
      if (current === undefined) {
        if (waiting.length === 0) return;
        continue;
      }
      const part = await disk.bounded(options.signal, () => abortable(looker.next(), options.signal));
      if (part.last) asked.shift();
      if (part.tooMany === true) {
        many = true;
        waiting.push(current);
        continue;
      }
      await report(context, current, folder, part.problems, options);
      seen += part.names.length;
      if (seen > FEW) many = true;
      for (const entry of entriesOf(current, part)) {
        if (nameOf(entry.path).startsWith(OWN_PREFIX)) {
          const mayPutBack = entry.kind === 'folder' && options.lookOnly !== true;
          if (mayPutBack) yield* recovered(context, entry.path);
          continue;
        }
        yield entry;
        if (entry.kind === 'folder' && options.recursive !== false && (options.enter?.(entry.path) ?? true)) {
          waiting.push(entry.path);
        }
      }
    }
  } finally {
    await looker[Symbol.asyncDispose]();
  }
}

async function* recovered(context: ListContext, own: FilePath): AsyncGenerator<Entry> {
  for (const path of await context.recover(own)) {
    const entry = await context.stat(path);
    if (entry !== undefined) yield entry;
  }
}

async function report(
  { disk, root }: ListContext,
  folder: FilePath,
  start: FilePath,
  problems: readonly Problem[],
  options: ListOptions,
): Promise<void> {
  for (const problem of problems) {
    if (problem.name === '' && folder === start) {
      if (isGone(problem)) await root.assertThere();
      throw listFault(disk, folder === '' ? root.path : folder, problem, isGone(problem));
    }
    if (isGone(problem)) continue;
    const path = problem.name === '' ? folder : joinPath(folder, problem.name);
    options.unreadable?.(path, listFault(disk, path, problem, false));
  }
}

function listFault(disk: Disk, path: FilePath, problem: Problem, missing: boolean): Fault {
  const doing = `look into ${printable(path)}`;
  const cause = Object.assign(new Error(problem.message), { code: problem.code });
  if (!missing) {
    const fault = disk.fault(cause, doing);
    if (fault.code !== 'EACCES') return fault;
    const advice = 'Give the user that runs Ferry the right to read and to enter it.';
    return new Fault(fault.kind, fault.message, { code: fault.code, advice, cause });
  }
  return new Fault('permanent', `cannot ${doing}: there is no such folder`, {
    code: 'ENOENT',
    advice: 'Create the folder, or correct the path in the job.',
    cause,
  });
}

function* entriesOf(folder: FilePath, part: Part): Generator<Entry> {
  const prefix = folder === '' || folder.endsWith('/') ? folder : `${folder}/`;
  const { names, numbers } = part;
  for (let index = 0; index < names.length; index += 1) {
    yield entryOf(prefix + names[index], unpack(numbers, index));
  }
}

/** The promise, or the abort, whichever is first: what looks is stopped by its owner. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: given, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    try {
      throwIfAborted(signal);
    } catch (fault) {
      reject(fault);
    }
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, given]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
