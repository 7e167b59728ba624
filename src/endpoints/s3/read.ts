/** Reading an object, or a range of it, and only if it is still the one that was meant. */

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import { CHUNK_BYTES } from '../endpoint.ts';
import { isMissing, isPreconditionFailed } from './answer.ts';
import type { Bucket } from './bucket.ts';
import { bareTag, changedFault, lookAt, vanishedFault, versionOf } from './objects.ts';

/** Read by one request. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** Requests of one reader under way at once. */
const AHEAD = 4;
/** A connection that is lost in the middle of a body is tried again so often. */
const MOST_TRIES = 2;

export interface ObjectRange {
  readonly path: FilePath;
  /** Its ETag, without quotes. */
  readonly tag: string;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** In order, in chunks of at most CHUNK_BYTES. @throws Fault `changed` | `vanished` when it is another object by now */
export async function* readRange(
  bucket: Bucket,
  range: ObjectRange,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const ahead: Promise<Buffer>[] = [];
  let at = range.start;
  try {
    while (at < range.end || ahead.length > 0) {
      while (at < range.end && ahead.length < AHEAD) {
        const end = Math.min(at + PIECE_BYTES, range.end);
        const piece = readPiece(bucket, { ...range, start: at, end }, either);
        piece.catch(() => undefined); // it is awaited below, or given up
        ahead.push(piece);
        at = end;
      }
      const piece = await ahead.shift();
      for (let from = 0; piece !== undefined && from < piece.length; from += CHUNK_BYTES) {
        yield piece.subarray(from, from + CHUNK_BYTES);
      }
    }
  } finally {
    stop.abort();
    await Promise.allSettled(ahead);
  }
}

async function readPiece(bucket: Bucket, range: ObjectRange, signal: AbortSignal): Promise<Buffer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readOnce(bucket, range, signal);
    } catch (error) {
      const passing = error instanceof Fault && error.kind === 'unreachable' && error.code !== 'ETIMEDOUT';
      if (!passing || attempt >= MOST_TRIES) throw error;
    }
  }
}

async function readOnce(bucket: Bucket, range: ObjectRange, signal: AbortSignal): Promise<Buffer> {
  const { path, tag, start, end } = range;
  if (start === end) return Buffer.alloc(0);
  const { bytes } = await getObject(bucket, { path, tag, range: `bytes=${start}-${end - 1}` }, signal);
  if (bytes.length === end - start) return bytes;
  throw await lengthFault(bucket, { path, tag }, `${bytes.length} of ${end - start} bytes`, signal);
}

/** What came is not as long as what was asked for: of another object by now, or something is wrong with that of the server. */
export async function lengthFault(
  bucket: Bucket,
  { path, tag }: Wanted,
  came: string,
  signal: AbortSignal,
): Promise<Fault> {
  const head = await lookAt(bucket, path, signal);
  if (head === undefined) return vanishedFault(bucket, path, undefined);
  if (tag === '' || bareTag(head.ETag) !== tag) return changedFault(bucket, path);
  return new Fault('transient', `${bucket.name}: ${came} came of ${printable(path)}`, {
    code: 'SIZE_MISMATCH',
    advice:
      'Something on the way cuts or changes it, or the server unpacks it (Content-Encoding: gzip) as it is read.',
  });
}

export interface Wanted {
  readonly path: FilePath;
  /** ETag without quotes; '' for whatever is there. */
  readonly tag: string;
  /** As in an HTTP Range header. */
  readonly range?: string;
}

/** @throws Fault `changed` | `vanished` when it is another object by now */
export async function getObject(bucket: Bucket, { path, tag, range }: Wanted, signal: AbortSignal) {
  const doing = { verb: 'read', action: 's3:GetObject', path };
  try {
    return await bucket.call(doing, signal, async (s3, http) => {
      const input = {
        ...bucket.at(path),
        ...(tag === '' ? {} : { IfMatch: `"${tag}"` }),
        ...(range === undefined ? {} : { Range: range }),
      };
      const answer = await s3.getObject(input, http);
      return { bytes: await bytesOf(answer.Body), version: versionOf(answer) };
    });
  } catch (error) {
    if (isMissing(error)) throw vanishedFault(bucket, path, error);
    if (isPreconditionFailed(error)) throw changedFault(bucket, path);
    throw error;
  }
}

async function bytesOf(body: unknown): Promise<Buffer> {
  if (!(body instanceof Readable)) return Buffer.alloc(0);
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** SHA-256 of what was sent there, lower-case hex. @throws Fault `transient` when it is another by now, or gone */
export async function readBack(bucket: Bucket, range: ObjectRange, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of readRange(bucket, range, signal)) hash.update(chunk);
  } catch (error) {
    if (!(error instanceof Fault) || (error.kind !== 'changed' && error.kind !== 'vanished')) throw error;
    // It would be taken for the source's.
    const { code = 'CHANGED' } = error;
    throw new Fault('transient', error.message, { code, cause: error.cause });
  }
  return hash.digest('hex');
}
