/** One send, as its parts see it. */

import { createHash } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Receipt, SendOptions, SourceFile, SourceReader } from '../endpoint.ts';
import type { Bucket } from './bucket.ts';
import { referenceOf } from './objects.ts';

export interface Job {
  readonly bucket: Bucket;
  readonly source: SourceFile;
  readonly reader: SourceReader;
  readonly path: FilePath;
  readonly sizeBytes: number;
  readonly options: SendOptions;
}

/**
 * What is kept with an object besides its bytes. `mtime` is written as rclone and s3fs write it: seconds since the
 * epoch, with a fraction.
 */
export function metadataOf({ source, options }: Job, sha256: string | undefined): Record<string, string> {
  return {
    ...(options.preserveMtime ? { mtime: String(source.version.mtimeMs / 1000) } : {}),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}

/** What a put or a completed upload was answered with. */
export interface Stored {
  readonly ETag?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly ChecksumSHA256?: string | undefined;
}

export function receiptOf(
  job: Job,
  target: FilePath,
  stored: Stored,
  evidence: Pick<Receipt, 'sha256' | 'verified' | 'alreadyThere'>,
): Receipt {
  const reference = referenceOf(stored);
  return {
    remotePath: target,
    sizeBytes: job.sizeBytes,
    ...evidence,
    ...(reference === undefined ? {} : { reference }),
  };
}

/** SHA-256 of a source. */
export interface Digests {
  /** Lower-case hex. */
  readonly whole: string;
  /** Base64, of each part of `partBytes`, in order. */
  readonly parts: readonly string[];
}

/** Reads the whole source. @throws Fault */
export async function digestsOf(
  { reader, source, sizeBytes, options }: Job,
  partBytes: number,
): Promise<Digests> {
  const whole = createHash('sha256');
  const parts: string[] = [];
  let part = createHash('sha256');
  let bytes = 0;
  for await (const chunk of reader.read(0, sizeBytes, options.signal)) {
    throwIfAborted(options.signal);
    whole.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      const taken = chunk.subarray(at, at + partBytes - (bytes % partBytes));
      part.update(taken);
      at += taken.length;
      bytes += taken.length;
      if (bytes % partBytes !== 0) continue;
      parts.push(part.digest('base64'));
      part = createHash('sha256');
    }
    reader.giveBack?.(chunk);
  }
  if (bytes !== sizeBytes) throw sourceChanged(source.path);
  if (bytes % partBytes !== 0) parts.push(part.digest('base64'));
  return { whole: whole.digest('hex'), parts };
}

export function sourceChanged(path: FilePath): Fault {
  return new Fault('changed', `${printable(path)} changed while it was sent`, { code: 'CHANGED' });
}
