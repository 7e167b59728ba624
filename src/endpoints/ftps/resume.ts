/**
 * Where an interrupted send can go on: only for the same version of the file (the note of this very delivery says
 * so), only where the server can, and only after it was proved that what lies there is the same content.
 */

import { createHash, type Hash } from 'node:crypto';
import { z } from 'zod';
import type { FilePath } from '../../sync/names.ts';
import type { SourceReader } from '../endpoint.ts';
import type { Connection } from './connection.ts';
import { holds } from './digest.ts';
import { changedFault, type Job } from './job.ts';
import { sizeOf } from './look.ts';

/** Less than this is sent again sooner than it is proved. */
export const WORTH_BYTES = 4 * 1024 * 1024;

/** What `checkpoint` keeps: that the temporary is of this version. How much of it arrived, the server knows best. */
const Note = z.object({ ftps: z.literal(1) });

export function note(): string {
  return JSON.stringify({ ftps: 1 } satisfies z.input<typeof Note>);
}

function isNote(text: string | undefined): boolean {
  if (text === undefined) return false;
  try {
    return Note.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}

export interface Resumed {
  readonly start: number;
  /** Holds everything before. */
  readonly before: Hash;
}

export function resumable(connection: Connection, job: Job): boolean {
  return connection.traits.restart && connection.memory.restarts && job.sizeBytes >= WORTH_BYTES;
}

/** Errors are Faults of the source or the connection. */
export async function resumePoint(
  connection: Connection,
  job: Job,
  reader: SourceReader,
  temp: FilePath,
): Promise<Resumed | undefined> {
  if (!resumable(connection, job) || !isNote(job.options.resume)) return undefined;
  const start = await sizeOf(connection, temp);
  if (start === undefined || start < WORTH_BYTES || start > job.sizeBytes) return undefined;
  const before = createHash('sha256');
  let at = 0;
  for await (const chunk of reader.read(0, start, job.options.signal)) {
    before.update(chunk);
    at += chunk.length;
  }
  if (at !== start) throw changedFault(job, 'became shorter');
  const content = { path: temp, bytes: start, whole: true, sha256: before.copy().digest('hex') };
  return (await holds(connection, content, job.options.signal)) ? { start, before } : undefined;
}
