/** Copies an object within its bucket, never over another one: in one request, or above 5 GiB in parts. */

import { type FilePath, printable } from '../../sync/names.ts';
import { isCode, isPreconditionFailed } from './answer.ts';
import type { Bucket } from './bucket.ts';
import { bareTag, changedFault, type Head, lookAt } from './objects.ts';

/** CopyObject takes no more. */
export const LARGEST_COPY = 5 * 1024 ** 3;
/**
 * Metadata of a copy: the ETag of what it was copied from. Its own is another one when that came in parts, or lies
 * encrypted by KMS.
 */
export const COPY_OF = 'ferry-copy-of';
/** Parts copied at once. */
const AT_ONCE = 4;
const CLEAN_UP_MS = 10_000;

export interface Copying {
  readonly bucket: Bucket;
  readonly from: FilePath;
  /** Of the object to copy. */
  readonly head: Head;
  readonly to: FilePath;
  /** Bytes copied by one request. */
  readonly largest: number;
}

/** False when the name was taken meanwhile. @throws Fault `changed` when `from` is another object by now */
export async function copy(copying: Copying, signal: AbortSignal): Promise<boolean> {
  const { bucket, from, head, to, largest } = copying;
  try {
    if ((head.ContentLength ?? 0) <= largest) await copyWhole(copying, signal);
    else await copyParts(copying, signal);
    return true;
  } catch (error) {
    if (bucket.memory.conditions && isCode(error, 'NotImplemented')) {
      bucket.memory.conditions = false;
      return await copy(copying, signal);
    }
    if (!isPreconditionFailed(error)) throw error;
    if ((await lookAt(bucket, to, signal)) !== undefined) return false;
    throw changedFault(bucket, from);
  }
}

async function copyWhole(copying: Copying, signal: AbortSignal): Promise<void> {
  const { bucket, head, to } = copying;
  const input = {
    ...bucket.at(to),
    MetadataDirective: 'REPLACE' as const,
    ...kept(head),
    ...bucket.storing,
    ...sourceOf(copying),
    ...unlessTaken(bucket),
  };
  await bucket.call(doing(copying), signal, (s3, http) => s3.copyObject(input, http));
}

async function copyParts(copying: Copying, signal: AbortSignal): Promise<void> {
  const { bucket, head, to, largest } = copying;
  const input = { ...bucket.at(to), ...kept(head), ...bucket.storing };
  const started = await bucket.call(doing(copying), signal, (s3, http) =>
    s3.createMultipartUpload(input, http),
  );
  const upload = { ...bucket.at(to), UploadId: started.UploadId };
  try {
    const count = Math.ceil((head.ContentLength ?? 0) / largest);
    const tags: (string | undefined)[] = [];
    const numbers = Array.from({ length: count }, (_, index) => index).values();
    const work = async (): Promise<void> => {
      for (const index of numbers) tags[index] = await copyPart(copying, upload, index, signal);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const Parts = tags.map((ETag, index) => ({ PartNumber: index + 1, ETag }));
    const complete = { ...upload, ...unlessTaken(bucket), MultipartUpload: { Parts } };
    await bucket.call(doing(copying), signal, (s3, http) => s3.completeMultipartUpload(complete, http));
  } catch (error) {
    const cleaning = AbortSignal.timeout(CLEAN_UP_MS);
    const aborting = bucket.call(doing(copying), cleaning, (s3, http) =>
      s3.abortMultipartUpload(upload, http),
    );
    await aborting.catch(() => undefined);
    throw error;
  }
}

async function copyPart(
  copying: Copying,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined },
  index: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { bucket, head, largest } = copying;
  const start = index * largest;
  const end = Math.min(start + largest, head.ContentLength ?? 0);
  const input = {
    ...upload,
    ...sourceOf(copying),
    PartNumber: index + 1,
    CopySourceRange: `bytes=${start}-${end - 1}`,
  };
  const { CopyPartResult } = await bucket.call(doing(copying), signal, (s3, http) =>
    s3.uploadPartCopy(input, http),
  );
  return CopyPartResult?.ETag;
}

function sourceOf({ bucket, from, head }: Copying) {
  const { Bucket, Key } = bucket.at(from);
  const key = Key.split('/').map(encodeURIComponent).join('/');
  return {
    // An access point is named by its ARN, and then its objects by /object/.
    CopySource: Bucket.startsWith('arn:') ? `${Bucket}/object/${key}` : `${Bucket}/${key}`,
    CopySourceIfMatch: head.ETag,
  };
}

function unlessTaken({ memory }: Bucket): { readonly IfNoneMatch?: '*' } {
  return memory.conditions ? { IfNoneMatch: '*' } : {};
}

/** What the copy has of it, besides its bytes. */
function kept(head: Head) {
  const {
    Metadata,
    ContentType,
    ContentEncoding,
    ContentDisposition,
    ContentLanguage,
    CacheControl,
    StorageClass,
  } = head;
  const all = {
    Metadata: { ...Metadata, [COPY_OF]: bareTag(head.ETag) },
    ContentType,
    ContentEncoding,
    ContentDisposition,
    ContentLanguage,
    CacheControl,
    StorageClass,
  };
  return all;
}

function doing({ from, to }: Copying) {
  return { verb: `copy ${printable(from)} to`, action: 's3:PutObject', path: to };
}
