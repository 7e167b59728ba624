/** What is left to do once a file is where it belongs: the staged copy goes, the name is free for others, the receipt is made. */

import { messageOf } from '../../sync/errors.ts';
import type { Receipt } from '../endpoint.ts';
import type { Job, Step } from './job.ts';
import type { Note } from './note.ts';

export async function finish(job: Job, note: Note, verified: Receipt['verified']): Promise<Step> {
  const { connector, options, sizeBytes } = job;
  await unstage(job, note);
  options.progress(sizeBytes);
  return {
    state: 'done',
    receipt: {
      remotePath: note.final,
      sizeBytes,
      sha256: note.sha256,
      verified,
      ...(note.transferId === undefined
        ? {}
        : { reference: `${connector.settings.connector}/${note.transferId}` }),
    },
  };
}

/** It has arrived, whatever becomes of the copy. */
async function unstage({ connector, options }: Job, { staged }: Note): Promise<void> {
  if (staged === undefined || connector.settings.keepStaged) return;
  try {
    await connector.staging.remove(staged, options.signal);
  } catch (error) {
    if (options.signal.aborted) throw error;
    connector.warn(
      `${connector.staging.address(staged)} has arrived and could not be removed: ${messageOf(error)}`,
    );
  }
}
