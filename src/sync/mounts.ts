/**
 * Tells an unmounted share from an emptied folder: a job's source that was once seen on a file system of its own, and
 * whose place now shows the one below it, is not looked at, and nothing is written into such a destination or archive. Where
 * a place knows no mounts, nothing is told.
 */

import type { CallOptions, MountOptions, Session } from '../endpoints/endpoint.ts';
import type { JobRecord, Ledger } from '../ledger/ledger.ts';
import { Fault } from './errors.ts';
import { destinationOf, type Job, type Place } from './job.ts';
import { type FilePath, printable } from './names.ts';

/** The code of the fault. */
export const UNMOUNTED = 'UNMOUNTED';

/**
 * @param remembered the mount point of the last look
 * @returns the mount point of today, to be remembered
 * @throws Fault `unreachable` UNMOUNTED when the remembered one lies between it and the source
 */
export async function mountPointOf(
  session: Session,
  job: Pick<Job, 'name' | 'from'>,
  remembered: FilePath | undefined,
  options: CallOptions,
): Promise<FilePath | undefined> {
  const { point, gone } = await lookFor(session, job.from.path, remembered, options);
  if (!gone) return point;
  throw unmounted(`the source of ${job.name}`, remembered, job.name);
}

type Mounts = Pick<Ledger, 'mount' | 'setMount'>;

/** A folder that files are written into. */
export interface Written {
  /** In the ledger. */
  readonly key: string;
  readonly folder: FilePath;
  /** It is meant as the target of `Session.archive`. */
  readonly archive: boolean;
  readonly what: string;
  /** What a person resumes to accept it as it is. */
  readonly resumed: string;
}

export function destinationAt(place: Place): Written {
  const { endpoint, path: folder } = place;
  const what = folder === '' ? endpoint : `${endpoint}, ${printable(folder)},`;
  return { key: destinationOf(place), folder, archive: false, what, resumed: endpoint };
}

/** Undefined where nothing is archived. */
export function archiveAt({ name, from, after }: Pick<Job, 'name' | 'from' | 'after'>): Written | undefined {
  if (after.action !== 'archive') return undefined;
  const key = `archive:${from.endpoint}:${after.path}`;
  return { key, folder: after.path, archive: true, what: `the archive of ${name}`, resumed: name };
}

/**
 * Before and after a file is written there.
 * @returns the mount point of today
 * @throws Fault `unreachable` UNMOUNTED, as if no connection could be made, when there was one below it at an earlier arrival
 */
export async function assertMounted(
  session: Session,
  written: Written,
  ledger: Mounts,
  options: CallOptions,
): Promise<FilePath | undefined> {
  if (session.mount === undefined) return undefined;
  const { archive, folder, key, resumed, what } = written;
  const remembered = ledger.mount(key);
  const { point, gone } = await lookFor(session, folder, remembered, { signal: options.signal, archive });
  if (!gone) return point;
  throw unmounted(what, remembered, resumed);
}

/** A file has arrived while the folder lay there. */
export function rememberMount(ledger: Mounts, { key }: Written, point: FilePath | undefined): void {
  if (point !== undefined && ledger.mount(key) !== point) ledger.setMount(key, point);
}

async function lookFor(
  session: Session,
  folder: FilePath,
  remembered: FilePath | undefined,
  options: MountOptions,
): Promise<{ readonly point: FilePath | undefined; readonly gone: boolean }> {
  const mount = await session.mount?.(folder, options);
  if (mount === undefined || remembered === undefined) return { point: mount?.point, gone: false };
  const isDeeper = remembered.length > mount.point.length && isAtOrBelow(mount.folder, remembered);
  return { point: mount.point, gone: isDeeper };
}

function unmounted(what: string, remembered: FilePath | undefined, name: string): Fault {
  return new Fault(
    'unreachable',
    `${what} is not mounted: ${printable(remembered ?? '')} is a plain folder now`,
    {
      code: UNMOUNTED,
      during: 'connect',
      advice: `Mount it; Ferry goes on by itself. If it is meant to be so, \`ferry resume ${name}\` accepts the folder as it is.`,
    },
  );
}

/** @param trouble a fault, or what the ledger keeps of one */
export function isUnmounted(trouble: { readonly code: string | undefined } | undefined): boolean {
  return trouble?.code === UNMOUNTED;
}

/** Jobs whose sources were not mounted at the last look: what they owe cannot be read. */
export function unmountedJobs(records: readonly JobRecord[]): ReadonlySet<string> {
  return new Set(records.filter(({ alarm }) => isUnmounted(alarm)).map(({ job }) => job));
}

function isAtOrBelow(path: FilePath, folder: FilePath): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
