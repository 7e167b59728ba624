/**
 * One look at a job's source: for every file the verdict on it, and why. Changes nothing; `scan` acts on the
 * verdicts, `ferry plan` shows them.
 */

import { type Entry, type ListOptions, type Session, sameVersion } from '../endpoints/endpoint.ts';
import type { Known, Ledger } from '../ledger/ledger.ts';
import type { NewDelivery } from './delivery.ts';
import { Fault } from './errors.ts';
import { destinationOf, type Job, type Place } from './job.ts';
import { type FilePath, joinPath, printable } from './names.ts';
import { enters, markerOf, type Select, selector } from './select.ts';
import type { Settling } from './settling.ts';

export type Verdict =
  /** Owed now, and not in the ledger yet. */
  | { readonly is: 'due'; readonly deliveries: readonly NewDelivery[]; readonly why: string }
  /** Will be due, but not yet: look again at that moment (ms since the epoch), or when something changes (undefined). */
  | { readonly is: 'waiting'; readonly lookAgainMs: number | undefined; readonly why: string }
  /** In the ledger already, on its way. */
  | { readonly is: 'owed'; readonly why: string }
  /** Failed, and waits for a person. */
  | { readonly is: 'failed'; readonly why: string }
  /** Delivered to every destination: `after` may act on it. */
  | { readonly is: 'delivered'; readonly ids: readonly number[] }
  /** No destination of its kind can ever take it. */
  | { readonly is: 'refused'; readonly why: string; readonly fault: Fault }
  /** Left alone on purpose. */
  | { readonly is: 'left'; readonly why: string };

export interface Finding {
  /** Relative to the source. */
  readonly path: FilePath;
  readonly entry: Entry;
  readonly verdict: Verdict;
}

export interface Examination {
  readonly job: Job;
  readonly session: Session;
  readonly ledger: Pick<Ledger, 'latest'>;
  readonly settling: Settling;
  readonly now: () => number;
  /** A file that was skipped so long ago is due again: the remote name may be free by now. */
  readonly skippedAgainMs: number;
  readonly signal: AbortSignal;
  /** Told of folders that could not be read. */
  readonly unreadable: (path: FilePath, fault: Fault) => void;
  /** Change nothing at the source, as `ListOptions` says; default false. */
  readonly lookOnly?: boolean;
}

/** The whole source. @throws Fault when the source itself cannot be listed */
export async function* examineAll(look: Examination): AsyncGenerator<Finding> {
  const judge = judgeFor(look);
  yield* judgeAll(look, judge, look.job.from.path);
}

/** Some paths of it: files, or folders with all below. Those that are gone give nothing. */
export async function* examineSome(look: Examination, paths: Iterable<FilePath>): AsyncGenerator<Finding> {
  const judge = judgeFor(look);
  const enter = enters(look.job);
  for (const path of paths) {
    const entry = await look.session.stat(joinPath(look.job.from.path, path), look);
    if (entry === undefined) look.settling.forget(path);
    else if (entry.kind !== 'folder') yield await judge(path, entry);
    else if (
      path === '' ||
      path.split('/').every((_, depth, parts) => enter(parts.slice(0, depth + 1).join('/')))
    ) {
      yield* judgeAll(look, judge, entry.path);
    }
  }
}

type Judge = (path: FilePath, entry: Entry) => Finding | Promise<Finding>;

async function* judgeAll(look: Examination, judge: Judge, folder: FilePath): AsyncGenerator<Finding> {
  const relative = relativeTo(look.job.from.path);
  const enter = enters(look.job);
  const options: ListOptions = {
    signal: look.signal,
    enter: (path) => enter(relative(path)),
    unreadable: look.unreadable,
    lookOnly: look.lookOnly === true,
  };
  for await (const entry of look.session.list(folder, options)) {
    if (entry.kind === 'folder') continue;
    const finding = judge(relative(entry.path), entry);
    yield finding instanceof Promise ? await finding : finding;
  }
}

function judgeFor(look: Examination): Judge {
  const select = selector(look.job);
  const destinations = look.job.to.map((place) => ({ place, destination: destinationOf(place) }));
  return (path, entry) => {
    const left = unfit(select, path, entry);
    if (left !== undefined) return { path, entry, verdict: { is: 'left', why: left } };
    const tooLarge = look.job.to.find(({ maxBytes }) => entry.version.sizeBytes > (maxBytes ?? Infinity));
    if (tooLarge !== undefined) return { path, entry, verdict: refusal(path, entry, tooLarge) };
    const owing: NewDelivery[] = [];
    const known: (Known | undefined)[] = [];
    for (const { place, destination } of destinations) {
      const latest = look.ledger.latest(look.job.name, destination, path);
      known.push(latest);
      if (!settles(latest, entry, targetOf(place, path)) || isDueAgain(latest, look)) {
        owing.push({
          job: look.job.name,
          endpoint: place.endpoint,
          destination,
          path,
          target: targetOf(place, path),
          version: entry.version,
        });
      }
    }
    if (owing.length === 0) return { path, entry, verdict: settledVerdict(known) };
    return whenReady(look, path, entry, { is: 'due', deliveries: owing, why: reason(known, entry) });
  };
}

function whenReady(
  look: Examination,
  path: FilePath,
  entry: Entry,
  due: Verdict,
): Finding | Promise<Finding> {
  if (look.job.done !== undefined) return whenMarked(look, path, entry, due);
  const lookAgainMs = look.settling.lookAgainMs(
    path,
    entry,
    look.now(),
    look.session.capabilities.clockSkewMs,
  );
  if (lookAgainMs === undefined) return { path, entry, verdict: due };
  return { path, entry, verdict: { is: 'waiting', lookAgainMs, why: 'still settling' } };
}

async function whenMarked(look: Examination, path: FilePath, entry: Entry, due: Verdict): Promise<Finding> {
  const marker = markerOf(look.job.done ?? '', path);
  const found = await look.session.stat(joinPath(look.job.from.path, marker), look);
  if (found !== undefined) return { path, entry, verdict: due };
  return {
    path,
    entry,
    verdict: { is: 'waiting', lookAgainMs: undefined, why: `waits for its marker ${printable(marker)}` },
  };
}

const GIB = 1024 ** 3;

/** As a whole, whatever its other destinations take: what is not delivered everywhere must not be put away. */
function refusal(path: FilePath, entry: Entry, { endpoint, maxBytes = 0 }: Place): Verdict {
  const gib = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;
  const why = `it has ${gib(entry.version.sizeBytes)}, and ${endpoint} takes ${gib(maxBytes)} at most`;
  const advice = 'Split it (split -b 100G), ignore it in the job, or send it over another endpoint.';
  return {
    is: 'refused',
    why,
    fault: new Fault('permanent', `${printable(path)} cannot be sent: ${why}`, { code: 'EFBIG', advice }),
  };
}

/** Why an entry can be no delivery of this job. */
function unfit(select: Select, path: FilePath, entry: Entry): string | undefined {
  const unselected = select(path);
  if (unselected !== undefined) return unselected;
  if (entry.kind === 'link') return 'a symbolic link, which is not followed';
  if (entry.kind === 'other') return 'neither file nor folder';
  return undefined;
}

function isDueAgain(known: Known | undefined, { now, skippedAgainMs }: Examination): boolean {
  return known?.skippedMs !== undefined && now() - known.skippedMs >= skippedAgainMs;
}

/** Whether the ledger holds this very version for this target, whatever became of it. */
function settles(known: Known | undefined, entry: Entry, target: FilePath): boolean {
  return (
    known !== undefined &&
    known.target === target &&
    sameVersion(known.version, entry.version) &&
    !known.vanished
  );
}

function settledVerdict(known: readonly (Known | undefined)[]): Verdict {
  const states = known.flatMap((one) => one?.state ?? []);
  if (states.every((state) => state === 'delivered'))
    return { is: 'delivered', ids: known.flatMap((one) => one?.id ?? []) };
  if (states.includes('failed')) return { is: 'failed', why: 'failed before and waits for `ferry retry`' };
  if (states.some((state) => state === 'due' || state === 'queued' || state === 'sending'))
    return { is: 'owed', why: 'on its way' };
  return { is: 'left', why: 'the remote name is taken by other content (conflict: skip)' };
}

function reason(known: readonly (Known | undefined)[], entry: Entry): string {
  if (known.every((one) => one === undefined)) return 'new';
  if (known.some((one) => one !== undefined && !sameVersion(one.version, entry.version))) return 'changed';
  if (known.some((one) => one?.skippedMs !== undefined))
    return 'skipped before, and looked at again: the remote name may be free by now (conflict: skip)';
  return 'owed to a destination that has not had it';
}

export function targetOf(place: Place, path: FilePath): FilePath {
  return joinPath(place.path, path);
}

function relativeTo(root: FilePath): (path: FilePath) => FilePath {
  if (root === '') return (path) => path;
  const prefix = root.endsWith('/') ? root : `${root}/`;
  return (path) => {
    if (path === root) return '';
    if (path.startsWith(prefix)) return path.slice(prefix.length);
    throw new Fault('permanent', `${printable(path)} was listed but does not lie below ${printable(root)}`);
  };
}
