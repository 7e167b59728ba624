/**
 * The content of a file at the partner: the connector fetches it back into the bucket, where it is read. Twice the
 * traffic, and the only way to know more than a size.
 */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, joinPath, nameOf, OWN_PREFIX } from '../../sync/names.ts';
import type { SendResult } from '../endpoint.ts';
import type { FileResult } from './api.ts';
import { failureOf } from './failures.ts';
import { type Job, keep, later } from './job.ts';
import type { Note } from './note.ts';
import { folderAddress } from './staging.ts';

export type Fetched =
  /** Lower-case hex; the note is without the fetch that is over. */
  { readonly sha256: string; readonly note: Note } | { readonly wait: SendResult };

/** @throws Fault when it could not be fetched; the next call begins anew */
export async function fetchBack(job: Job, note: Note, remote: FilePath): Promise<Fetched> {
  const { connector, options } = job;
  const { api, staging, results } = connector;
  const { signal } = options;
  if (note.back?.remote !== remote) {
    const folder = `${OWN_PREFIX}back/${options.token}-${connector.nonce()}`;
    const path = joinPath(folder, nameOf(remote));
    const transferId = await api.retrieve(remote, folderAddress(staging, folder), signal);
    const back = { remote, path, transferId, startedMs: connector.now() };
    await keep(job, { ...note, back });
    return { wait: later(job) };
  }
  const { back, ...rest } = note;
  const result = await results.of(back.transferId, remote, signal);
  if (result?.status === 'QUEUED' || result?.status === 'IN_PROGRESS')
    return { wait: later(job, back.startedMs) };
  if (result?.status === 'COMPLETED') {
    const sha256 = await staging.digest(back.path, signal);
    await staging.remove(back.path, signal);
    if (sha256 !== undefined) return { sha256, note: rest };
  }
  await keep(job, rest);
  if (result?.status === 'FAILED') throw notFetched(job, note, remote, result);
  throw new Fault(
    'transient',
    `${connector.name}: ${remote} was fetched back to be compared, and is not in ${folderOf(back.path)}`,
    {
      code: 'BACK_GONE',
      advice: 'Ferry fetches it again.',
    },
  );
}

/** What was sent has arrived all the same; what was there before may only have gone meanwhile. */
function notFetched({ connector }: Job, { phase }: Note, remote: FilePath, result: FileResult): Fault {
  const fault = failureOf(connector.name, remote, result, 'fetch back, to compare it,');
  const { message, code } = fault;
  if (code === 'ENOENT')
    return new Fault(phase === 'choosing' ? 'transient' : 'permanent', message, {
      code,
      advice:
        'It was there: whoever takes files at once leaves nothing to compare. With verify: size in the job, or remoteTemp in endpoints.yaml, that does no harm; ferry retry sends it again.',
    });
  if (code === 'EACCES')
    return new Fault('permanent', message, {
      code,
      advice:
        'The login may not read there at the partner: have that allowed, or write verify: size in the job; ferry retry sends it again.',
    });
  return fault;
}
