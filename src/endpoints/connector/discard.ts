/** Removes what an interrupted send left: the staged copy, what was fetched back, and at the partner what waits in the temporary folder. */

import { nameOf, OWN_PREFIX } from '../../sync/names.ts';
import type { Connector } from './connector.ts';
import { isUnderWay } from './job.ts';
import { parseNote } from './note.ts';

export async function discard(
  connector: Connector,
  token: string,
  noteText: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const note = parseNote(noteText);
  if (note === undefined) return;
  const { staging, api } = connector;
  if (note.staged !== undefined) {
    if (note.phase === 'staging') await staging.discard(note.staged, token, note.staging, signal);
    await staging.remove(note.staged, signal);
  }
  if (note.back !== undefined) await staging.remove(note.back.path, signal);
  // Only under a name of our own, and only where it may be.
  const isOurs = note.remote !== note.final && nameOf(note.remote).startsWith(OWN_PREFIX);
  if (isOurs && (isUnderWay(note) || note.startedMs !== undefined)) await api.remove(note.remote, signal);
}
