/**
 * The evidence that what lies there is what was sent, weighed in this order: S3's own word (it has verified and kept
 * our SHA-256), an ETag that is the MD5 of what we sent, the size, and reading it all back where a checksum was asked
 * for and nothing else shows it.
 */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Receipt } from '../endpoint.ts';
import type { Job, Stored } from './job.ts';
import { bareTag, type Head, lookAt } from './objects.ts';
import { readBack } from './read.ts';

/** What is known here of what was sent. */
export interface Sent {
  /** Lower-case hex, of the whole. */
  readonly sha256: string;
  /** As S3 keeps it, base64: of the whole, or of the checksums of the parts with `-N`. */
  readonly checksum: string;
  /** The ETag that such a content has where an ETag is an MD5; undefined: not known, or too dear to compute. */
  tag(): string | undefined;
}

/** @throws Fault `transient` when it is not what was sent; it is removed then */
export async function prove(
  job: Job,
  target: FilePath,
  stored: Stored,
  sent: Sent,
): Promise<Receipt['verified']> {
  const { bucket, options } = job;
  if (bucket.client.isAws && stored.ChecksumSHA256 === sent.checksum) return 'checksum';
  if (isTag(stored, sent)) return 'checksum';
  const head = await lookAt(bucket, target, options.signal);
  if (head === undefined || (head.ContentLength ?? 0) !== job.sizeBytes) {
    throw await broken(
      job,
      target,
      stored,
      head,
      `${head?.ContentLength ?? 'none'} of ${job.sizeBytes} bytes`,
    );
  }
  if (options.verify !== 'checksum') return 'size';
  const range = { path: target, tag: bareTag(stored.ETag ?? head.ETag), start: 0, end: job.sizeBytes };
  if ((await readBack(bucket, range, options.signal)) === sent.sha256) return 'checksum';
  throw await broken(job, target, stored, head, 'other content');
}

function isTag(stored: Stored, sent: Sent): boolean {
  const tag = bareTag(stored.ETag);
  // Not worth computing where it is no MD5 anyway.
  return /^[0-9a-f]{32}(-\d+)?$/.test(tag) && tag === sent.tag();
}

/** Nobody shall take it for the file. */
async function broken(
  job: Job,
  target: FilePath,
  stored: Stored,
  head: Head | undefined,
  saw: string,
): Promise<Fault> {
  const { bucket, options } = job;
  if (head !== undefined && bareTag(head.ETag) === bareTag(stored.ETag)) {
    const doing = { verb: 'remove', action: 's3:DeleteObject', path: target };
    const removing = bucket.call(doing, options.signal, (s3, http) =>
      s3.deleteObject(bucket.at(target), http),
    );
    await removing.catch(() => undefined);
  }
  return new Fault(
    'transient',
    `${bucket.name}: what arrived for ${printable(job.path)} is not what was sent (${saw})`,
    {
      code: 'SIZE_MISMATCH',
      advice:
        'If it repeats, the server does not understand something: checksums: when_required, or forcePathStyle.',
    },
  );
}
