/** What happens to an object once it was delivered: removed, or moved to an archive, exactly that version. */

import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { CallOptions, FileVersion } from '../endpoint.ts';
import { isMissing, isPreconditionFailed } from './answer.ts';
import type { Bucket } from './bucket.ts';
import { COPY_OF, copy, LARGEST_COPY } from './copy.ts';
import { candidate } from './keys.ts';
import { changedFault, expectVersion, type Head, lookAt, vanishedFault, versionOf } from './objects.ts';

const MOST_NAMES = 10_000;

export async function remove(
  bucket: Bucket,
  path: FilePath,
  version: FileVersion,
  { signal }: CallOptions,
): Promise<void> {
  await expectVersion(bucket, path, version, signal);
  await removeTag(bucket, path, version.tag, signal);
}

/** Others than S3 do not heed the condition: for them it was looked at just before. */
async function removeTag(bucket: Bucket, path: FilePath, tag: string, signal: AbortSignal): Promise<void> {
  const doing = { verb: 'remove', action: 's3:DeleteObject', path };
  const { isAws } = bucket.client;
  const input = { ...bucket.at(path), ...(isAws && tag !== '' ? { IfMatch: `"${tag}"` } : {}) };
  try {
    await bucket.call(doing, signal, (s3, http) => s3.deleteObject(input, http));
  } catch (error) {
    if (isPreconditionFailed(error)) throw changedFault(bucket, path);
    if (isMissing(error)) throw vanishedFault(bucket, path, error);
    throw error;
  }
}

/** A copy that is verified, and then the removal. @param largest copied in one request; larger ones go in parts */
export async function archive(
  bucket: Bucket,
  path: FilePath,
  version: FileVersion,
  target: FilePath,
  { signal }: CallOptions,
  largest = LARGEST_COPY,
): Promise<FilePath> {
  return await bucket.memory.names.take(bucket.at(target).Key, async () => {
    const head = await expectVersion(bucket, path, version, signal);
    for (let n = 0; n < MOST_NAMES; n += 1) {
      throwIfAborted(signal);
      const name = candidate(bucket.settings.prefix, target, n);
      let there = await lookAt(bucket, name, signal);
      if (there === undefined) {
        const isOurs = await copy({ bucket, from: path, head, to: name, largest }, signal);
        // It may be ours all the same: the answer to a first try was lost.
        if (!isOurs) there = await lookAt(bucket, name, signal);
      }
      if (there === undefined) await expectCopy(bucket, path, head, name, signal);
      else if (!isCopy(there, head)) continue;
      await removeTag(bucket, path, version.tag, signal);
      return name;
    }
    throw new Fault('permanent', `${bucket.name}: ${MOST_NAMES} names like ${printable(target)} are taken`, {
      code: 'EEXIST',
      advice: 'Clear the archive, or give the job another one.',
    });
  });
}

/** An earlier try has copied this very version there, and ended before the removal. */
function isCopy(there: Head, head: Head): boolean {
  const [theirs, ours] = [versionOf(there), versionOf(head)];
  const isOfOurs = theirs.tag === ours.tag || there.Metadata?.[COPY_OF] === ours.tag;
  return isOfOurs && ours.sizeBytes === theirs.sizeBytes && theirs.mtimeMs >= ours.mtimeMs;
}

async function expectCopy(
  bucket: Bucket,
  path: FilePath,
  head: Head,
  name: FilePath,
  signal: AbortSignal,
): Promise<void> {
  const there = await lookAt(bucket, name, signal);
  if (there?.ContentLength === head.ContentLength) return;
  throw new Fault('transient', `${bucket.name}: the copy of ${printable(path)} is not whole`, {
    code: 'SIZE_MISMATCH',
  });
}
