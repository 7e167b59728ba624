/**
 * Writes a small file: two round trips from nothing to a verified, closed temporary.
 *
 * The source is read whole while the OPEN is under way, and looked at again while the WRITE is: so no mixture can
 * be sent. Content, times, FSTAT and CLOSE leave together where the server answers in order. The rename is not among
 * them on purpose: it would also be done after a WRITE that failed (a full disk), and publish a torn file.
 */

import { hash } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import type { SourceReader } from '../endpoint.ts';
import { changedFault, type Job, pieces, setAttributes, shortFault, type Uploaded } from './job.ts';
import { explain } from './remote.ts';
import { takeRoom } from './window.ts';
import type { Handle } from './wire.ts';

export interface SmallOptions {
  /** Look at the source twice before the file is opened, where opening it destroys what was there. */
  readonly sourceFirst?: boolean;
}

/** @param open opens the file to write, empty; errors are Faults */
export async function uploadSmall(
  job: Job,
  reader: SourceReader,
  open: () => Promise<Handle>,
  options: SmallOptions = {},
): Promise<Uploaded> {
  const { signal } = job.options;
  const room = await takeRoom([job.remote.window], job.sizeBytes, signal);
  let taken = true;
  const giveBack = (): void => {
    if (taken) room.give(job.sizeBytes);
    taken = false;
  };
  try {
    const reading = readWhole(job, reader);
    if (options.sourceFirst) {
      const whole = await reading;
      await reader.recheck(signal, () => hash('sha256', whole));
    }
    const [handle, data] = await both(open, reading, job);
    const rechecked = options.sourceFirst
      ? undefined
      : settled(reader.recheck(signal, () => hash('sha256', data)));
    await (job.remote.traits.inOrder
      ? writeInOrder(job, handle, data, giveBack)
      : writeInSteps(job, handle, data));
    job.options.progress(data.length);
    const changed = await rechecked;
    if (changed !== undefined) throw changed;
    return { sha256: hash('sha256', data) };
  } finally {
    giveBack();
  }
}

async function readWhole(job: Job, reader: SourceReader): Promise<Buffer> {
  const data = await reader.readAll(job.options.signal);
  if (data.length !== job.sizeBytes) throw changedFault(job, 'changed its size');
  throwIfAborted(job.options.signal);
  return data;
}

/** Opens while the source is read; when only one of the two goes well, nothing stays open. */
async function both(
  open: () => Promise<Handle>,
  reading: Promise<Buffer>,
  job: Job,
): Promise<[Handle, Buffer]> {
  const [opened, read] = await Promise.allSettled([open(), reading]);
  if (opened.status === 'rejected') throw opened.reason;
  if (read.status === 'fulfilled') return [opened.value, read.value];
  await job.remote.wire.close(opened.value).catch(() => undefined);
  throw read.reason;
}

/** What it was rejected with, so that it may be awaited later. */
function settled(promise: Promise<void>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error ?? new Error('rejected'),
  );
}

async function writeInOrder(job: Job, handle: Handle, data: Buffer, written: () => void): Promise<void> {
  const { wire, traits } = job.remote;
  const writes = Promise.all([...pieces(wire, data)].map(([at, piece]) => wire.write(handle, piece, at)));
  writes.then(written, () => undefined);
  const steps = await Promise.allSettled([
    writes,
    setAttributes(job, handle),
    traits.sync ? wire.fsync(handle) : undefined,
    wire.fstat(handle),
    wire.close(handle),
  ]);
  const failed = steps.find((step) => step.status === 'rejected');
  if (failed !== undefined) throw await explain(job.remote, failed.reason, 'write', job.path, data.length);
  const [, , , stat] = steps;
  if (stat.status === 'fulfilled') expectSize(job, stat.value.sizeBytes);
}

/** For servers of which it is not known that they keep the order. */
async function writeInSteps(job: Job, handle: Handle, data: Buffer): Promise<void> {
  const { wire, traits } = job.remote;
  let closed = false;
  try {
    await Promise.all([...pieces(wire, data)].map(([at, piece]) => wire.write(handle, piece, at)));
    await setAttributes(job, handle);
    if (traits.sync) await wire.fsync(handle);
    if (!traits.commitsAtClose) expectSize(job, (await wire.fstat(handle)).sizeBytes);
    closed = true;
    await wire.close(handle);
  } catch (error) {
    if (!closed) await wire.close(handle).catch(() => undefined);
    throw error instanceof Fault ? error : await explain(job.remote, error, 'write', job.path, data.length);
  }
}

export function expectSize(job: Job, seen: number): void {
  if (seen !== job.sizeBytes) throw shortFault(job, seen);
}
