/** The checkpoint of a send, as the ledger keeps it: what was staged where, what was asked of the connector, and when. */

import { z } from 'zod';

const Note = z.object({
  connector: z.literal(1),
  version: z.object({ sizeBytes: z.number(), mtimeMs: z.number(), tag: z.string() }),
  /**
   * choosing: the partner is looked at for names that are taken · staging: on its way into the bucket · staged: there, and nothing is asked of the connector · starting: it was about
   * to be asked, and nobody knows whether it was · sent: accepted · placing: arrived in the temporary folder
   */
  phase: z.enum(['choosing', 'staging', 'staged', 'starting', 'sent', 'placing']),
  /** Path at the staging endpoint; undefined where the source lies in the bucket itself. */
  staged: z.string().optional(),
  /** What the staging endpoint itself noted. */
  staging: z.string().optional(),
  /** Of the bytes that were staged. */
  sha256: z.string().optional(),
  /** Where the file is to be in the end. */
  final: z.string(),
  /** Where the connector puts it: the same, or in the temporary folder. */
  remote: z.string(),
  /** When the connector was (about to be) asked, ms since the epoch by this host's clock. */
  startedMs: z.number().optional(),
  transferId: z.string().optional(),
  /** A file that is fetched back into the bucket, to compare checksums: from where, and to which path there. */
  back: z
    .object({ remote: z.string(), path: z.string(), transferId: z.string(), startedMs: z.number() })
    .optional(),
  /** When the connector's word came that all of it is there, ms since the epoch. */
  completedMs: z.number().optional(),
  /** The last thing that was asked on the way from the temporary folder, and when. */
  placing: z
    .object({ action: z.enum(['clear', 'move']), atMs: z.number(), sinceMs: z.number() })
    .or(z.undefined())
    .optional(),
  /** It has been asked for the move, be it that something else was asked afterwards. */
  moving: z.boolean().optional(),
  verified: z.enum(['size', 'checksum']).optional(),
});

export type Note = Readonly<z.output<typeof Note>>;

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

/** Before anything is done. */
export function newNote(version: Note['version'], final: string): Note {
  const { sizeBytes, mtimeMs, tag } = version;
  return { connector: 1, version: { sizeBytes, mtimeMs, tag }, phase: 'staging', final, remote: final };
}

/** To be sent once more from what is staged. */
export function again(note: Note): Note {
  const { transferId: _t, completedMs: _c, back: _b, placing: _p, moving: _m, verified: _v, ...rest } = note;
  return { ...rest, phase: 'staged' };
}
