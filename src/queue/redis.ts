/**
 * BullMQ on a Redis, shared or private.
 *
 * Every two seconds it renews a key that only this process writes: when the key is gone, Redis was emptied. The same key
 * keeps two Ferrys with different data folders from using the same queues.
 */

import { randomBytes } from 'node:crypto';
import type { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { Fault } from '../sync/errors.ts';
import type { Backend, Health, Processor, WorkerSettings } from './backend.ts';
import { type Carrier, makeQueue, makeWorker } from './objects.ts';
import { type RedisAddress, RedisClients } from './redis-clients.ts';
import { judgeServer } from './redis-server-info.ts';

export interface RedisBackendOptions {
  readonly kind: 'redis' | 'private-redis';
  readonly at: RedisAddress;
  /** What all keys of this site begin with. */
  readonly prefix: string;
  /** Set for a `ferry run`: its queues are its own, and gone when it ends. */
  readonly run: string | undefined;
  /** Names the data folder that this queue belongs to. */
  readonly folderId: string;
  readonly report: (message: string, ok: boolean) => void;
  readonly signal: AbortSignal;
  /** Called when it is closed, or could not be opened. */
  readonly ended?: () => Promise<void>;
}

const CHECK_MS = 2_000;
/** A worker that has not been heard of for so long is dead. */
const HOLDER_TTL_MS = 15_000;

/** @throws Fault `unreachable` | `rejected` | `aborted` */
export async function openRedis(options: RedisBackendOptions): Promise<Backend> {
  let backend: RedisBackend | undefined;
  const clients = await RedisClients.load(options.at, (error) => backend?.failed(error));
  try {
    await clients.connect(options.signal);
    const info = await clients.adding.info();
    const { name } = judgeServer(info, clients.where);
    backend = new RedisBackend(options, await import('bullmq'), clients, name);
    await backend.begin();
    return backend;
  } catch (error) {
    clients.close();
    await options.ended?.();
    throw clients.fault(error);
  }
}

class RedisBackend implements Backend {
  readonly kind: Backend['kind'];
  readonly describe: string;
  readonly #options: RedisBackendOptions;
  readonly #bullmq: typeof import('bullmq');
  readonly #clients: RedisClients;
  readonly #prefix: string;
  readonly #identity: string;
  readonly #forgotten = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #trouble: string | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    options: RedisBackendOptions,
    bullmq: typeof import('bullmq'),
    clients: RedisClients,
    name: string,
  ) {
    this.kind = options.kind;
    this.describe =
      this.kind === 'redis' ? `${name} at ${clients.where}` : `a private ${name} on a Unix socket`;
    this.#options = options;
    this.#bullmq = bullmq;
    this.#clients = clients;
    this.#prefix = options.run === undefined ? options.prefix : `${options.prefix}:run:${options.run}`;
    this.#identity = `${options.folderId}:${randomBytes(8).toString('hex')}`;
  }

  async begin(): Promise<void> {
    const { adding, where } = this.#clients;
    const { folderId, prefix, run } = this.#options;
    const holder = await adding.get(holderKey(this.#prefix));
    if (holder !== null && !holder.startsWith(`${folderId}:`))
      throw new Fault('rejected', `another Ferry uses Redis at ${where} under the same name (${prefix})`, {
        code: 'REDIS_SHARED',
        advice: 'Give each of them its own FERRY_SITE.',
      });
    await adding.set(holderKey(this.#prefix), this.#identity, 'PX', HOLDER_TTL_MS);
    if (run !== undefined) await adding.sadd(`${prefix}:runs`, run);
    else await this.#removeDeadRuns();
    adding.on('ready', () => void this.#check());
    this.#timer = setInterval(() => void this.#check(), CHECK_MS);
  }

  async makeQueue<Data>(name: string): Promise<Queue<Data>> {
    await this.#clients.adding.sadd(queuesKey(this.#prefix), name);
    return makeQueue<Data>(this.#carrier(this.#clients.adding), name);
  }

  async makeWorker<Data>(
    name: string,
    processor: Processor<Data>,
    settings: WorkerSettings,
  ): Promise<Worker<Data>> {
    return makeWorker(this.#carrier(this.#clients.working), name, processor, settings);
  }

  health(): Health {
    return { ok: this.#trouble === undefined, message: this.#trouble ?? this.describe };
  }

  onForgotten(listener: () => void): () => void {
    this.#forgotten.add(listener);
    return () => this.#forgotten.delete(listener);
  }

  failed(error: unknown): void {
    if (this.#closing !== undefined) return;
    const first = this.#trouble === undefined;
    this.#trouble = `lost ${this.describe} (${this.#clients.say(error)}); trying again`;
    if (first) this.#options.report(this.#trouble, false);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    const { adding } = this.#clients;
    const { prefix, run } = this.#options;
    try {
      // Each command has a deadline, and fails at once while there is no connection.
      if (run !== undefined) {
        await this.#removeQueues(this.#prefix);
        await adding.srem(`${prefix}:runs`, run);
      }
      await adding.del(holderKey(this.#prefix));
    } catch {
      // It expires by itself, and the next worker removes what a run has left.
    }
    this.#clients.close();
    await this.#options.ended?.();
  }

  async #check(): Promise<void> {
    const { adding } = this.#clients;
    if (this.#closing !== undefined || adding.status !== 'ready') return;
    try {
      const key = holderKey(this.#prefix);
      // In one step: of two looks at the same time, only one finds that it was emptied.
      const holder = await adding.getset(key, this.#identity);
      await adding.pexpire(key, HOLDER_TTL_MS);
      if (this.#trouble !== undefined) {
        this.#trouble = undefined;
        this.#options.report(`${this.describe} answers again`, true);
      }
      if (holder !== this.#identity) this.#emptied(holder);
    } catch (error) {
      this.failed(error);
    }
  }

  #emptied(holder: string | null): void {
    const { report, folderId } = this.#options;
    if (holder === null || holder.startsWith(`${folderId}:`))
      report(`${this.describe} was emptied; what is owed is put back`, true);
    else
      report(`another Ferry uses ${this.describe} under the same name: give each its own FERRY_SITE`, false);
    for (const listener of this.#forgotten) listener();
  }

  /** A `ferry run` that was killed could not tidy up after itself. */
  async #removeDeadRuns(): Promise<void> {
    const { adding } = this.#clients;
    const { prefix } = this.#options;
    for (const run of await adding.smembers(`${prefix}:runs`)) {
      const dead = `${prefix}:run:${run}`;
      if ((await adding.exists(holderKey(dead))) === 1) continue;
      await this.#removeQueues(dead);
      await adding.srem(`${prefix}:runs`, run);
    }
  }

  async #removeQueues(prefix: string): Promise<void> {
    const { adding } = this.#clients;
    for (const name of await adding.smembers(queuesKey(prefix))) {
      const queue = new this.#bullmq.Queue(name, { connection: adding, prefix, skipMetasUpdate: true });
      queue.on('error', () => undefined);
      await queue.obliterate({ force: true });
      await queue.close();
    }
    await adding.del(queuesKey(prefix));
  }

  #carrier(connection: Redis): Carrier {
    return {
      bullmq: this.#bullmq,
      connection,
      prefix: this.#prefix,
      factory: this.#bullmq.createRedisBackend,
    };
  }
}

/** Held by the worker, for as long as it lives. */
function holderKey(prefix: string): string {
  return `${prefix}:holder`;
}

function queuesKey(prefix: string): string {
  return `${prefix}:queues`;
}
