/**
 * Tells an unmounted share from an emptied folder: a job's source that was once seen on a file system of its own, and
 * whose place now shows the one below it, is not looked at. Where a place knows no mounts, nothing is told.
 */

import type { CallOptions, Session } from '../endpoints/endpoint.ts';
import type { JobRecord } from '../ledger/ledger.ts';
import { Fault } from './errors.ts';
import type { Job } from './job.ts';
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
  const mount = await session.mount?.(job.from.path, options);
  if (mount === undefined || remembered === undefined) return mount?.point;
  const isDeeper = remembered.length > mount.point.length && isAtOrBelow(mount.folder, remembered);
  if (!isDeeper) return mount.point;
  throw new Fault(
    'unreachable',
    `the source of ${job.name} is not mounted: ${printable(remembered)} is a plain folder now`,
    {
      code: UNMOUNTED,
      advice: `Mount it; Ferry goes on by itself. If it is meant to be so, \`ferry resume ${job.name}\` accepts the folder as it is.`,
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
