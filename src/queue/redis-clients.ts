/**
 * The connections to one Redis: one for adding, which fails at once while Redis is away so that no producer hangs; one for
 * the workers, which waits for as long as it takes; and those that BullMQ makes of it to block on. All are closed together.
 */

import { setMaxListeners } from 'node:events';
import type { Redis, RedisOptions } from 'ioredis';
import { Fault, messageOf } from '../sync/errors.ts';
import { greetingOf } from './redis-greeting.ts';

/** Replies come as they did before RESP3: what BullMQ reads. */
type Options = Omit<RedisOptions, 'replyMapping'>;

/** A URL, or the path of a Unix socket. */
export type RedisAddress = { readonly url: string } | { readonly path: string };

const CONNECT_MS = 10_000;
/** A command that has no answer by then has failed. */
const COMMAND_MS = 10_000;
const MAX_RECONNECT_MS = 2_000;

export class RedisClients {
  readonly adding: Redis;
  readonly working: Redis;
  /** For messages; without credentials. */
  readonly where: string;
  readonly #ioredis: typeof import('ioredis').Redis;
  readonly #at: RedisAddress;
  readonly #failed: (error: unknown) => void;
  readonly #clients = new Set<Redis>();
  #connected = false;
  #closed = false;

  /** @param failed hears of every error of every connection, once there was one */
  static async load(at: RedisAddress, failed: (error: unknown) => void): Promise<RedisClients> {
    return new RedisClients((await import('ioredis')).Redis, at, failed);
  }

  private constructor(
    ioredis: typeof import('ioredis').Redis,
    at: RedisAddress,
    failed: (error: unknown) => void,
  ) {
    this.#ioredis = ioredis;
    this.#at = at;
    this.#failed = failed;
    this.where = whereOf(at);
    this.adding = this.#make({ enableOfflineQueue: false, commandTimeout: COMMAND_MS });
    this.working = this.#make({ maxRetriesPerRequest: null, socketTimeout: COMMAND_MS });
  }

  /** The first contact must succeed; from then on lost connections are made again, for ever. @throws Fault */
  async connect(signal: AbortSignal): Promise<void> {
    await this.#first(this.adding, signal);
    await this.#first(this.working, signal);
    this.#connected = true;
  }

  /** The fault in words for a person. */
  fault(error: unknown): Fault {
    if (error instanceof Fault) return error;
    const said = this.say(error);
    if (/WRONGPASS|NOAUTH|NOPERM|invalid (password|username)/i.test(said))
      return new Fault('rejected', `Redis at ${this.where} refuses us: ${said}`, {
        code: 'REDIS_REFUSES',
        advice: 'Look at the user and the password in REDIS_URL.',
      });
    if (/DB index|SELECT is not allowed/i.test(said))
      return new Fault('rejected', `Redis at ${this.where} has no such database: ${said}`, {
        code: 'REDIS_REFUSES',
        advice: 'Look at the number at the end of REDIS_URL; without one it is database 0.',
      });
    return new Fault('unreachable', `Redis at ${this.where} cannot be reached: ${said}`, {
      code: 'REDIS_UNREACHABLE',
      advice: 'Look at REDIS_URL and whether that server runs, or unset REDIS_URL for the embedded queue.',
    });
  }

  /** What an error says; whatever a library writes into its messages, the password is not in ours. */
  say(error: unknown): string {
    const said = messageOf(error) || 'no connection';
    const password = 'url' in this.#at ? new URL(this.#at.url).password : '';
    if (password === '') return said;
    return said.replaceAll(decodeURIComponent(password), '***').replaceAll(password, '***');
  }

  close(): void {
    this.#closed = true;
    for (const client of this.#clients) client.disconnect();
  }

  #make(extra: Options): Redis {
    const options: Options = {
      lazyConnect: true,
      connectTimeout: CONNECT_MS,
      keepAlive: 10_000,
      retryStrategy: (times) =>
        this.#connected && !this.#closed ? Math.min(MAX_RECONNECT_MS, 50 * 2 ** Math.min(times, 10)) : null,
      ...extra,
    };
    const at = this.#at;
    return this.#watch(
      'url' in at ? new this.#ioredis(at.url, options) : new this.#ioredis({ ...options, path: at.path }),
    );
  }

  #watch(client: Redis): Redis {
    this.#clients.add(client);
    // Every queue and worker listens to the shared ones.
    setMaxListeners(0, client);
    client.on('error', (error: Error) => {
      if (this.#connected && !this.#closed) this.#failed(error);
    });
    client.once('end', () => {
      if (client !== this.adding && client !== this.working) this.#clients.delete(client);
    });
    const duplicate = client.duplicate.bind(client);
    // What blocks is silent for long; BullMQ has a watchdog of its own for it (`RedisQueueBackend.waitForJob`).
    client.duplicate = (override) =>
      this.#watch(duplicate({ ...override, socketTimeout: undefined, lazyConnect: false }));
    return client;
  }

  /** Some say why they close a connection, but not to those who have asked something meanwhile. */
  async #turnedAway(): Promise<Fault | undefined> {
    if (!('url' in this.#at)) return undefined;
    const { hostname, port, protocol } = new URL(this.#at.url);
    if (protocol !== 'redis:') return undefined;
    const said = await greetingOf(hostname.replace(/^\[|\]$/g, ''), Number(port || '6379'));
    return said === undefined ? undefined : turnedAwayFault(this.where, said);
  }

  async #first(client: Redis, signal: AbortSignal): Promise<void> {
    let abort = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(new Fault('aborted', 'stopped before it was done'));
    });
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    // `connect` tells only that the connection closed; the event tells why.
    let cause: unknown;
    const keep = (error: Error): void => {
      cause = error;
    };
    client.on('error', keep);
    try {
      await Promise.race([client.connect(), aborted]);
      // One that refuses the database lets the connection stand, at database 0.
      const { db } = client.options;
      if (db !== undefined && db !== 0) await Promise.race([client.select(db), aborted]);
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw (await this.#turnedAway()) ?? this.fault(cause ?? error);
    } finally {
      client.off('error', keep);
      signal.removeEventListener('abort', abort);
    }
  }
}

function turnedAwayFault(where: string, said: string): Fault {
  if (!said.startsWith('DENIED'))
    return new Fault('unreachable', `Redis at ${where} turns us away: ${said}`, {
      code: 'REDIS_UNREACHABLE',
      advice: 'Look at its maxclients, and at what else is connected to it.',
    });
  return new Fault(
    'rejected',
    `Redis at ${where} is in protected mode: it takes connections from its own host only`,
    {
      code: 'REDIS_REFUSES',
      advice:
        'Set a password there (requirepass) and in REDIS_URL; or, where nobody else can reach it, protected-mode no.',
    },
  );
}

function whereOf(at: RedisAddress): string {
  if ('path' in at) return at.path;
  const url = URL.parse(at.url);
  const isGood =
    url !== null &&
    /^rediss?:$/.test(url.protocol) &&
    /^(\/\d*)?$/.test(url.pathname) &&
    isDecodable(url.username + url.password);
  if (!isGood)
    throw new Fault('rejected', 'REDIS_URL is not the URL of a Redis', {
      code: 'REDIS_URL',
      advice:
        'Write redis://host:6379, or rediss://user:password@host:6379/0 for TLS and a login; in a password %25 for %, %23 for #, %2F for /, %40 for @.',
    });
  const { hostname, port } = url;
  return `${hostname}:${port || '6379'}`;
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
