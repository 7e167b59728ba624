/**
 * Where an interrupted send can go on: only for the same version of the file (the note of this very delivery says
 * so), and only after it was proved that what lies there is the same content.
 */

import { createHash, type Hash } from 'node:crypto';
import { z } from 'zod';
import { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { SourceReader } from '../endpoint.ts';
import { holds } from './digest.ts';
import { changedFault, type Job } from './job.ts';
import { isFile } from './kinds.ts';
import { SPAN_BYTES } from './upload-large.ts';
import type { Attributes } from './wire.ts';

/** Less than this is sent again sooner than it is proved. */
const WORTH_BYTES = 4 * 1024 * 1024;
const BLOCK_BYTES = 32 * 1024;

/** What `checkpoint` keeps: safe point, and how far beyond it bytes may lie with gaps between. */
const Note = z.object({
  sftp: z.literal(1),
  contiguous: z.number().int().nonnegative(),
  span: z.number().int().nonnegative(),
});

export function noteFor(contiguous: number, helped: boolean): string {
  return JSON.stringify({ sftp: 1, contiguous, span: helped ? SPAN_BYTES : 0 } satisfies z.input<
    typeof Note
  >);
}

function parseNote(text: string | undefined): z.output<typeof Note> | undefined {
  if (text === undefined) return undefined;
  try {
    return Note.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export interface Resumed {
  readonly start: number;
  /** SHA-256 that has taken in everything before. */
  readonly hash: Hash;
}

/** Errors are Faults of the source or the link. */
export async function resumePoint(
  job: Job,
  reader: SourceReader,
  temp: FilePath,
): Promise<Resumed | undefined> {
  const start = await safeStart(job, temp);
  if (start === undefined) return undefined;
  const hash = createHash('sha256');
  const sha256 = hashUpTo(job, reader, start, hash);
  const proved = await holds(job.remote, { path: temp, bytes: start, sha256 }, job.options.signal).catch(
    (error: unknown) => {
      if (error instanceof Fault) throw error;
      return false; // it cannot be read: start again
    },
  );
  return proved ? { start, hash } : undefined;
}

/** Everything before it should lie there without a gap. Undefined when there is nothing worth going on from. */
async function safeStart(job: Job, temp: FilePath): Promise<number | undefined> {
  const note = parseNote(job.options.resume);
  if (note === undefined || job.sizeBytes < WORTH_BYTES) return undefined;
  const there = await statOf(job, temp);
  if (there === undefined || !isFile(there) || there.sizeBytes > job.sizeBytes) return undefined;
  const safe = Math.min(there.sizeBytes, Math.max(note.contiguous, there.sizeBytes - note.span));
  const start = safe === job.sizeBytes ? safe : safe - (safe % BLOCK_BYTES);
  return start < WORTH_BYTES ? undefined : start;
}

/** SHA-256 of the source up to there; `hash` has taken it in. */
export async function hashUpTo(job: Job, reader: SourceReader, end: number, hash: Hash): Promise<string> {
  let bytes = 0;
  for await (const chunk of reader.read(0, end, job.options.signal)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  if (bytes !== end) throw changedFault(job, 'became shorter');
  return hash.copy().digest('hex');
}

async function statOf(job: Job, path: FilePath): Promise<Attributes | undefined> {
  try {
    return await job.remote.wire.lstat(path);
  } catch (error) {
    if (error instanceof Fault) throw error;
    return undefined;
  }
}
