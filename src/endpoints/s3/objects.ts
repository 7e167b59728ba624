/** Looking at objects: what is there under a key, and whether it is the version that was seen before. */

import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import { type Entry, type FileVersion, sameVersion } from '../endpoint.ts';
import { answerOf, isMissing } from './answer.ts';
import type { Bucket } from './bucket.ts';
import { reach } from './reach.ts';

/** An object as HeadObject tells of it. */
export type Head = HeadObjectCommandOutput;

/** Undefined when there is nothing. */
export async function lookAt(bucket: Bucket, path: FilePath, signal: AbortSignal): Promise<Head | undefined> {
  const doing = { verb: 'look at', action: 's3:GetObject', path };
  const { renewal } = bucket.client;
  const { count } = renewal;
  try {
    return await bucket.call(doing, signal, (s3, http) =>
      s3.headObject({ ...bucket.at(path), ChecksumMode: 'ENABLED' }, http),
    );
  } catch (error) {
    if (isMissing(error)) return undefined;
    const { status } = answerOf(error);
    if (status !== 400 && status !== 403) throw error;
    // HEAD is refused without a word, also where it is about the credentials or the clock.
    await reach(bucket, signal);
    if (renewal.count === count) throw error;
    return await lookAt(bucket, path, signal);
  }
}

/** @throws Fault `vanished` | `changed` */
export async function expectVersion(
  bucket: Bucket,
  path: FilePath,
  version: FileVersion,
  signal: AbortSignal,
): Promise<Head> {
  const head = await lookAt(bucket, path, signal);
  if (head === undefined) throw vanishedFault(bucket, path, undefined);
  if (!sameVersion(versionOf(head), version)) throw changedFault(bucket, path);
  return head;
}

export function vanishedFault(bucket: Bucket, path: FilePath, cause: unknown): Fault {
  return new Fault('vanished', `${bucket.name}: ${printable(path)} is not there any more`, {
    code: 'ENOENT',
    cause,
  });
}

export function changedFault(bucket: Bucket, path: FilePath): Fault {
  return new Fault('changed', `${bucket.name}: ${printable(path)} is another version by now`, {
    code: 'CHANGED',
  });
}

interface Listed {
  readonly ContentLength?: number | undefined;
  readonly Size?: number | undefined;
  readonly LastModified?: Date | undefined;
  readonly ETag?: string | undefined;
}

/** The same of HeadObject and of a listing: the one tells whole seconds, the other may tell more. */
export function versionOf({ ContentLength, Size, LastModified, ETag }: Listed): FileVersion {
  return {
    sizeBytes: ContentLength ?? Size ?? 0,
    mtimeMs: Math.floor((LastModified?.getTime() ?? 0) / 1000) * 1000,
    tag: bareTag(ETag),
  };
}

export function entryOf(path: FilePath, listed: Listed): Entry {
  const version = versionOf(listed);
  return { path, kind: 'file', version, changedMs: version.mtimeMs };
}

export function folderEntry(path: FilePath): Entry {
  return { path, kind: 'folder', version: { sizeBytes: 0, mtimeMs: 0, tag: '' }, changedMs: 0 };
}

/** An ETag without its quotes. */
export function bareTag(tag: string | undefined): string {
  return (tag ?? '').replaceAll('"', '');
}

/** The far side's own name for what was put: a version where the bucket keeps versions, else the ETag. */
export function referenceOf(put: {
  readonly VersionId?: string | undefined;
  readonly ETag?: string | undefined;
}): string | undefined {
  const { VersionId } = put;
  const name = VersionId === undefined || VersionId === 'null' ? bareTag(put.ETag) : VersionId;
  return name === '' ? undefined : name;
}
