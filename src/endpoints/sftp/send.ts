/**
 * Sends a file: temporary, verify, final name. Servers that rename nothing are written to directly (send-direct.ts).
 *
 * Whatever goes wrong while the link lives, the temporary is removed, unless a later attempt can go on from it.
 */

import { createHash } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { type Receipt, SMALL_BYTES, type SourceReader } from '../endpoint.ts';
import type { Job, Uploaded } from './job.ts';
import { publish } from './publish.ts';
import { noteFor, resumePoint } from './resume.ts';
import { sendDirectly } from './send-direct.ts';
import { Targets } from './targets.ts';
import { createTemp, openInFolder, removeIfThere, tempPath } from './temp.ts';
import { uploadLarge } from './upload-large.ts';
import { uploadSmall } from './upload-small.ts';
import { closing, finish, receiptFor, verify } from './verify.ts';
import { FLAG } from './wire.ts';

/** Errors are Faults. */
export async function send(job: Job): Promise<Receipt> {
  const { remote, path, options } = job;
  const temp = tempPath(path, options.token);
  return await remote.memory.alone(temp, options.signal, () => sendAlone(job));
}

async function sendAlone(job: Job): Promise<Receipt> {
  await using reader = await job.source.open(job.options.signal);
  const targets = new Targets(job, reader);
  if (job.remote.memory.renames) {
    const receipt = await sendByTemporary(job, reader, targets);
    if (receipt !== 'refused') return receipt;
    job.remote.memory.renames = false;
    job.remote.memory.warn(
      `${job.remote.name} lets no file be renamed: files are written under their final name, where a cut can leave a part of one`,
    );
  }
  return await sendDirectly(job, reader, targets);
}

async function sendByTemporary(
  job: Job,
  reader: SourceReader,
  targets: Targets,
): Promise<Receipt | 'refused'> {
  const { remote, path, options } = job;
  let target = await targets.find();
  if ('receipt' in target) return target.receipt;
  const temp = tempPath(path, options.token);
  try {
    const uploaded = await upload(job, reader, temp);
    await verify(job, temp, uploaded);
    const how = { replace: options.conflict === 'replace', token: options.token };
    for (;;) {
      throwIfAborted(options.signal);
      const result = await publish(remote, temp, target.path, how);
      if (result === 'published') return receiptFor(job, target.path, uploaded);
      if (result === 'refused') {
        await removeIfThere(remote, temp);
        return 'refused';
      }
      target = await targets.find();
      if ('receipt' in target) {
        await removeIfThere(remote, temp);
        return target.receipt;
      }
    }
  } catch (error) {
    await cleanUp(job, temp, error);
    throw error;
  }
}

async function upload(job: Job, reader: SourceReader, temp: FilePath): Promise<Uploaded> {
  const { remote, options, sizeBytes } = job;
  if (sizeBytes > SMALL_BYTES) return await uploadResumable(job, reader, temp);
  return await uploadSmall(job, reader, () => createTemp(remote, temp, job.path, options.mode));
}

async function uploadResumable(job: Job, reader: SourceReader, temp: FilePath): Promise<Uploaded> {
  const { remote, options, helpers } = job;
  const resumed = await resumePoint(job, reader, temp);
  const hash = resumed?.hash ?? createHash('sha256');
  const start = resumed?.start ?? 0;
  const handle =
    resumed === undefined
      ? await createTemp(remote, temp, job.path, options.mode)
      : await openInFolder(remote, job.path, () => remote.wire.open(temp, FLAG.write));
  options.progress(start);
  const note = (contiguous: number): Promise<void> =>
    options.checkpoint(noteFor(contiguous, helpers.length > 0));
  await closing(job, handle, async () => {
    await note(start);
    await uploadLarge({ job, reader, handle, file: temp, start, hash, note });
    await finish(job, handle, true);
  });
  const sha256 = hash.digest('hex');
  await reader.recheck(options.signal, () => sha256);
  return { sha256 };
}

/** The temporary goes, unless the next attempt at this version can go on from it. */
async function cleanUp(job: Job, temp: FilePath, error: unknown): Promise<void> {
  const { remote, sizeBytes } = job;
  if (remote.link.broken !== undefined) return;
  const passing = error instanceof Fault && (error.kind === 'aborted' || error.kind === 'unreachable');
  if (passing && sizeBytes > SMALL_BYTES) return;
  await removeIfThere(remote, temp).catch(() => undefined);
}
