/**
 * Sends the parts of an upload: the source is read once, in order, and several parts are on their way at once.
 *
 * A part that S3 has from an earlier attempt is not sent again when its checksum, or its MD5, is that of the source.
 *
 * Where the source was read before, to tell the upload its SHA-256, the parts are signed as what they were then. That
 * they still are is seen by the server, and by another thread here while they are on their way.
 */

import { createHash, type Hash, hash, subtle } from 'node:crypto';
import type { CompletedPart, Part } from '@aws-sdk/client-s3';
import { throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { type Job, sourceChanged } from './job.ts';
import { Lanes } from './lanes.ts';
import { bareTag } from './objects.ts';
import type { Sent } from './proof.ts';
import type { Upload } from './uploads.ts';

const MOST_LANES = 8;

export interface SentParts extends Sent {
  /** As CompleteMultipartUpload wants them, in order. */
  readonly parts: readonly CompletedPart[];
}

/** A part being filled, and then sent. */
interface Piece {
  readonly number: number;
  readonly buffer: Buffer<ArrayBuffer>;
  readonly length: number;
  filled: number;
  /** SHA-256 of what is filled; undefined where it is known. */
  readonly hash: Hash | undefined;
  readonly room: Disposable;
}

interface Done {
  readonly tag: string;
  /** Base64. */
  readonly sha256: string;
  /** Hex; undefined where it was not computed. */
  readonly md5: string | undefined;
  readonly bytes: number;
}

export class PartSender {
  readonly #job: Job;
  readonly #target: FilePath;
  readonly #upload: Upload;
  readonly #lanes: Lanes;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #done = new Map<number, Done>();
  readonly #running = new Set<Promise<void>>();
  readonly #spare: Buffer<ArrayBuffer>[] = [];
  #confirmed = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(job: Job, target: FilePath, upload: Upload) {
    this.#job = job;
    this.#target = target;
    this.#upload = upload;
    this.#lanes = new Lanes(Math.min(MOST_LANES, job.bucket.settings.connections));
    this.#signal = AbortSignal.any([job.options.signal, this.#stop.signal]);
  }

  /** Parts that S3 has confirmed. */
  get count(): number {
    return this.#done.size;
  }

  /** Resolves when all are there. When one fails the others are given up. @throws Fault */
  async run(): Promise<SentParts> {
    const { digests } = this.#upload;
    const whole = createHash('sha256');
    try {
      await this.#read((chunk) => digests ?? whole.update(chunk));
      await Promise.all(this.#running);
      if (this.#failure !== undefined) throw this.#failure.error;
    } catch (error) {
      // The first one counts: what was stopped because of it says nothing.
      this.#failure ??= { error };
      this.#stop.abort();
      await Promise.allSettled(this.#running);
      throwIfAborted(this.#job.options.signal);
      throw this.#failure.error;
    }
    return this.#result(digests?.whole ?? whole.digest('hex'));
  }

  async #read(seen: (chunk: Buffer) => void): Promise<void> {
    const { reader, source, sizeBytes } = this.#job;
    let piece: Piece | undefined;
    let bytes = 0;
    for await (const chunk of reader.read(0, sizeBytes, this.#signal)) {
      seen(chunk);
      for (let at = 0; at < chunk.length; ) {
        if (bytes === sizeBytes) throw sourceChanged(source.path);
        piece ??= await this.#begin(bytes);
        const copied = chunk.copy(piece.buffer, piece.filled, at, at + piece.length - piece.filled);
        piece.hash?.update(chunk.subarray(at, at + copied));
        piece.filled += copied;
        at += copied;
        bytes += copied;
        if (piece.filled === piece.length) {
          this.#dispatch(piece);
          piece = undefined;
        }
      }
      reader.giveBack?.(chunk);
    }
    piece?.room[Symbol.dispose]();
    if (bytes !== sizeBytes) throw sourceChanged(source.path);
  }

  /** Waits until another part may be in memory and on its way. */
  async #begin(start: number): Promise<Piece> {
    const { bucket, sizeBytes } = this.#job;
    const { partBytes } = this.#upload.note;
    const length = Math.min(partBytes, sizeBytes - start);
    await this.#lanes.take(this.#signal);
    const room = await bucket.memory.bodies.take(length, this.#signal);
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(Math.min(partBytes, sizeBytes));
    const hash = this.#upload.digests === undefined ? createHash('sha256') : undefined;
    return { number: start / partBytes + 1, buffer, length, filled: 0, hash, room };
  }

  #dispatch(piece: Piece): void {
    const startMs = performance.now();
    const work = this.#deliver(piece)
      .then(() => this.#lanes.give(performance.now() - startMs))
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#lanes.give(undefined);
        this.#stop.abort();
      })
      .finally(() => {
        piece.room[Symbol.dispose]();
        this.#running.delete(work);
      });
    this.#running.add(work);
  }

  async #deliver({ number, buffer, length, hash }: Piece): Promise<void> {
    const body = buffer.subarray(0, length);
    const sha256 = hash?.digest('base64') ?? this.#upload.digests?.parts[number - 1] ?? '';
    const there = this.#upload.have.get(number);
    const before = there === undefined ? undefined : known(there, body, sha256);
    const [done, same] = await Promise.allSettled([
      before ?? this.#send(number, body, sha256),
      hash !== undefined || isOf(body, sha256),
    ]);
    if (same.status === 'rejected') throw same.reason;
    // The server's words for it would be those for damage on the way.
    if (!same.value) throw sourceChanged(this.#job.source.path);
    if (done.status === 'rejected') throw done.reason;
    this.#done.set(number, done.value);
    // Nobody else looks into it any more.
    this.#spare.push(buffer);
    this.#confirmed += length;
    this.#job.options.progress(this.#confirmed);
  }

  async #send(number: number, body: Buffer, sha256: string): Promise<Done> {
    const { bucket, options } = this.#job;
    const { key, uploadId } = this.#upload.note;
    const doing = { verb: 'write', action: 's3:PutObject', path: this.#target, isOfUpload: true };
    const input = {
      Bucket: bucket.settings.bucket,
      Key: key,
      UploadId: uploadId,
      PartNumber: number,
      Body: body,
      ChecksumSHA256: sha256,
    };
    const { ETag } = await bucket.call(doing, this.#signal, (s3, http) => s3.uploadPart(input, http));
    // What S3 has verified by our checksum needs no other proof.
    const wanted = options.verify === 'checksum' && !(bucket.client.isAws && bucket.client.sendsChecksums);
    return { tag: bareTag(ETag), sha256, md5: wanted ? hash('md5', body) : undefined, bytes: body.length };
  }

  #result(sha256: string): SentParts {
    const { sendsChecksums } = this.#job.bucket.client;
    const done = [...this.#done].sort(([a], [b]) => a - b);
    const checksums = done.map(([, part]) => Buffer.from(part.sha256, 'base64'));
    const composite = hash('sha256', Buffer.concat(checksums), 'base64');
    return {
      parts: done.map(([PartNumber, { tag, sha256: ChecksumSHA256 }]) => ({
        PartNumber,
        ETag: `"${tag}"`,
        ...(sendsChecksums ? { ChecksumSHA256 } : {}),
      })),
      sha256,
      checksum: `${composite}-${done.length}`,
      tag: () => tagOf(done.map(([, part]) => part)),
    };
  }
}

/** In another thread. @param sha256 base64 */
async function isOf(body: Buffer<ArrayBuffer>, sha256: string): Promise<boolean> {
  return Buffer.from(await subtle.digest('SHA-256', body)).toString('base64') === sha256;
}

/** The part of an earlier attempt, when it is the same. */
function known(there: Part, body: Buffer, sha256: string): Done | undefined {
  if (there.Size !== body.length || there.ETag === undefined) return undefined;
  const tag = bareTag(there.ETag);
  if (there.ChecksumSHA256 !== undefined) {
    return there.ChecksumSHA256 === sha256 ? { tag, sha256, md5: undefined, bytes: body.length } : undefined;
  }
  const md5 = hash('md5', body);
  return tag === md5 ? { tag, sha256, md5, bytes: body.length } : undefined;
}

/** The ETag that S3 gives to an object of parts: the MD5 of their MD5s. Undefined when not every part was shown to have its MD5 as ETag. */
function tagOf(parts: readonly Done[]): string | undefined {
  if (!parts.every(({ tag, md5 }) => tag === md5)) return undefined;
  const md5s = Buffer.concat(parts.map(({ tag }) => Buffer.from(tag, 'hex')));
  return `${hash('md5', md5s)}-${parts.length}`;
}
