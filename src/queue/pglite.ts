/** BullMQ's PostgreSQL backend on PGlite: the queue for a machine on which nothing is installed. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackendFactory, PostgresQueueBackend, RedisQueueBackend } from 'bullmq';
import type { Backend, Health } from './backend.ts';
import { type Carrier, makeQueue, makeWorker } from './objects.ts';
import { PgPool } from './pglite-pool.ts';

export interface PgliteOptions {
  /** Where the prepared database is kept. */
  readonly folder: string;
  readonly report: (message: string, ok: boolean) => void;
  readonly signal: AbortSignal;
}

/** Of what thread.ts prepares, besides the versions of the libraries. */
const PREPARED_VERSION = 1;

/** @throws Fault `transient` | `aborted` */
export async function openPglite({ folder, report, signal }: PgliteOptions): Promise<Backend> {
  const forgotten = new Set<() => void>();
  let trouble: string | undefined;
  const loading = import('bullmq');
  const pool = await PgPool.open({
    prepared: join(folder, `pglite-${await versions()}.tar`),
    signal,
    report: (message, ok) => {
      trouble = ok ? undefined : message;
      report(message, ok);
    },
    forgotten: () => {
      for (const listener of forgotten) listener();
    },
  });
  const carrier = carrierOn(await loading, pool);
  const describe = 'PostgreSQL inside this process (PGlite)';
  const close = (): Promise<void> => pool.end();
  return {
    kind: 'pglite',
    describe,
    makeQueue: (name) => makeQueue(carrier, name),
    makeWorker: async (name, processor, settings) => makeWorker(carrier, name, processor, settings),
    health: (): Health => ({ ok: trouble === undefined, message: trouble ?? describe }),
    onForgotten(listener) {
      forgotten.add(listener);
      return () => forgotten.delete(listener);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** BullMQ's types speak of Redis where any backend is meant; its PostgreSQL takes the pool and no prefix. */
function carrierOn(bullmq: typeof import('bullmq'), pool: PgPool): Carrier {
  const factory: BackendFactory<PostgresQueueBackend> = (name, options, more) =>
    bullmq.createPostgresBackend(name, { ...options, connection: pool }, more);
  return {
    bullmq,
    connection: {},
    prefix: '',
    factory: factory as unknown as BackendFactory<RedisQueueBackend>,
  };
}

/** A database prepared by other versions is not ours. */
async function versions(): Promise<string> {
  const { LATEST_SCHEMA_VERSION } = await import('bullmq');
  const manifest = await readFile(
    new URL('../package.json', import.meta.resolve('@electric-sql/pglite')),
    'utf8',
  );
  const [, pglite = 'unknown'] = /"version":\s*"([^"]+)"/.exec(manifest) ?? [];
  return `${pglite}-${LATEST_SCHEMA_VERSION}-${PREPARED_VERSION}`;
}
