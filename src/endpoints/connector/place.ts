/**
 * From the temporary folder to the final name, by StartRemoteMove. AWS tells nobody how a move ended, so both folders are
 * listed: what is not in the temporary folder any more was moved once that was asked for, since nobody else knows its name. A move is a plain
 * SFTP rename, which most servers refuse where the name is taken: under `conflict: replace` what is there is deleted
 * first, once, and for that moment nothing is there.
 */

import { Fault } from '../../sync/errors.ts';
import { folderOf, printable } from '../../sync/names.ts';
import { takenBy, takenFault } from './choose.ts';
import { finish } from './finish.ts';
import { type Job, keep, later, listingOf, look, looksOf, type Step } from './job.ts';
import { candidate } from './names.ts';
import { again, type Note } from './note.ts';

/** A move that has done nothing in so long is asked for again: that does no harm, since its source can go only once. */
const MOVE_AGAIN_MS = 60_000;
const MOST_NAMES = 1_000;

/**
 * From `placing` to the end. The final folder is looked at first: what is still in the temporary folder when that is
 * looked at afterwards was there then too, so that a file under the final name is not the one that is moved.
 */
export async function place(job: Job, note: Note): Promise<Step> {
  const { connector } = job;
  const looks = looksOf(job);
  if (looks.target === undefined) {
    const listing = await look(job, folderOf(note.final));
    if (listing === undefined) return later(job);
    looks.target = { listing, atMs: connector.now() };
  }
  const { listing: target, atMs } = looks.target;
  const waiting = await listingOf(job, folderOf(note.remote), atMs);
  if (waiting === undefined) return later(job);
  looks.target = undefined;
  const there = takenBy(waiting, note.remote);
  if (there === 'unknown') throw crowdedFault(job, note);
  if (there === 'nothing' && note.moving !== true) return await notThere(job, note);
  if (there === 'nothing') return await finish(job, note, note.verified ?? 'size');
  const taken = takenBy(target, note.final);
  if (taken === 'folder') throw takenFault(job, note.final, taken);
  if (taken === 'file') return await givenWay(job, note);
  return await move(job, note);
}

async function move(job: Job, note: Note): Promise<Step> {
  const { connector, options } = job;
  const nowMs = connector.now();
  const before = note.placing?.action === 'move' ? note.placing : undefined;
  if (before !== undefined && nowMs - before.sinceMs > connector.settings.unsure) {
    await keep(job, { ...note, placing: undefined });
    throw new Fault(
      'transient',
      `${connector.name}: ${printable(note.remote)} is not moved to ${printable(note.final)}`,
      {
        code: 'MOVE_FAILED',
        advice:
          'May the login rename there at the partner, and do both folders lie on one file system? The log of the connector in CloudWatch (aws/transfer/c-…) tells. Ferry tries again.',
      },
    );
  }
  if (before === undefined || nowMs - before.atMs > MOVE_AGAIN_MS) {
    const placing = { action: 'move' as const, atMs: nowMs, sinceMs: before?.sinceMs ?? nowMs };
    await keep(job, { ...note, placing, moving: true });
    await connector.api.move(note.remote, note.final, options.signal);
  }
  return later(job, before?.sinceMs);
}

/** Nobody has moved it, so what is not there has been taken away, or is not shown. */
async function notThere(job: Job, note: Note): Promise<never> {
  await keep(job, again(note));
  throw new Fault(
    'transient',
    `${job.connector.name}: ${printable(note.remote)} was sent, and is not in the temporary folder from where it is to be moved`,
    {
      code: 'TEMP_GONE',
      advice:
        'Does the server hide names that begin with a dot, or does something clear that folder? remoteTemp names another one. Ferry sends it again.',
    },
  );
}

/** What holds the final name goes, or this file takes another, as the job says. */
async function givenWay(job: Job, note: Note): Promise<Step> {
  const { connector, options } = job;
  const nowMs = connector.now();
  if (options.conflict === 'rename') return await otherName(job, note);
  if (options.conflict !== 'replace') throw takenFault(job, note.final, 'file');
  const before = note.placing?.action === 'clear' ? note.placing : undefined;
  // A second removal could meet the new file: not before the first can have been forgotten.
  if (before === undefined || nowMs - before.atMs > connector.settings.unsure) {
    await keep(job, {
      ...note,
      placing: { action: 'clear', atMs: nowMs, sinceMs: before?.sinceMs ?? nowMs },
    });
    await connector.api.remove(note.final, options.signal);
  }
  return later(job, before?.sinceMs);
}

async function otherName(job: Job, note: Note): Promise<Step> {
  const { connector, options, path } = job;
  const target = await look(job, folderOf(path));
  if (target === undefined) return later(job);
  for (let n = 0; n < MOST_NAMES; n += 1) {
    const final = candidate(path, n);
    if (takenBy(target, final) !== 'nothing' || connector.names.isTaken(final, options.token)) continue;
    connector.names.take(final, options.token);
    return await keep(job, { ...note, final, placing: undefined });
  }
  throw takenFault(job, path, 'file');
}

function crowdedFault({ connector }: Job, note: Note): Fault {
  const folder = folderOf(note.remote);
  return new Fault(
    'permanent',
    `${connector.name}: ${printable(folder)} has over 10,000 entries, so that nobody can tell whether a file was moved out of it`,
    {
      code: 'LISTING_TRUNCATED',
      advice:
        'Have the folder cleared at the partner, or name one for this alone in remoteTemp; then ferry retry.',
    },
  );
}
