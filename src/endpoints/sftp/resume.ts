/**
 * Where an interrupted send can go on: only for the same version of the file (the note of this very delivery says
 * so), and only after it was proved that what lies there is the same content.
 */

import { z } from 'zod';
import { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { SourceReader } from '../endpoint.ts';
import { holds } from './digest.ts';
import { type Hasher, InlineHasher } from './hasher.ts';
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
  /** Holds everything before. */
  readonly hasher: Hasher;
}

/** Errors are Faults of the source or the link. */
export async function resumePoint(
  job: Job,
  reader: SourceReader,
  temp: FilePath,
): Promise<Resumed | undefined> {
  const note = parseNote(job.options.resume);
  if (note === undefined || job.sizeBytes < WORTH_BYTES) return undefined;
  const there = await statOf(job, temp);
  if (there === undefined || !isFile(there) || there.sizeBytes > job.sizeBytes) return undefined;
  const safe = Math.min(there.sizeBytes, Math.max(note.contiguous, there.sizeBytes - note.span));
  const start = safe === job.sizeBytes ? safe : safe - (safe % BLOCK_BYTES);
  if (start < WORTH_BYTES) return undefined;

  const hasher = new InlineHasher();
  const { signal } = job.options;
  let bytes = 0;
  for await (const chunk of reader.read(0, start, signal)) {
    hasher.update(chunk);
    bytes += chunk.length;
  }
  if (bytes !== start) throw changedFault(job, 'became shorter');
  const content = { path: temp, bytes: start, sha256: await hasher.snapshot() };
  const same = await holds(job.remote, content, signal).catch((error: unknown) => {
    if (error instanceof Fault) throw error;
    return false; // it cannot be read: start again
  });
  return same ? { start, hasher } : undefined;
}

async function statOf(job: Job, path: FilePath): Promise<Attributes | undefined> {
  try {
    return await job.remote.wire.lstat(path);
  } catch (error) {
    if (error instanceof Fault) throw error;
    return undefined;
  }
}
