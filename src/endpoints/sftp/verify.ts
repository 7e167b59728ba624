/** What a file must pass before it counts as arrived: its handle closed well, its size, and its content where asked. */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Receipt } from '../endpoint.ts';
import { holds } from './digest.ts';
import { type Job, setAttributes, type Uploaded } from './job.ts';
import { explain } from './remote.ts';
import { expectSize } from './upload-small.ts';
import type { Handle } from './wire.ts';

/** Times, disk, size: what is asked of a handle whose writes are all confirmed, before it is closed. */
export async function finish(job: Job, handle: Handle, canStat: boolean): Promise<void> {
  const { wire, traits } = job.remote;
  try {
    const [, , stat] = await Promise.all([
      setAttributes(job, handle),
      traits.sync ? wire.fsync(handle) : undefined,
      canStat ? wire.fstat(handle) : undefined,
    ]);
    if (stat !== undefined) expectSize(job, stat.sizeBytes);
  } catch (error) {
    throw await explain(job.remote, error, 'write', job.path, job.sizeBytes);
  }
}

/** Runs `work` and closes the handle; an error of the close counts, unless there was one before. */
export async function closing(job: Job, handle: Handle, work: () => Promise<void>): Promise<void> {
  const { wire } = job.remote;
  try {
    await work();
  } catch (error) {
    await wire.close(handle).catch(() => undefined);
    throw error;
  }
  try {
    await wire.close(handle);
  } catch (error) {
    throw await explain(job.remote, error, 'write', job.path, job.sizeBytes);
  }
}

/** Under `verify: checksum` what lies there must be what was sent. */
export async function verify(job: Job, path: FilePath, { sha256 }: Uploaded): Promise<void> {
  const { remote, options, sizeBytes } = job;
  if (options.verify !== 'checksum') return;
  let same: boolean;
  try {
    same = await holds(remote, { path, bytes: sizeBytes, sha256 }, options.signal);
  } catch (error) {
    throw await explain(remote, error, 'read back', path);
  }
  if (same) return;
  throw new Fault(
    'transient',
    `${remote.name}: what arrived for ${printable(job.path)} is not what was sent`,
    {
      code: 'CHECKSUM_MISMATCH',
      advice: 'If it repeats, look at the disk and the memory of the server.',
    },
  );
}

export function receiptFor(job: Job, remotePath: FilePath, { sha256 }: Uploaded): Receipt {
  return { remotePath, sizeBytes: job.sizeBytes, sha256, verified: job.options.verify };
}
