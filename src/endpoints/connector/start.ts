/**
 * Asks the connector to send what is staged. The intent is in the ledger before the call, and the TransferId before
 * anything else happens, so that a restart asks after the transfer instead of sending twice. Where the answer was lost,
 * the partner's side is looked at, for as long as the transfer may still come out of a queue.
 */

import { folderOf, nameOf } from '../../sync/names.ts';
import { evidenceOf } from './evidence.ts';
import { Throttled } from './faults.ts';
import { ageMs, type Job, keep, later, look, type Step } from './job.ts';
import { remoteFolderOf } from './names.ts';
import type { Note } from './note.ts';
import { sendPathOf } from './stage.ts';

/** From `staged` to `sent`, or to `starting` where nobody knows. */
export async function start(job: Job, note: Note): Promise<Step> {
  const { connector, options, source } = job;
  // It lies where others may change it.
  if (note.staged === undefined) await assertUnchanged(job);
  const starting: Note = { ...note, phase: 'starting', startedMs: connector.now() };
  const started = await connector.batches.start(
    {
      path: sendPathOf(job, note),
      signal: options.signal,
      intend: async () => void (await keep(job, starting)),
    },
    remoteFolderOf(note.remote),
  );
  if (started.is === 'accepted')
    return await keep(job, { ...starting, phase: 'sent', transferId: started.transferId });
  if (started.is === 'unknown') {
    connector.warn(
      `nobody knows whether ${source.path} was sent (${started.fault.message}): it is looked for at the partner`,
    );
    throw started.fault;
  }
  await keep(job, note);
  if (started.fault instanceof Throttled)
    return { state: 'pending', checkAfterMs: Math.max(started.fault.retryAfterMs, connector.settings.poll) };
  throw started.fault;
}

/** From `starting`: a call whose answer nobody has. */
export async function search(job: Job, note: Note): Promise<Step> {
  const { connector, sizeBytes } = job;
  const { unsure } = connector.settings;
  const startedMs = note.startedMs ?? 0;
  const listing = await look(job, folderOf(note.remote));
  if (listing === undefined) return later(job);
  const evidence = evidenceOf(listing, note.remote, sizeBytes, startedMs);
  if (evidence === 'there') return await keep(job, { ...note, phase: 'sent', completedMs: connector.now() });
  // It may wait in a queue, or be written to still. Sent again it would only replace itself.
  const { modifiedMs = 0 } = listing.files.get(nameOf(note.remote)) ?? {};
  const stirredMs = evidence === 'coming' ? Math.max(startedMs, modifiedMs) : startedMs;
  if (ageMs(job, stirredMs) < unsure) return later(job, startedMs);
  return await keep(job, { ...note, phase: 'staged' });
}

/** @throws Fault `changed` | `vanished` */
export async function assertUnchanged({ source, options }: Job): Promise<void> {
  await using reader = await source.open(options.signal);
  await reader.recheck(options.signal);
}
