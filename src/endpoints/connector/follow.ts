/**
 * Asks what became of a transfer, and has it confirmed: the connector's word, the size in a listing of the folder, and
 * the checksum where the job wants it.
 */

import { Fault } from '../../sync/errors.ts';
import { folderOf, nameOf, printable } from '../../sync/names.ts';
import type { Receipt } from '../endpoint.ts';
import { fetchBack } from './back.ts';
import { takenBy, takenFault } from './choose.ts';
import { evidenceOf } from './evidence.ts';
import { failureOf } from './failures.ts';
import { finish } from './finish.ts';
import { ageMs, type Job, keep, later, listingOf, look, type Step } from './job.ts';
import { again, type Note } from './note.ts';
import { sendPathOf } from './stage.ts';
import { digestOf } from './staging.ts';
import { assertUnchanged } from './start.ts';

/** A folder that could not be listed is not asked again for so long. */
const UNLISTABLE_MS = 3_600_000;

/** From `sent` to the end, or to `placing`. */
export async function follow(job: Job, note: Note): Promise<Step> {
  if (note.completedMs === undefined) return await ask(job, note);
  if (note.staged === undefined) await assertUnchanged(job);
  const confirmed = await confirmSize(job, note, note.completedMs);
  if (confirmed !== undefined) return confirmed;
  let verified: Receipt['verified'] = 'size';
  let { sha256 } = note;
  if (job.options.verify === 'checksum') {
    const fetched = await fetchBack(job, note, note.remote);
    if ('wait' in fetched) return fetched.wait;
    sha256 ??= await digestOf(job.source, job.options.signal);
    if (fetched.sha256 !== sha256)
      return await notWhole(job, fetched.note, 'what arrived is not what was sent', 'CHECKSUM_MISMATCH');
    verified = 'checksum';
  }
  const { back: _, ...rest } = note;
  const known: Note = { ...rest, ...(sha256 === undefined ? {} : { sha256 }) };
  return note.remote === note.final
    ? await finish(job, known, verified)
    : await keep(job, { ...known, phase: 'placing', verified });
}

async function ask(job: Job, note: Note): Promise<Step> {
  const { connector, options } = job;
  const { transferId, startedMs = 0 } = note;
  const path = sendPathOf(job, note);
  const result =
    transferId === undefined ? undefined : await connector.results.of(transferId, path, options.signal);
  switch (result?.status) {
    case 'QUEUED':
    case 'IN_PROGRESS':
      return later(job, startedMs);
    case 'COMPLETED':
      return await keep(job, { ...note, completedMs: connector.now() });
    case 'FAILED':
      return await failed(job, note, failureOf(connector.name, note.remote, result));
    case undefined:
      return await unknown(job, note);
  }
}

/** The service has forgotten it, or does not know it yet: only the partner's side can tell. */
async function unknown(job: Job, note: Note): Promise<Step> {
  const { connector, sizeBytes } = job;
  const startedMs = note.startedMs ?? 0;
  const listing = await look(job, folderOf(note.remote));
  if (listing === undefined) return later(job);
  const evidence = evidenceOf(listing, note.remote, sizeBytes, startedMs);
  if (evidence === 'there') return await keep(job, { ...note, completedMs: connector.now() });
  if (ageMs(job, startedMs) < connector.settings.unsure) return later(job, startedMs);
  await keep(job, { ...note, phase: 'staged' });
  const { name } = connector;
  throw new Fault(
    'permanent',
    `${name}: nobody knows what became of ${printable(note.remote)}: AWS keeps results for 7 days, those of ${note.transferId ?? 'this transfer'} are gone, and ${WORDS[evidence]}`,
    {
      code: 'RESULT_UNKNOWN',
      advice: 'Ask the partner whether it was taken there; ferry retry sends it again.',
    },
  );
}

const WORDS: Readonly<Record<'coming' | 'nothing' | 'unknown', string>> = {
  coming: 'only a part of it is at the partner',
  nothing: 'it is not at the partner',
  unknown: 'the listing of the folder at the partner does not tell',
};

/** Undefined: it is as it should be, as far as can be seen. */
async function confirmSize(job: Job, note: Note, completedMs: number): Promise<Step | undefined> {
  const { connector, sizeBytes } = job;
  const folder = folderOf(note.remote);
  const sinceMs = connector.unlistable.get(folder) ?? 0;
  if (connector.settings.confirm === 'result' || connector.now() - sinceMs < UNLISTABLE_MS) return undefined;
  try {
    const listing = await listingOf(job, folder, completedMs);
    if (listing === undefined) return later(job);
    // A file that is not there any more was taken by whoever it is for.
    const size = listing.files.get(nameOf(note.remote))?.sizeBytes;
    if (size === undefined || size === sizeBytes) return undefined;
    return await notWhole(job, note, `${size} bytes arrived of ${sizeBytes}`, 'SIZE_MISMATCH');
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'LISTING_FAILED') throw error;
    connector.unlistable.set(folder, connector.now());
    connector.warn(`${error.message}: sizes there are not compared, and the word of the connector counts`);
    return undefined;
  }
}

async function notWhole(job: Job, note: Note, what: string, code: string): Promise<never> {
  await keep(job, { ...again(note) });
  throw new Fault('transient', `${job.connector.name}: ${printable(note.remote)}: ${what}`, {
    code,
    advice: 'Ferry sends it again. If it repeats, something at the partner changes files.',
  });
}

/** @throws Fault */
async function failed(job: Job, note: Note, fault: Fault): Promise<never> {
  const { staged: _, ...unstaged } = again(note);
  const restage = fault.code === 'STAGED_GONE';
  await keep(job, restage ? { ...unstaged, phase: 'staging' } : again(note));
  throw fault.kind === 'transient' && !restage ? await withReason(job, note, fault) : fault;
}

/** A name that a folder has is a reason that servers give no words for. */
async function withReason(job: Job, note: Note, fault: Fault): Promise<Fault> {
  if (fault.code === 'PARTNER_UNREACHABLE') return fault;
  const listing = await listingOf(job, folderOf(note.remote), job.connector.now()).catch(() => undefined);
  if (listing === undefined || takenBy(listing, note.remote) !== 'folder') return fault;
  return takenFault(job, note.remote, 'folder');
}
