/**
 * What BullMQ takes for a `pg.Pool`, in front of the one session of PGlite in its thread. Queries queue up there, so each
 * is a transaction of its own; nothing here opens one that spans several. When the thread dies a new one is started, with
 * an empty database.
 */

import { EventEmitter } from 'node:events';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Fault, messageOf } from '../sync/errors.ts';
import type { PgError, ThreadData, ThreadMessage } from './pglite-thread.ts';

export interface PoolOptions {
  /** Where the prepared database is kept, or goes once it is made. */
  readonly prepared: string;
  readonly report: (message: string, ok: boolean) => void;
  /** The database is a new one. */
  readonly forgotten: () => void;
  readonly signal: AbortSignal;
}

interface Result<Row> {
  rows: Row[];
  rowCount: number;
}

interface Waiting {
  readonly resolve: (result: Result<unknown>) => void;
  readonly reject: (error: Error) => void;
}

const PREPARE_MS = 120_000;
const START_MS = 60_000;
const RESTART_MS = 1_000;
/** The thread's own JavaScript is small; PostgreSQL's memory is outside of V8's heap. */
const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 256 };

/** One borrowed client; all share the session. */
export class PgClient extends EventEmitter {
  readonly #pool: PgPool;

  constructor(pool: PgPool) {
    super();
    this.setMaxListeners(0);
    this.#pool = pool;
  }

  query<Row>(text: string, params?: readonly unknown[]): Promise<Result<Row>> {
    return this.#pool.query<Row>(text, params);
  }

  release(): void {
    this.#pool.released(this);
  }
}

export class PgPool extends EventEmitter {
  readonly #options: PoolOptions;
  readonly #clients = new Set<PgClient>();
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | undefined;
  #next = 0;
  #closing = false;

  /** @throws Fault `transient` */
  static async open(options: PoolOptions): Promise<PgPool> {
    const pool = new PgPool(options);
    await pool.#start();
    return pool;
  }

  private constructor(options: PoolOptions) {
    super();
    this.setMaxListeners(0);
    this.#options = options;
  }

  query<Row>(text: string, params?: readonly unknown[]): Promise<Result<Row>> {
    return new Promise((resolve, reject) => {
      const thread = this.#thread;
      if (thread === undefined) return reject(new Error('the database is not there'));
      const id = this.#next++;
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      thread.postMessage({ id, text, params });
    });
  }

  async connect(): Promise<PgClient> {
    const client = new PgClient(this);
    this.#clients.add(client);
    return client;
  }

  released(client: PgClient): void {
    this.#clients.delete(client);
  }

  /** BullMQ leaves a pool that it was given open. */
  async end(): Promise<void> {
    this.#closing = true;
    await this.#thread?.terminate();
  }

  async #start(): Promise<void> {
    const database = await preparedDatabase(this.#options);
    const thread = startThread({ task: 'serve', database }, [database]);
    await message(thread, START_MS, this.#options.signal, (said) => 'ready' in said || undefined);
    this.#thread = thread;
    thread.on('message', (said: ThreadMessage) => this.#heard(said));
    thread.on('error', (error) => void this.#died(messageOf(error)));
    thread.on('exit', (code) => void this.#died(`code ${code}`));
  }

  #heard(said: ThreadMessage): void {
    if ('channel' in said) {
      for (const client of this.#clients)
        client.emit('notification', { channel: said.channel, payload: said.payload });
    } else if ('id' in said) {
      const waiting = this.#waiting.get(said.id);
      this.#waiting.delete(said.id);
      if ('error' in said) waiting?.reject(errorOf(said.error));
      else waiting?.resolve({ rows: [...said.rows], rowCount: said.rowCount });
    }
  }

  async #died(reason: string): Promise<void> {
    if (this.#thread === undefined) return;
    this.#thread = undefined;
    const gone = new Error(`the embedded queue ended (${reason})`);
    for (const waiting of this.#waiting.values()) waiting.reject(gone);
    this.#waiting.clear();
    const { report, forgotten } = this.#options;
    for (let tries = 0; !this.#closing; tries += 1) {
      report(`${gone.message}; starting it again`, false);
      try {
        await this.#start();
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RESTART_MS * Math.min(tries + 1, 30)));
      }
    }
    if (this.#closing) return;
    // Whoever listens for notifications has to say so again.
    for (const client of this.#clients) client.emit('error', gone);
    report('the embedded queue is back; what is owed is put back', true);
    forgotten();
  }
}

/** From the file where there is one; else made, and kept there if possible. */
async function preparedDatabase({ prepared, signal }: PoolOptions): Promise<ArrayBuffer> {
  const kept = await readFile(prepared).catch(() => undefined);
  if (kept !== undefined) return bytesOf(kept);
  const thread = startThread({ task: 'prepare' }, []);
  try {
    const made = await message(thread, PREPARE_MS, signal, (said) =>
      'prepared' in said ? said.prepared : undefined,
    );
    await keep(prepared, made).catch(() => undefined);
    return made;
  } finally {
    await thread.terminate();
  }
}

async function keep(file: string, made: ArrayBuffer): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, new Uint8Array(made));
  await rename(temporary, file);
}

function bytesOf(buffer: Buffer): ArrayBuffer {
  const bytes = new ArrayBuffer(buffer.byteLength);
  new Uint8Array(bytes).set(buffer);
  return bytes;
}

function startThread(workerData: ThreadData, transferList: readonly ArrayBuffer[]): Worker {
  // Beside this file, which is TypeScript in a checkout and JavaScript in a build.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./pglite-thread.${extension}`, import.meta.url), {
    workerData,
    transferList: [...transferList],
    resourceLimits: LIMITS,
  });
}

/** The first message that `pick` makes something of. The thread is ended when there is none. @throws Fault */
async function message<T>(
  thread: Worker,
  deadlineMs: number,
  signal: AbortSignal,
  pick: (said: ThreadMessage) => T | undefined,
): Promise<T> {
  const ended = new AbortController();
  try {
    return await new Promise<T>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`no sign of it after ${deadlineMs / 1_000} s`)),
        deadlineMs,
      );
      const abort = () => reject(new Fault('aborted', 'stopped before it was done'));
      const onMessage = (said: ThreadMessage): void => {
        const picked = pick(said);
        if (picked !== undefined) resolve(picked);
      };
      const onExit = (code: number) => reject(new Error(`it ended with code ${code}`));
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
      thread.on('message', onMessage).on('error', reject).on('exit', onExit);
      ended.signal.addEventListener('abort', () => {
        clearTimeout(late);
        signal.removeEventListener('abort', abort);
        thread.off('message', onMessage).off('error', reject).off('exit', onExit);
      });
    });
  } catch (error) {
    thread.on('error', () => undefined);
    await thread.terminate();
    if (error instanceof Fault) throw error;
    throw new Fault('transient', `the embedded queue (PGlite) did not start: ${messageOf(error)}`, {
      code: 'PGLITE_START',
      advice: 'Install redis-server, or set REDIS_URL.',
      cause: error,
    });
  } finally {
    ended.abort();
  }
}

function errorOf({ message: said, code, detail }: PgError): Error {
  return Object.assign(new Error(said), { code, detail });
}
