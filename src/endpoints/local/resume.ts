/** What is known to lie in an unfinished temporary: kept in the ledger as a checkpoint, proven before it is used. */

import { z } from 'zod';
import { type FileVersion, sameVersion } from '../endpoint.ts';

export interface Progress {
  readonly bytes: number;
  /** Of exactly those bytes. */
  readonly sha256: string;
}

const Note = z.object({
  bytes: z.number().int().positive(),
  sha256: z.string(),
  version: z.object({ sizeBytes: z.number(), mtimeMs: z.number(), tag: z.string() }),
});

export function noteOfProgress(progress: Progress, version: FileVersion): string {
  return JSON.stringify({ ...progress, version });
}

/** Undefined when the note is not about this version, or not ours. */
export function progressOf(note: string | undefined, version: FileVersion): Progress | undefined {
  if (note === undefined) return undefined;
  const parsed = Note.safeParse(jsonOf(note));
  if (!parsed.success || !sameVersion(parsed.data.version, version)) return undefined;
  return parsed.data.bytes <= version.sizeBytes ? parsed.data : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
