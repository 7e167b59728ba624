/** One `send`: what is to go where, and what its parts share. */

import { createHash } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { SendOptions, SourceFile, SourceReader } from '../endpoint.ts';
import type { Remote } from './remote.ts';
import type { Handle, Wire } from './wire.ts';

export interface Job {
  readonly remote: Remote;
  readonly source: SourceFile;
  readonly sizeBytes: number;
  /** Final name. */
  readonly path: FilePath;
  readonly options: SendOptions;
  /** Other sessions that may help. */
  readonly helpers: readonly Remote[];
}

/** What was written, under a name that is not final yet (or is, where the server renames nothing). */
export interface Uploaded {
  readonly sha256: string;
}

/** Times and mode that the finished file is to have; undefined when there is nothing to set. */
function attributesFor(job: Job): { atime?: number; mtime?: number; mode?: number } | undefined {
  const { options } = job;
  const seconds = timeFor(job);
  if (seconds === undefined && options.mode === undefined) return undefined;
  return {
    ...(seconds === undefined ? {} : { atime: seconds, mtime: seconds }),
    ...(options.mode === undefined ? {} : { mode: options.mode & 0o7777 }),
  };
}

/** In seconds, as far as SFTP version 3 can say it. */
function timeFor({ options, source, remote, helpers }: Job): number | undefined {
  if (!remote.traits.setsMtime) return undefined;
  const seconds = Math.floor(source.version.mtimeMs / 1000);
  if (options.preserveMtime) return seconds >= 0 && seconds <= 0xffff_ffff ? seconds : undefined;
  // Where helpers were asked for, the file was marked by its times (upload-large.ts).
  return helpers.length > 0 ? Math.floor(Date.now() / 1000) : undefined;
}

/** Sets them; a server that refuses is mentioned once, and the file is none the worse for it. */
export async function setAttributes(job: Job, handle: Handle): Promise<void> {
  const attributes = attributesFor(job);
  if (attributes === undefined) return;
  const { wire, memory, name } = job.remote;
  try {
    await wire.fsetstat(handle, attributes);
  } catch (error) {
    if (error instanceof Fault) throw error;
    memory.warn(`${name} does not let the time or the mode of files be set; they are delivered without`);
  }
}

export function changedFault(job: Job, what: string): Fault {
  return new Fault('changed', `${printable(job.source.path)} ${what} while it was sent`, { code: 'CHANGED' });
}

/** The size that the server saw is not the size that was sent. */
export function shortFault(job: Job, seen: number): Fault {
  const { remote, path, sizeBytes } = job;
  return new Fault(
    'transient',
    `${remote.name}: ${printable(path)} has ${seen} bytes there instead of ${sizeBytes}`,
    {
      code: 'SIZE_MISMATCH',
      advice: 'The server lost or added bytes. If it repeats, look at its disk and its log.',
    },
  );
}

/** Pieces that the server takes in one WRITE. */
export function* pieces(wire: Wire, data: Buffer): Generator<readonly [offset: number, piece: Buffer]> {
  for (let at = 0; at < data.length; at += wire.maxWrite) yield [at, data.subarray(at, at + wire.maxWrite)];
}

/** SHA-256 of the whole source, read for that alone. */
export async function hashSource(job: Job, reader: SourceReader): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of reader.read(0, job.sizeBytes, job.options.signal)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  if (bytes !== job.sizeBytes) throw changedFault(job, 'became shorter');
  return hash.digest('hex');
}
