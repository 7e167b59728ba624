/** Reads a range of a remote file in order, with several READs in flight. */

import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { CHUNK_BYTES } from '../endpoint.ts';
import type { Remote } from './remote.ts';
import { takeRoom } from './window.ts';
import type { Handle } from './wire.ts';

/** READs of one file under way at once: what a connection carries in a round trip. */
const AHEAD = 12;

export interface Range {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** @throws Fault `changed` when the file ends early; else the server's status, or the link's Fault */
export async function* readRange(
  remote: Remote,
  handle: Handle,
  range: Range,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const step = Math.min(CHUNK_BYTES, remote.wire.maxRead);
  const ahead: Promise<Buffer>[] = [];
  let at = range.start;
  try {
    while (at < range.end || ahead.length > 0) {
      while (at < range.end && ahead.length < AHEAD) {
        const length = Math.min(step, range.end - at);
        const piece = readPiece(remote, handle, { start: at, end: at + length }, signal);
        piece.catch(() => undefined); // it is awaited below, or given up
        ahead.push(piece);
        at += length;
      }
      const next = ahead.shift();
      if (next !== undefined) yield await next;
    }
  } finally {
    await Promise.allSettled(ahead);
  }
}

/** A piece of at most `maxRead` bytes; servers may answer with less, and are asked for the rest. */
async function readPiece(
  remote: Remote,
  handle: Handle,
  { start, end }: Range,
  signal: AbortSignal,
): Promise<Buffer> {
  const { wire, readWindow } = remote;
  const bytes = end - start;
  await takeRoom([readWindow], bytes, signal);
  try {
    throwIfAborted(signal);
    const first = await wire.read(handle, bytes, start);
    if (first.length === bytes) return first;
    const parts = [first];
    for (let at = start + first.length; at < end; ) {
      const part = await wire.read(handle, end - at, at);
      if (part.length === 0) throw new Fault('changed', 'it ended early', { code: 'SHORT' });
      parts.push(part);
      at += part.length;
    }
    return Buffer.concat(parts);
  } finally {
    readWindow.give(bytes);
  }
}
