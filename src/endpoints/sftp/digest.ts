/** SHA-256 of what lies on the server: computed there where that works and pays, else by reading it back. */

import { createHash } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { readRange } from './read.ts';
import type { Remote } from './remote.ts';
import { hashThere } from './shell.ts';
import { FLAG } from './wire.ts';

/** Below this, reading back takes fewer round trips than a shell. */
const SHELL_BYTES = 1024 * 1024;

export interface Content {
  readonly path: FilePath;
  /** Of the first so many bytes. */
  readonly bytes: number;
  /** What it is to be; may be computed at the same time. */
  readonly sha256: string | Promise<string>;
}

/**
 * Whether a remote file begins with that content. What a shell says counts only when it says yes: it may see other
 * folders than SFTP does (chroot). Errors are the server's status, or Faults.
 */
export async function holds(remote: Remote, content: Content, signal: AbortSignal): Promise<boolean> {
  throwIfAborted(signal);
  const { path, bytes } = content;
  const [wanted, seen] = await Promise.all([
    content.sha256,
    bytes >= SHELL_BYTES ? hashThere(remote, path, bytes) : undefined,
  ]);
  return seen === wanted || (await readBack(remote, path, bytes, signal)) === wanted;
}

async function readBack(
  remote: Remote,
  path: FilePath,
  bytes: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { wire } = remote;
  const hash = createHash('sha256');
  const handle = await wire.open(path, FLAG.read);
  try {
    for await (const chunk of readRange(remote, handle, { start: 0, end: bytes }, signal)) hash.update(chunk);
    return hash.digest('hex');
  } catch (error) {
    if (error instanceof Fault && error.kind === 'changed') return undefined; // it ends before
    throw error;
  } finally {
    wire.close(handle).catch(() => undefined);
  }
}
