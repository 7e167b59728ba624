/** Puts the file into the bucket, where the connector takes it; nothing to do where it lies there already. */

import { throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, folderOf, joinPath, nameOf, OWN_PREFIX } from '../../sync/names.ts';
import { type Job, keep, later, type Step, tempFolderFor } from './job.ts';
import { type Note, noteText } from './note.ts';
import { addressOf } from './staging.ts';

/** From `staging` to `staged`. */
export async function stage(job: Job, note: Note): Promise<Step> {
  const { connector, options, source } = job;
  const { staging } = connector;
  throwIfAborted(options.signal);
  const temp = tempFolderFor(connector, note.final);
  if (liesThere(job, note, temp)) {
    const remote = temp === undefined ? note.final : joinPath(temp, nameOf(source.object?.key ?? note.final));
    // Objects of one name share it in the temporary folder: one after another.
    if (connector.names.isTaken(remote, options.token)) return later(job);
    return { note: { ...note, phase: 'staged', remote } };
  }
  const id = `${options.token}-${connector.nonce()}`;
  // The file arrives under the last part of its key.
  const name = temp === undefined ? nameOf(note.final) : `${OWN_PREFIX}${id}`;
  const staged = note.staged ?? joinPath(id, name);
  const remote = temp === undefined ? note.final : joinPath(temp, nameOf(staged));
  const begun: Note = { ...note, staged, remote };
  await keep(job, begun);
  const sha256 = await staging.put(source, staged, {
    ...options,
    conflict: 'replace',
    helpers: [],
    resume: note.staging,
    // What is staged is not confirmed by the partner.
    progress: () => undefined,
    checkpoint: (text) => options.checkpoint(noteText({ ...begun, staging: text })),
  });
  const { staging: _, ...rest } = begun;
  return await keep(job, { ...rest, phase: 'staged', ...(sha256 === undefined ? {} : { sha256 }) });
}

/** The source is an object of the staging bucket, and may arrive under its name. */
function liesThere({ connector, source }: Job, { final }: Note, temp: FilePath | undefined): boolean {
  const { object } = source;
  if (object === undefined || object.bucket !== connector.staging.object('x').bucket) return false;
  // In the folder itself, only a name of our own is one that nobody looks for.
  return temp === undefined ? nameOf(object.key) === nameOf(final) : temp !== folderOf(final);
}

/** What StartFileTransfer is given: `/bucket/key`. */
export function sendPathOf({ connector, source }: Job, { staged }: Note): string {
  if (staged !== undefined) return connector.staging.address(staged);
  return source.object === undefined ? '' : addressOf(source.object);
}
