/** The checkpoint of a multipart upload, as the ledger keeps it: enough to go on with it, or to abort it. The parts are S3's to remember. */

import { z } from 'zod';
import { type FileVersion, sameVersion } from '../endpoint.ts';

const Note = z.object({
  s3: z.literal(1),
  /** With the prefix: the endpoint's may be another by now. */
  key: z.string(),
  /** Undefined: it was about to be started. */
  uploadId: z.string().optional(),
  /** When it was about to be started, ms since the epoch by this host's clock. */
  startedMs: z.number(),
  partBytes: z.number().int().positive(),
  /** Of the whole file, where it was known before: it is in the object's metadata. */
  sha256: z.string().optional(),
  /** Once S3 has all parts and is to put them together: what the object will be known by. */
  whole: z.object({ sha256: z.string(), checksum: z.string(), tag: z.string() }).optional(),
  /** Parts that S3 has confirmed; tells the queue that an attempt got further. */
  parts: z.number().int().nonnegative(),
  version: z.object({ sizeBytes: z.number(), mtimeMs: z.number(), tag: z.string() }),
});

export type Note = Readonly<z.output<typeof Note>>;
export type Whole = NonNullable<Note['whole']>;

export function noteText(note: Note): string {
  return JSON.stringify(note);
}

/** Undefined when there is none, or it is not ours. */
export function parseNote(text: string | undefined): Note | undefined {
  if (text === undefined) return undefined;
  try {
    return Note.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export function isAbout(note: Note, key: string, version: FileVersion): boolean {
  return note.key === key && sameVersion(note.version, version);
}
