/**
 * Where a server renames nothing, a cut leaves a part of the file under its final name. Under `conflict: replace` the
 * next attempt writes over it; under the other policies it would take its own part for somebody else's file. So a note
 * says beforehand which name is written, and what lies there then is removed once it is proved to be the beginning of this
 * very version.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { SourceReader } from '../endpoint.ts';
import { holds } from './digest.ts';
import type { Job } from './job.ts';
import { isFile } from './kinds.ts';
import { lookAt } from './publish.ts';
import { hashUpTo } from './resume.ts';

const Note = z.object({ sftp: z.literal('direct'), path: z.string() });

/** Before a name is written that nobody else has. Durable when resolved. */
export async function noteDirect({ options, remote }: Job, path: FilePath): Promise<void> {
  if (options.conflict === 'replace' || remote.traits.commitsAtClose) return;
  await options.checkpoint(JSON.stringify({ sftp: 'direct', path } satisfies z.input<typeof Note>));
}

/** What an earlier attempt at this version was cut at. Errors are Faults of the source or the link. */
export async function removeTorn(job: Job, reader: SourceReader): Promise<void> {
  const path = notedPath(job.options.resume);
  if (path === undefined || job.options.conflict === 'replace') return;
  const there = await lookAt(job.remote, path);
  // A whole one is found to be there already.
  if (there === undefined || !isFile(there) || there.sizeBytes >= job.sizeBytes) return;
  const bytes = there.sizeBytes;
  const sha256 = await hashUpTo(job, reader, bytes, createHash('sha256'));
  const isOurs = await holds(job.remote, { path, bytes, sha256 }, job.options.signal).catch(
    (error: unknown) => {
      if (error instanceof Fault) throw error;
      return false; // it may not be read: as good as another's
    },
  );
  if (isOurs) await job.remote.wire.remove(path);
}

function notedPath(text: string | undefined): FilePath | undefined {
  if (text === undefined) return undefined;
  try {
    return Note.parse(JSON.parse(text)).path;
  } catch {
    return undefined;
  }
}
