/**
 * The thread that PGlite lives in: PostgreSQL as WebAssembly, in memory, one session. It prepares a database (once per
 * version of it: `initdb` takes seconds) or serves a prepared one, one query after the other. Started by pglite-pool.ts.
 */

import { setFlagsFromString } from 'node:v8';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { PGlite } from '@electric-sql/pglite';

export type ThreadData =
  | { readonly task: 'prepare' }
  /** @param database what `prepare` gave */
  | { readonly task: 'serve'; readonly database: ArrayBuffer };

export interface Query {
  readonly id: number;
  readonly text: string;
  readonly params: readonly unknown[] | undefined;
}

export type ThreadMessage =
  | { readonly prepared: ArrayBuffer }
  | { readonly ready: true }
  | { readonly channel: string; readonly payload: string }
  | { readonly id: number; readonly rows: readonly unknown[]; readonly rowCount: number }
  | { readonly id: number; readonly error: PgError };

/** What BullMQ reads of an error of PostgreSQL. */
export interface PgError {
  readonly message: string;
  readonly code: string | undefined;
  readonly detail: string | undefined;
}

/**
 * V8's optimizing compiler takes half a gigabyte for PostgreSQL's largest functions; the baseline compiler's code is about
 * a third slower and needs none of it.
 */
const BASELINE_ONLY = ['--no-wasm-dynamic-tiering', '--no-wasm-tier-up', '--liftoff-only'];

/** Little memory, and nothing that guards against a power cut: it lives in memory. */
const SETTINGS = [
  ...['shared_buffers=2MB', 'max_connections=5', 'work_mem=1MB', 'maintenance_work_mem=4MB'],
  ...['wal_level=minimal', 'max_wal_senders=0', 'min_wal_size=2MB', 'max_wal_size=4MB'],
  ...['synchronous_commit=off', 'full_page_writes=off', 'autovacuum=off'],
];

/** Nobody reads BullMQ's event stream here, and writing it takes a quarter of the time of an entry. */
const NO_EVENTS = `CREATE OR REPLACE FUNCTION bullmq.publish_event(p_queue text, p_event text, p_data jsonb)
  RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'`;

/** A single session has no autovacuum: after so many queries, dead rows are removed in the next quiet moment. */
const VACUUM_AFTER = 5_000;
const QUIET_MS = 200;

async function open(options: { readonly database?: Blob; readonly name: string }): Promise<PGlite> {
  for (const flag of BASELINE_ONLY) setFlagsFromString(flag);
  const { PGlite } = await import('@electric-sql/pglite');
  return PGlite.create({
    database: options.name,
    startParams: [...PGlite.defaultStartParams, ...SETTINGS.flatMap((setting) => ['-c', setting])],
    initDbStartParams: ['--no-sync', '--no-instructions', '--wal-segsize=1', '-c', 'shared_buffers=1MB'],
    ...(options.database === undefined ? {} : { loadDataDir: options.database }),
  });
}

/** A database with BullMQ's schema in it, and nothing else: only `template1` is kept. */
async function prepare(port: MessagePort): Promise<void> {
  const whole = await open({ name: 'postgres' });
  const database = await whole.dumpDataDir('none');
  await whole.close();
  const db = await open({ database, name: 'template1' });
  const { runMigrations } = await import('bullmq');
  await runMigrations({ query: (text, params) => answer(db, text, params) });
  const tidy = [
    NO_EVENTS,
    "UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'",
    'DROP DATABASE template0',
    'DROP DATABASE postgres',
    'VACUUM FULL',
    'CHECKPOINT',
    'CHECKPOINT',
  ];
  for (const statement of tidy) await db.exec(statement);
  const prepared = await (await db.dumpDataDir('none')).arrayBuffer();
  await db.close();
  port.postMessage({ prepared } satisfies ThreadMessage, [prepared]);
}

async function serve(port: MessagePort, database: ArrayBuffer): Promise<void> {
  const db = await open({ database: new Blob([database]), name: 'template1' });
  await db.exec('SET search_path TO bullmq');
  db.onNotification((channel, payload) => port.postMessage({ channel, payload } satisfies ThreadMessage));
  const vacuum = vacuumer(db);
  let last: Promise<void> = Promise.resolve();
  port.on('message', ({ id, text, params }: Query) => {
    last = last.then(async () => {
      port.postMessage(await reply(db, id, text, params));
      vacuum();
    });
  });
  port.postMessage({ ready: true } satisfies ThreadMessage);
}

function vacuumer(db: PGlite): () => void {
  let queries = 0;
  let timer: NodeJS.Timeout | undefined;
  return () => {
    queries += 1;
    if (queries < VACUUM_AFTER) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      queries = 0;
      // `add_jobs_bulk` writes events past `publish_event`, and makes temporary tables (rows in the catalogue).
      void db
        .exec('TRUNCATE event')
        .then(() => db.exec('VACUUM'))
        .catch(() => undefined);
    }, QUIET_MS);
  };
}

async function reply(
  db: PGlite,
  id: number,
  text: string,
  params: readonly unknown[] | undefined,
): Promise<ThreadMessage> {
  try {
    return { id, ...(await answer(db, text, params)) };
  } catch (error) {
    return { id, error: pgErrorOf(error) };
  }
}

async function answer<Row>(db: PGlite, text: string, params: readonly unknown[] | undefined) {
  const result = params?.length ? await db.query<Row>(text, [...params]) : (await db.exec(text)).at(-1);
  return { rows: (result?.rows ?? []) as Row[], rowCount: result?.rowCount ?? 0 };
}

function pgErrorOf(error: unknown): PgError {
  const said = (name: string): string | undefined => {
    const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined;
    return typeof value === 'string' ? value : undefined;
  };
  return { message: said('message') ?? String(error), code: said('code'), detail: said('detail') };
}

if (parentPort !== null) {
  const data = workerData as ThreadData;
  if (data.task === 'prepare') await prepare(parentPort);
  else await serve(parentPort, data.database);
}
