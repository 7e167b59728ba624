/** Under which name a file goes, by the job's policy for names that are taken. */

import { createHash, hash } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { candidate, type FilePath, printable } from '../../sync/names.ts';
import { SMALL_BYTES, type SourceReader } from '../endpoint.ts';
import type { Connection } from './connection.ts';
import { holds } from './digest.ts';
import { folderFault } from './faults.ts';
import { changedFault, type Job } from './job.ts';
import { look } from './look.ts';

/** Names tried under `conflict: rename`. */
const MOST_NAMES = 10_000;

/** A name that may be taken, or the one under which the same content is there already. */
export type Found = { readonly path: FilePath } | { readonly there: FilePath };

/** Under `replace` without looking; else the first name that is free. @throws Fault `skipped` | `permanent` EEXIST */
export async function findTarget(connection: Connection, job: Job, digest: SourceDigest): Promise<Found> {
  const { path, options, sizeBytes } = job;
  const { name } = connection;
  if (options.conflict === 'replace') return { path };
  for (let n = 0; n < MOST_NAMES; n += 1) {
    throwIfAborted(options.signal);
    const next = candidate(path, n);
    const there = await look(connection, next);
    if (there === undefined) return { path: next };
    const like = there.kind === 'file' && there.sizeBytes === sizeBytes;
    if (like && (await sameContent(connection, job, digest, next))) return { there: next };
    if (options.conflict === 'skip') {
      throw new Fault('skipped', `${name} has another ${printable(path)}; left alone (conflict: skip)`, {
        code: 'EEXIST',
      });
    }
    if (options.conflict === 'fail') {
      if (there.kind === 'folder') throw folderFault(path, name, undefined);
      throw new Fault('permanent', `${name} has another ${printable(path)} already`, {
        code: 'EEXIST',
        advice:
          'Remove or rename the file there, or set conflict to replace, skip or rename; then ferry retry.',
      });
    }
  }
  throw new Fault('permanent', `${name}: ${MOST_NAMES} names like ${printable(path)} are taken`, {
    code: 'EEXIST',
  });
}

async function sameContent(
  connection: Connection,
  job: Job,
  digest: SourceDigest,
  path: FilePath,
): Promise<boolean> {
  const content = { path, bytes: job.sizeBytes, whole: true, sha256: await digest.sha256() };
  try {
    return await holds(connection, content, job.options.signal);
  } catch (error) {
    if (!(error instanceof Fault) || error.kind !== 'permanent') throw error;
    return false; // it may not be read: as good as another
  }
}

/** Of the source, read for that alone, once. */
export class SourceDigest {
  readonly #job: Job;
  readonly #reader: SourceReader;
  #sha256: string | undefined;

  constructor(job: Job, reader: SourceReader) {
    this.#job = job;
    this.#reader = reader;
  }

  async sha256(): Promise<string> {
    this.#sha256 ??= await this.#read();
    return this.#sha256;
  }

  async #read(): Promise<string> {
    const { sizeBytes, options } = this.#job;
    if (sizeBytes <= SMALL_BYTES) return hash('sha256', await this.#reader.readAll(options.signal));
    const sum = createHash('sha256');
    let bytes = 0;
    for await (const chunk of this.#reader.read(0, sizeBytes, options.signal)) {
      sum.update(chunk);
      bytes += chunk.length;
    }
    if (bytes !== sizeBytes) throw changedFault(this.#job, 'became shorter');
    return sum.digest('hex');
  }
}
