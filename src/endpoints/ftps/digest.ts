/** SHA-256 of what lies on the server: by HASH or XSHA256 where it offers them, else by reading it back. */

import { createHash } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { Connection } from './connection.ts';
import { readInto } from './read.ts';
import { sha256In } from './reply.ts';

/** A server hashes at least so fast. */
const BYTES_PER_MS = 10_000;

export interface Content {
  readonly path: FilePath;
  /** Of the first so many bytes. */
  readonly bytes: number;
  /** Of all that lies there. */
  readonly whole: boolean;
  readonly sha256: string;
}

/** Whether a remote file begins with that content. What a server says counts only when it says yes. Errors are Faults. */
export async function holds(connection: Connection, content: Content, signal: AbortSignal): Promise<boolean> {
  if ((await hashThere(connection, content)) === content.sha256) return true;
  const hash = createHash('sha256');
  try {
    const range = { start: 0, end: content.bytes };
    await readInto(connection, content.path, range, signal, (chunk) => {
      hash.update(chunk);
    });
  } catch (error) {
    if (error instanceof Fault && error.kind === 'changed') return false; // it ends before
    throw error;
  }
  return hash.digest('hex') === content.sha256;
}

async function hashThere(connection: Connection, content: Content): Promise<string | undefined> {
  const { traits, control, settings } = connection;
  const wire = connection.wire(content.path);
  const limitMs = settings.timeout + content.bytes / BYTES_PER_MS;
  if (traits.hash && content.whole) return sha256In(await control.ask(`HASH ${wire}`, limitMs));
  // XSHA256 takes the range after the name, which therefore must not look like one.
  if (!traits.xsha256 || /\s/.test(wire)) return undefined;
  const range = content.whole ? '' : ` 0 ${content.bytes}`;
  return sha256In(await control.ask(`XSHA256 ${wire}${range}`, limitMs));
}
