/**
 * Tells an unmounted share from an emptied folder: a job's source that was once seen on a file system of its own, and
 * whose place now shows the one below it, is not looked at, and nothing is written into such a destination. Where a place
 * knows no mounts, nothing is told.
 */

import type { CallOptions, Session } from '../endpoints/endpoint.ts';
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

/**
 * Before and after a file is written there.
 * @returns the mount point of today
 * @throws Fault `unreachable` UNMOUNTED, as if no connection could be made, when there was one below it at an earlier arrival
 */
export async function assertMounted(
  session: Session,
  place: Place,
  ledger: Mounts,
  options: CallOptions,
): Promise<FilePath | undefined> {
  if (session.mount === undefined) return undefined;
  const remembered = ledger.mount(destinationOf(place));
  const { point, gone } = await lookFor(session, place.path, remembered, options);
  if (!gone) return point;
  throw unmounted(
    `${place.endpoint}${place.path === '' ? '' : `, ${printable(place.path)},`}`,
    remembered,
    place.endpoint,
  );
}

/** A file has arrived while the destination lay there. */
export function rememberMount(ledger: Mounts, place: Place, point: FilePath | undefined): void {
  const destination = destinationOf(place);
  if (point !== undefined && ledger.mount(destination) !== point) ledger.setMount(destination, point);
}

async function lookFor(
  session: Session,
  folder: FilePath,
  remembered: FilePath | undefined,
  options: CallOptions,
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
