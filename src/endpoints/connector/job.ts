/** One send, as its parts see it. */

import { asFault, Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, joinPath, nameOf, printable } from '../../sync/names.ts';
import type { SendOptions, SendResult, SourceFile } from '../endpoint.ts';
import type { Connector, Look } from './connector.ts';
import type { Listing } from './listings.ts';
import { type Note, noteText } from './note.ts';

/** Longest time between two questions after one transfer. */
const MOST_POLL_MS = 60_000;
/** A listing that comes so soon is waited for; otherwise the place at work is given up meanwhile. */
const SOON_MS = 2_000;
/** Folders above one that cannot be listed that are looked at. */
const MOST_ABOVE = 3;

export interface Job {
  readonly connector: Connector;
  readonly source: SourceFile;
  /** As it was asked for. */
  readonly path: FilePath;
  readonly sizeBytes: number;
  readonly options: SendOptions;
}

/** What a step leads to: another one, or the end of this call. */
export type Step = { readonly note: Note } | SendResult;

/** Durable when resolved. */
export async function keep({ options }: Job, note: Note): Promise<Step> {
  await options.checkpoint(noteText(note), isUnderWay(note));
  return { note };
}

/** The connector may be at work on it. */
export function isUnderWay({ phase }: Note): boolean {
  return phase === 'starting' || phase === 'sent' || phase === 'placing';
}

/** @param sinceMs the longer it has taken, the less often it is asked after */
export function later({ connector }: Job, sinceMs = connector.now()): SendResult {
  const waited = (connector.now() - sinceMs) / 4;
  const checkAfterMs = Math.max(connector.settings.poll, Math.min(waited, MOST_POLL_MS));
  return { state: 'pending', checkAfterMs };
}

/** How long ago that was. A clock that was set back meanwhile shall not make anybody wait until it is there again. */
export function ageMs({ connector }: Job, atMs: number): number {
  return Math.abs(connector.now() - atMs);
}

/** Undefined: it has not come yet. */
export function listingOf(
  { connector, options }: Job,
  folder: FilePath,
  sinceMs: number,
): Promise<Listing | undefined> {
  return connector.listings.soon(folder, sinceMs, SOON_MS, options.signal);
}

/**
 * A new look at a folder: a listing that is asked for from now on, or from the first call on that gave undefined.
 * Undefined: it has not come yet, and the next call waits for the same one.
 */
export async function look(job: Job, folder: FilePath): Promise<Listing | undefined> {
  const { sinceMs } = looksOf(job);
  const since = sinceMs.get(folder) ?? job.connector.now();
  sinceMs.set(folder, since);
  try {
    const listing = await listingOf(job, folder, since);
    if (listing !== undefined) sinceMs.delete(folder);
    return listing;
  } catch (error) {
    sinceMs.delete(folder);
    throw await whyUnlisted(job, folder, asFault(error, job.options.signal));
  }
}

/** Why there is no listing, the API does not tell; the folders above may. */
async function whyUnlisted({ connector, options }: Job, folder: FilePath, fault: Fault): Promise<Fault> {
  const { listings, name, now } = connector;
  let below = folder;
  for (let n = 0; n < MOST_ABOVE && fault.code === 'LISTING_FAILED' && folderOf(below) !== below; n += 1) {
    const above = await listings.of(folderOf(below), now(), options.signal).catch(() => undefined);
    if (above === undefined) {
      below = folderOf(below);
      continue;
    }
    if (above.truncated || above.folders.has(nameOf(below))) return fault;
    return new Fault('permanent', `${name}: there is no folder ${printable(below)} at the partner`, {
      code: 'ENOENT',
      advice: 'A connector makes no folders: have the folder made at the partner, then ferry retry.',
    });
  }
  return fault;
}

export function looksOf({ connector, options }: Job): Look {
  const looks = connector.looks.get(options.token) ?? { sinceMs: new Map(), target: undefined };
  connector.looks.set(options.token, looks);
  return looks;
}

/** Where a file waits for its move; undefined where it goes to its final name at once. @throws Fault `permanent` */
export function tempFolderFor({ settings }: Connector, final: FilePath): FilePath | undefined {
  const { remoteTemp } = settings;
  if (remoteTemp === false) return undefined;
  if (!final.startsWith('/')) {
    throw new Fault(
      'permanent',
      `with remoteTemp, ${final} has to be written from / on: moves take whole paths`,
      {
        code: 'EINVAL',
        advice: 'Write the path of "to" in the job from / on, then ferry retry.',
      },
    );
  }
  const name = remoteTemp === true ? TEMP_FOLDER : remoteTemp;
  if (name.startsWith('/')) return name.replace(/(?<=.)\/+$/, '');
  const folder = folderOf(final);
  return name === '.' ? folder : joinPath(folder, name);
}

export const TEMP_FOLDER = '.ferry-tmp';
