/** An object as the source of a `send`. An object never changes, so a request that names its ETag reads one version or nothing. */

import { throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import {
  type FileVersion,
  SMALL_BYTES,
  type SourceFile,
  type SourceReader,
  sameVersion,
} from '../endpoint.ts';
import type { Bucket } from './bucket.ts';
import { changedFault, expectVersion } from './objects.ts';
import { getObject, lengthFault, readRange } from './read.ts';

export function sourceOf(bucket: Bucket, path: FilePath, version: FileVersion): SourceFile {
  const { Bucket, Key } = bucket.at(path);
  return {
    path,
    version,
    object: { bucket: Bucket, key: Key },
    open: async (signal) => {
      throwIfAborted(signal);
      if (version.sizeBytes <= SMALL_BYTES) return await openSmall(bucket, path, version, signal);
      await expectVersion(bucket, path, version, signal);
      return readerOf(bucket, path, version, undefined);
    },
  };
}

/** Looks at it and reads it in one request. */
async function openSmall(
  bucket: Bucket,
  path: FilePath,
  version: FileVersion,
  signal: AbortSignal,
): Promise<SourceReader> {
  const { tag, sizeBytes } = version;
  const { bytes, version: seen } = await getObject(bucket, { path, tag }, signal);
  if (bytes.length !== sizeBytes)
    throw await lengthFault(bucket, { path, tag }, `${bytes.length} of ${sizeBytes} bytes`, signal);
  if (!sameVersion(seen, version)) throw changedFault(bucket, path);
  return readerOf(bucket, path, version, bytes);
}

/** @param whole all of it, where it was read already */
function readerOf(
  bucket: Bucket,
  path: FilePath,
  version: FileVersion,
  whole: Buffer | undefined,
): SourceReader {
  const { tag, sizeBytes } = version;
  return {
    read: (start, end, signal) =>
      whole === undefined
        ? readRange(bucket, { path, tag, start, end }, signal)
        : slice(whole, start, end, signal),
    readAll: async (signal) => {
      throwIfAborted(signal);
      if (whole !== undefined) return whole;
      const chunks: Buffer[] = [];
      for await (const chunk of readRange(bucket, { path, tag, start: 0, end: sizeBytes }, signal))
        chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    recheck: async (signal) => {
      await expectVersion(bucket, path, version, signal);
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function* slice(
  whole: Buffer,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  throwIfAborted(signal);
  if (end > start) yield Buffer.from(whole.subarray(start, end));
}
