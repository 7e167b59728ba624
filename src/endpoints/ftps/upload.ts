/** Puts a file under a name that need not be its final one: STOR, from the beginning or from where it was cut. */

import { createHash, type Hash, hash } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { SMALL_BYTES, type SourceReader } from '../endpoint.ts';
import type { Connection } from './connection.ts';
import type { Data } from './data.ts';
import { ensureFolderOf, folderVanished } from './folders.ts';
import { changedFault, type Job } from './job.ts';
import { type Transferred, transfer } from './transfer.ts';

/** A server that has all data puts so much of it to its disk, or into its bucket, in a millisecond. */
const SETTLED_BYTES_PER_MS = 4_000;
const MOST_FINAL_MS = 15 * 60_000;

export interface UploadOptions {
  readonly connection: Connection;
  readonly job: Job;
  readonly reader: SourceReader;
  readonly path: FilePath;
  /** Everything before is there already, and in the hash. */
  readonly start: number;
  readonly before: Hash | undefined;
  /** The end of the data is the moment that counts: the source is looked at before, and nothing is sent too early. */
  readonly final: boolean;
  /** Commands about it that may leave with it; see `transfer`. */
  readonly after: readonly string[];
  /** Told when the first byte may have gone. */
  readonly begun: () => void;
}

export interface Uploaded {
  readonly sha256: string;
  /** Settles when the source was looked at again. @throws Fault `changed` | `vanished` */
  readonly rechecked: Promise<void>;
  readonly transferred: Transferred;
}

/** Makes missing folders. Errors are Faults. */
export async function upload(options: UploadOptions): Promise<Uploaded> {
  const { connection, job, path } = options;
  const body = job.sizeBytes <= SMALL_BYTES ? smallBody(options) : largeBody(options);
  try {
    await ensureFolderOf(connection, path);
    return await store(options, body);
  } catch (error) {
    const refused = error instanceof Fault && error.kind === 'permanent' && connection.broken === undefined;
    if (!refused || !(await folderVanished(connection, path))) throw error;
    await ensureFolderOf(connection, path);
    return await store(options, body);
  } finally {
    await body.rest();
  }
}

interface Body {
  /** From its beginning, however often. */
  pour(data: Data): Promise<void>;
  sha256(): string;
  /** Resolves when nothing of it is under way any more. */
  rest(): Promise<void>;
}

async function store(options: UploadOptions, body: Body): Promise<Uploaded> {
  const { connection, job, reader, path, start, final, after, begun } = options;
  const { signal } = job.options;
  let rechecked: Promise<void> = Promise.resolve();
  const transferred = await transfer(
    connection,
    {
      command: `STOR ${connection.wire(path)}`,
      doing: 'write',
      path,
      start,
      together: !final,
      awaited: job.options.awaited,
      after,
      finalMs: Math.min(MOST_FINAL_MS, connection.settings.timeout + job.sizeBytes / SETTLED_BYTES_PER_MS),
      signal,
    },
    async (data) => {
      begun();
      data.upload(final && connection.traits.commitsAtClose);
      await body.pour(data);
      rechecked = reader.recheck(signal, body.sha256);
      rechecked.catch(() => undefined); // it is awaited below, or by the caller
      if (final) await rechecked;
      await data.end();
    },
  );
  return { sha256: body.sha256(), rechecked, transferred };
}

/** Read in one piece, while the data connection is made. */
function smallBody({ job, reader }: UploadOptions): Body {
  const reading = reader.readAll(job.options.signal);
  reading.catch(() => undefined); // it is awaited when there is a connection for it
  let sha256 = '';
  return {
    pour: async (data) => {
      const bytes = await reading;
      if (bytes.length !== job.sizeBytes) throw changedFault(job, 'changed its size');
      sha256 = hash('sha256', bytes);
      if (bytes.length > 0) await data.write(bytes);
    },
    sha256: () => sha256,
    rest: () =>
      reading.then(
        () => undefined,
        () => undefined,
      ),
  };
}

function largeBody({ job, reader, start, before }: UploadOptions): Body {
  let sum: Hash = createHash('sha256');
  return {
    pour: async (data) => {
      const { signal, progress } = job.options;
      sum = before?.copy() ?? createHash('sha256');
      let at = start;
      for await (const chunk of reader.read(start, job.sizeBytes, signal)) {
        at += chunk.length;
        if (at > job.sizeBytes) throw changedFault(job, 'became longer');
        sum.update(chunk); // while the one before is on its way
        await data.write(chunk, () => reader.giveBack?.(chunk));
        progress(start + data.written);
      }
      if (at < job.sizeBytes) throw changedFault(job, 'became shorter');
    },
    sha256: () => sum.copy().digest('hex'),
    rest: async () => undefined,
  };
}
