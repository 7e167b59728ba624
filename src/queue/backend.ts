/** What carries the queues: a shared Redis, a private one, or the memory of this process. They may all forget. */

import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Job, Queue, Worker } from 'bullmq';
import { codeOf, messageOf, throwIfAborted } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';
import { keyPrefix } from './names.ts';

export type Processor<Data> = (
  job: Job<Data>,
  token: string | undefined,
  signal?: AbortSignal,
) => Promise<unknown>;

export interface WorkerSettings {
  readonly concurrency: number;
  /** Milliseconds until a failed entry is tried again; -1 for never. */
  readonly backoff: (error: Error) => number;
}

export interface Health {
  readonly ok: boolean;
  /** For a person: what it is, or what is wrong with it. */
  readonly message: string;
}

export interface Backend extends AsyncDisposable {
  readonly kind: 'redis' | 'private-redis' | 'memory';
  /** What `ferry start` says that it runs on. */
  readonly describe: string;
  /** Emptied of what an earlier process left. */
  makeQueue<Data>(name: string): Promise<Queue<Data>>;
  /** Does not run yet. */
  makeWorker<Data>(name: string, processor: Processor<Data>, settings: WorkerSettings): Promise<Worker<Data>>;
  health(): Health;
  /** Calls back when entries may have been lost: it was emptied, or started again. Returns how to stop that. */
  onForgotten(listener: () => void): () => void;
  /** Ends all connections, whatever is still under way. Bounded in time. */
  close(): Promise<void>;
}

export interface BackendOptions {
  /** A shared Redis; undefined: an embedded queue. */
  readonly redisUrl: string | undefined;
  /** For what an embedded queue needs, and for this folder's name. */
  readonly dataFolder: string;
  /** This host's name in a fleet: two sites may share a Redis. */
  readonly site: string;
  /** A name of its own for a `ferry run`, whose queues are apart from the worker's and end with it. */
  readonly run?: string;
  /** Where to look for `redis-server` and `valkey-server`. */
  readonly pathEnv: string | undefined;
  /** Of the embedded ones this, even where a server could be started. */
  readonly embedded?: 'memory';
  readonly events: Events;
  readonly signal: AbortSignal;
}

/** @throws Fault `unreachable`, `rejected` (too old, evicting, no login, another's), `aborted`; each with what to do */
export async function openBackend(options: BackendOptions): Promise<Backend> {
  const { redisUrl, dataFolder, site, run, pathEnv, embedded, events, signal } = options;
  const report = (message: string, ok: boolean): void => void events.emit('queue', message, ok);
  const folder = join(dataFolder, 'queue');
  const common = { prefix: keyPrefix(site), run, report, signal };
  if (redisUrl !== undefined) {
    const { openRedis } = await import('./redis.ts');
    return openRedis({ ...common, kind: 'redis', at: { url: redisUrl }, folderId: await folderId(folder) });
  }
  if (embedded !== 'memory') {
    const { findRedisServer, openPrivateRedis } = await import('./private-redis.ts');
    const program = await findRedisServer(pathEnv);
    if (program !== undefined)
      try {
        return await openPrivateRedis({ ...common, program, folder });
      } catch (error) {
        throwIfAborted(signal);
        report(`${messageOf(error)}; the queue is kept in memory instead`, true);
      }
  }
  const { openMemory } = await import('./memory.ts');
  return openMemory();
}

/** Tells apart the queues of two data folders that use one Redis under one name by mistake. */
async function folderId(folder: string): Promise<string> {
  const file = join(folder, 'id');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    return undefined;
  });
  if (found !== undefined && found.trim() !== '') return found.trim();
  if (found !== undefined) await rm(file, { force: true }); // a machine that went down over it can leave it empty
  const own = `${file}.${process.pid}`;
  await writeFile(own, randomBytes(8).toString('hex'), { flush: true });
  // Whoever comes first names it; nobody sees a part of the name.
  await link(own, file)
    .catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error;
    })
    .finally(() => rm(own));
  return (await readFile(file, 'utf8')).trim();
}
