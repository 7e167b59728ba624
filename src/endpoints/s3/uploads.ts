/**
 * Multipart uploads as S3 keeps them: started, gone on with after an interruption, and aborted, so that no parts are
 * left behind that nobody sees and somebody pays for.
 *
 * The ledger hears of an upload before it is started and again when it has its id: a process that dies in between
 * leaves one that is found by its key and time.
 */

import type { Part } from '@aws-sdk/client-s3';
import { codeOf } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { answerOf } from './answer.ts';
import type { Bucket } from './bucket.ts';
import { type Digests, type Job, metadataOf } from './job.ts';
import { isAbout, type Note, noteText, parseNote } from './note.ts';

/** S3 takes no more. */
const MOST_PARTS = 10_000;
const MIB = 1024 ** 2;
/** How far this host's clock and the server's may be apart. */
const CLOCKS_MS = 15 * 60_000;

export interface Upload {
  readonly note: Note & { readonly uploadId: string };
  /** What S3 has already, by part number. */
  readonly have: ReadonlyMap<number, Part>;
  /** Of the source, as the upload was told of it when it was started. */
  readonly digests?: Digests;
}

/**
 * Goes on with the upload of an earlier attempt, where that can be, or starts one.
 * @param digest asked when one is started; its parts are as long as `partBytesFor` says
 */
export async function openUpload(
  job: Job,
  target: FilePath,
  digest: () => Promise<Digests | undefined>,
): Promise<Upload> {
  const { bucket, source, options } = job;
  const { Key } = bucket.at(target);
  const before = parseNote(options.resume);
  if (before !== undefined) {
    const resumed = isAbout(before, Key, source.version) ? await resume(job, before) : undefined;
    if (resumed !== undefined) return resumed;
    await abandon(bucket, before, options.signal);
  }
  const digests = await digest();
  const sha256 = digests?.whole;
  const intent: Note = {
    s3: 1,
    key: Key,
    startedMs: bucket.memory.now(),
    partBytes: partBytesFor(job.sizeBytes, bucket.settings.partSize),
    parts: 0,
    version: source.version,
    ...(sha256 === undefined ? {} : { sha256 }),
  };
  await options.checkpoint(noteText(intent));
  const note = { ...intent, uploadId: await start(job, target, sha256) };
  bucket.memory.uploads.add(note.uploadId);
  await options.checkpoint(noteText(note));
  return { note, have: new Map(), ...(digests === undefined ? {} : { digests }) };
}

/** A whole number of MiB, so that no file has more parts than S3 takes. */
export function partBytesFor(sizeBytes: number, asked: number): number {
  return Math.max(asked, Math.ceil(sizeBytes / MOST_PARTS / MIB) * MIB);
}

async function start(job: Job, target: FilePath, sha256: string | undefined): Promise<string> {
  const { bucket, options } = job;
  const doing = { verb: 'write', action: 's3:PutObject', path: target };
  const input = {
    ...bucket.at(target),
    ...bucket.storing,
    ...(bucket.client.sendsChecksums ? { ChecksumAlgorithm: 'SHA256' as const } : {}),
    Metadata: metadataOf(job, sha256),
  };
  const { UploadId } = await bucket.call(doing, options.signal, (s3, http) =>
    s3.createMultipartUpload(input, http),
  );
  if (UploadId === undefined) throw new Error('an upload was started and got no id');
  return UploadId;
}

async function resume(job: Job, note: Note): Promise<Upload | undefined> {
  const { bucket, options, path } = job;
  const { uploadId } = note;
  if (uploadId === undefined) return undefined;
  const action = 's3:ListMultipartUploadParts';
  const doing = { verb: 'go on with', action, path, isOfUpload: true };
  const have = new Map<number, Part>();
  let after: string | undefined;
  do {
    const input = {
      Bucket: bucket.settings.bucket,
      Key: note.key,
      UploadId: uploadId,
      ...(after === undefined ? {} : { PartNumberMarker: after }),
    };
    try {
      const page = await bucket.call(doing, options.signal, (s3, http) => s3.listParts(input, http));
      for (const part of page.Parts ?? []) if (part.PartNumber !== undefined) have.set(part.PartNumber, part);
      after = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
    } catch (error) {
      if (codeOf(error) === 'NO_UPLOAD') return undefined;
      // Without that permission, or on a server that lists no parts, it starts anew.
      if (answerOf(error).status === 403 || answerOf(error).status === 501) return undefined;
      throw error;
    }
  } while (after !== undefined);
  bucket.memory.uploads.add(uploadId);
  return { note: { ...note, uploadId }, have };
}

/** Aborts what a note tells of. What is gone already is fine. Throws Faults. */
export async function abandon(bucket: Bucket, note: Note, signal: AbortSignal): Promise<void> {
  const { key, uploadId } = note;
  if (uploadId !== undefined) await abort(bucket, key, uploadId, signal);
  else await abortLost(bucket, note, signal);
}

async function abort(bucket: Bucket, key: string, uploadId: string, signal: AbortSignal): Promise<void> {
  const { prefix, bucket: name } = bucket.settings;
  const path = key.startsWith(prefix) ? key.slice(prefix.length) : key;
  const action = 's3:AbortMultipartUpload';
  const doing = { verb: 'abort the upload of', action, path, isOfUpload: true };
  const input = { Bucket: name, Key: key, UploadId: uploadId };
  try {
    await bucket.call(doing, signal, (s3, http) => s3.abortMultipartUpload(input, http));
    bucket.memory.uploads.delete(uploadId);
  } catch (error) {
    if (codeOf(error) === 'NO_UPLOAD') return;
    if (answerOf(error).status !== 403) throw error;
    bucket.memory.warnOnce(
      `${bucket.name} does not let interrupted uploads be aborted: allow s3:AbortMultipartUpload, or have a lifecycle rule do it (AbortIncompleteMultipartUpload)`,
    );
  }
}

/** One that was started by a process that died before it could write down the id. */
async function abortLost(bucket: Bucket, { key, startedMs }: Note, signal: AbortSignal): Promise<void> {
  const doing = { verb: 'look for uploads in', action: 's3:ListBucketMultipartUploads' };
  const input = { Bucket: bucket.settings.bucket, Prefix: key };
  try {
    const { Uploads } = await bucket.call(doing, signal, (s3, http) => s3.listMultipartUploads(input, http));
    const ours = (Uploads ?? []).flatMap(({ Key, UploadId, Initiated }) => {
      const since = (Initiated?.getTime() ?? 0) - startedMs;
      const fits = Key === key && UploadId !== undefined && !bucket.memory.uploads.has(UploadId);
      return fits && Math.abs(since) < CLOCKS_MS ? [UploadId] : [];
    });
    const [only] = ours;
    // Of several, nobody knows which.
    if (only !== undefined && ours.length === 1) await abort(bucket, key, only, signal);
  } catch (error) {
    const { status } = answerOf(error);
    if (status !== 403 && status !== 501) throw error;
  }
}
