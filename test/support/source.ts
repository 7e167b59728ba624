/**
 * A source made of generated content, of any size, that can go wrong in the ways that real ones do.
 * It counts its readers, so that a test can see that every one was closed.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { CHUNK_BYTES, type FileVersion, SMALL_BYTES, type SourceFile } from '../../src/endpoints/endpoint.ts';
import { Fault, throwIfAborted } from '../../src/sync/errors.ts';
import { contentOf, sha256OfContent } from './files.ts';

export type SourceTrouble =
  /** Reading beyond `atByte` fails with EIO, as a disk does. */
  | { readonly kind: 'fails'; readonly atByte: number }
  /** It was cut off at `atByte` meanwhile: reading on reports `changed`, and so does a recheck. */
  | { readonly kind: 'shrinks'; readonly atByte: number }
  /** A careless reader: it ends at `atByte` without a word, and rechecks well. */
  | { readonly kind: 'ends'; readonly atByte: number }
  /** Bytes were added after `atByte` was read: all reads go well, the recheck reports `changed`. */
  | { readonly kind: 'grows' }
  /** Bytes from `atByte` are others when read a second time, and the recheck reports `changed`. */
  | { readonly kind: 'changes'; readonly atByte: number }
  /** Its name is gone once `atByte` was read; the open file still reads well, the recheck reports `vanished`. */
  | { readonly kind: 'vanishes' }
  /** It is gone before it was opened. */
  | { readonly kind: 'gone' };

export interface GeneratedSource extends SourceFile {
  /** SHA-256 of its content, lower-case hex. */
  readonly sha256: string;
  /** Readers that were opened so far, and those not closed yet. */
  readonly opened: number;
  readonly openNow: number;
  /** Bytes that were read so far, over all readers. */
  readonly bytesRead: number;
}

export interface GeneratedOptions {
  readonly sizeBytes: number;
  /** Names the content; default `seed`. */
  readonly seed?: string;
  readonly path?: string;
  readonly mtimeMs?: number;
  readonly trouble?: SourceTrouble;
  /** Called before each chunk is given, with its offset: to pause, to abort, to cut. */
  readonly beforeChunk?: (offset: number) => void | Promise<void>;
  /** Largest chunk given; default CHUNK_BYTES. */
  readonly chunkBytes?: number;
  /** Wait before each chunk. */
  readonly delayMs?: number;
}

export function generatedSource(options: GeneratedOptions): GeneratedSource {
  const { sizeBytes, trouble } = options;
  const seed = options.seed ?? 'seed';
  const path = options.path ?? `${seed}.bin`;
  const chunkBytes = Math.min(options.chunkBytes ?? CHUNK_BYTES, CHUNK_BYTES);
  const version: FileVersion = { sizeBytes, mtimeMs: options.mtimeMs ?? 1_700_000_000_000, tag: '' };
  let opened = 0;
  let openNow = 0;
  let bytesRead = 0;
  let sha256: string | undefined;

  const changed = (): Fault => new Fault('changed', `${path} changed while it was sent`);

  /** Where reading stops, and how it stops there. */
  const endOf = (end: number): number => {
    const stops = trouble?.kind === 'fails' || trouble?.kind === 'shrinks' || trouble?.kind === 'ends';
    return stops ? Math.min(end, trouble.atByte) : end;
  };
  const stopped = (): void => {
    if (trouble?.kind === 'fails') throw new Fault('transient', `${path}: cannot be read`, { code: 'EIO' });
    if (trouble?.kind === 'shrinks') throw changed();
  };
  const bytes = (start: number, end: number, reading: number): Buffer => {
    const other = trouble?.kind === 'changes' && reading > 1 && end > trouble.atByte;
    bytesRead += end - start;
    return contentOf(other ? `${seed} changed` : seed, start, end);
  };

  return {
    path,
    version,
    get sha256() {
      sha256 ??= sha256OfContent(seed, sizeBytes);
      return sha256;
    },
    get opened() {
      return opened;
    },
    get openNow() {
      return openNow;
    },
    get bytesRead() {
      return bytesRead;
    },
    open: async (signal) => {
      throwIfAborted(signal);
      if (trouble?.kind === 'gone') throw new Fault('vanished', `${path} is gone`, { code: 'ENOENT' });
      opened += 1;
      openNow += 1;
      const reading = opened;
      let closed = false;
      return {
        read: async function* (start, end, readSignal) {
          const stop = endOf(end);
          for (let at = start; at < stop; at += chunkBytes) {
            throwIfAborted(readSignal);
            if (options.delayMs !== undefined) await sleep(options.delayMs);
            await options.beforeChunk?.(at);
            yield bytes(at, Math.min(at + chunkBytes, stop), reading);
          }
          if (stop < end) stopped();
        },
        readAll: async (readSignal) => {
          throwIfAborted(readSignal);
          if (sizeBytes > SMALL_BYTES) throw new Error('readAll is for small files');
          if (options.delayMs !== undefined) await sleep(options.delayMs);
          await options.beforeChunk?.(0);
          const stop = endOf(sizeBytes);
          if (stop < sizeBytes) stopped();
          return bytes(0, stop, reading);
        },
        recheck: async () => {
          if (trouble?.kind === 'grows' || trouble?.kind === 'shrinks' || trouble?.kind === 'changes')
            throw changed();
          if (trouble?.kind === 'vanishes')
            throw new Fault('vanished', `${path} is gone`, { code: 'ENOENT' });
        },
        [Symbol.asyncDispose]: async () => {
          if (closed) return;
          closed = true;
          openNow -= 1;
        },
      };
    },
  };
}
