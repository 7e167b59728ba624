/**
 * The name under which a file goes to the partner, and what happens where that is taken. The API writes over whatever is
 * there, so the folder is listed first, except where the job says `conflict: replace`. Between that look and the transfer
 * somebody else may take the name; with a temporary folder the move refuses to write over it.
 */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, nameOf, printable } from '../../sync/names.ts';
import { fetchBack } from './back.ts';
import { type Job, keep, later, look, type Step } from './job.ts';
import type { Listing } from './listings.ts';
import { candidate } from './names.ts';
import { type Note, newNote } from './note.ts';
import { digestOf } from './staging.ts';

const MOST_NAMES = 1_000;

/** The first step: leads to `staging` with a name that is free. */
export async function choose(job: Job, before: Note | undefined): Promise<Step> {
  const { options, path, source } = job;
  if (options.conflict === 'replace') return take(job, newNote(source.version, path), path);
  const note: Note =
    before?.phase === 'choosing' ? before : { ...newNote(source.version, path), phase: 'choosing' };
  const listing = await look(job, folderOf(path));
  return listing === undefined ? later(job) : await among(job, note, listing);
}

async function among(job: Job, before: Note, listing: Listing): Promise<Step> {
  const { connector, options, path } = job;
  let note = before;
  for (let n = 0; n < MOST_NAMES; n += 1) {
    const name = candidate(path, n);
    const isOurs = connector.names.isTaken(name, options.token);
    if (isOurs && options.conflict !== 'rename') return later(job);
    if (isOurs) continue;
    const taken = takenBy(listing, name);
    if (taken === 'unknown') throw unknownFault(connector.name, name);
    if (taken === 'nothing') return take(job, note, name);
    if (taken === 'file' && mayBeSame(listing, name, job.sizeBytes)) {
      const fetched = await fetchBack(job, note, name);
      if ('wait' in fetched) return fetched.wait;
      note = fetched.note;
      const sha256 = await digestOf(job.source, options.signal);
      if (fetched.sha256 === sha256) return alreadyThere(job, name, sha256);
      // A later call shall not fetch it once more.
      await keep(job, note);
    }
    if (options.conflict !== 'rename') throw takenFault(job, name, taken);
  }
  throw new Fault('permanent', `${connector.name}: ${MOST_NAMES} names like ${printable(path)} are taken`, {
    code: 'EEXIST',
    advice: 'Clear the folder at the partner, or choose another policy in conflict.',
  });
}

type Taken = 'nothing' | 'file' | 'folder' | 'unknown';

export function takenBy(listing: Listing, path: FilePath): Taken {
  const name = nameOf(path);
  if (listing.files.has(name)) return 'file';
  if (listing.folders.has(name)) return 'folder';
  return listing.truncated ? 'unknown' : 'nothing';
}

function mayBeSame(listing: Listing, path: FilePath, sizeBytes: number): boolean {
  const size = listing.files.get(nameOf(path))?.sizeBytes;
  return size === undefined || size === sizeBytes;
}

/** Nobody else of this process sends there until this one has ended. */
function take(job: Job, note: Note, final: FilePath): Step {
  const { connector, options } = job;
  if (connector.names.isTaken(final, options.token)) return later(job);
  connector.names.take(final, options.token);
  return { note: { ...note, phase: 'staging', final } };
}

function alreadyThere({ options, sizeBytes }: Job, remotePath: FilePath, sha256: string): Step {
  options.progress(sizeBytes);
  return {
    state: 'done',
    receipt: { remotePath, sizeBytes, sha256, verified: 'checksum', alreadyThere: true },
  };
}

export function takenFault({ connector, options }: Job, path: FilePath, taken: Taken): Fault {
  const what = taken === 'folder' ? 'a folder of that name' : 'other content';
  const message = `${connector.name}: ${printable(path)} is taken by ${what}`;
  if (options.conflict === 'skip') return new Fault('skipped', message, { code: 'EEXIST' });
  const policies = taken === 'folder' ? 'rename' : 'replace or rename';
  return new Fault('permanent', message, {
    code: taken === 'folder' ? 'EISDIR' : 'EEXIST',
    advice: `Have it moved away at the partner, or choose conflict: ${policies}, then ferry retry.`,
  });
}

function unknownFault(name: string, path: FilePath): Fault {
  return new Fault(
    'permanent',
    `${name}: nobody can tell whether ${printable(path)} is taken: the folder has over 10,000 entries`,
    {
      code: 'LISTING_TRUNCATED',
      advice:
        'Have the folder cleared at the partner, or write conflict: replace in the job, then ferry retry.',
    },
  );
}
