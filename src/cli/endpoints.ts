/**
 * The endpoints of the configuration as pools of sessions: made when first used, replaced when their entry in
 * endpoints.yaml changes, closed together.
 */

import type { EndpointEntry } from '../config/config.ts';
import type { Endpoint, EndpointContext } from '../endpoints/endpoint.ts';
import type { Kind } from '../endpoints/index.ts';
import { Pool } from '../endpoints/pool.ts';
import { Fault } from '../sync/errors.ts';
import type { OpenPlace, Places } from '../sync/places.ts';

export interface EndpointsOptions {
  readonly entries: ReadonlyMap<string, EndpointEntry>;
  readonly kinds: Readonly<Record<string, Kind>>;
  readonly dataFolder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly warn: (endpoint: string, message: string) => void;
}

interface Made {
  readonly fingerprint: string;
  readonly endpoint: Promise<Endpoint>;
  pool: Promise<Pool> | undefined;
}

export class Endpoints implements Places, AsyncDisposable {
  readonly #options: Omit<EndpointsOptions, 'entries'>;
  readonly #made = new Map<string, Made>();
  readonly #retired = new Set<Promise<void>>();
  #entries: ReadonlyMap<string, EndpointEntry>;

  constructor(options: EndpointsOptions) {
    this.#options = options;
    this.#entries = options.entries;
  }

  get entries(): ReadonlyMap<string, EndpointEntry> {
    return this.#entries;
  }

  /** Takes a new configuration; endpoints whose entry changed are made anew. Returns their names. */
  update(entries: ReadonlyMap<string, EndpointEntry>): readonly string[] {
    this.#entries = entries;
    const changed: string[] = [];
    for (const [name, made] of this.#made) {
      if (entries.get(name)?.fingerprint === made.fingerprint) continue;
      changed.push(name);
      this.#made.delete(name);
      this.#retire(made);
    }
    return changed;
  }

  /** @throws Fault `rejected` when there is none of that name */
  get(name: string): Promise<Endpoint> {
    return this.#make(name).endpoint;
  }

  pool(name: string): Promise<Pool> {
    const made = this.#make(name);
    made.pool ??= made.endpoint.then((endpoint) => new Pool(endpoint));
    return made.pool;
  }

  async open(name: string, signal: AbortSignal, bytes = 0): Promise<OpenPlace> {
    const pool = await this.pool(name);
    const lease = await pool.lease({ bytes, signal });
    return {
      session: lease.session,
      helpers: lease.helpers,
      awaited: lease.awaited,
      [Symbol.asyncDispose]: async () => lease.release(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const made of this.#made.values()) this.#retire(made);
    this.#made.clear();
    await Promise.allSettled(this.#retired);
  }

  #make(name: string): Made {
    const before = this.#made.get(name);
    if (before !== undefined) return before;
    const entry = this.#entries.get(name);
    const kind = entry === undefined ? undefined : this.#options.kinds[entry.kind];
    if (entry === undefined || kind === undefined) {
      throw new Fault('rejected', `there is no endpoint ${name} in endpoints.yaml`, { code: 'NO_ENDPOINT' });
    }
    const made: Made = {
      fingerprint: entry.fingerprint,
      endpoint: kind.create(entry.settings, this.#contextOf(name)),
      pool: undefined,
    };
    // Whoever asks for the endpoint gets the error; that nobody may ask is no reason to crash.
    made.endpoint.catch(() => undefined);
    this.#made.set(name, made);
    return made;
  }

  #contextOf(name: string): EndpointContext {
    const { dataFolder, env, warn } = this.#options;
    return {
      name,
      dataFolder,
      env,
      other: (other) => this.get(other),
      warn: (message) => warn(name, message),
    };
  }

  #retire(made: Made): void {
    const closing = closeMade(made).finally(() => this.#retired.delete(closing));
    this.#retired.add(closing);
  }
}

async function closeMade(made: Made): Promise<void> {
  try {
    if (made.pool !== undefined) await (await made.pool).close();
    else await (await made.endpoint).close?.();
  } catch {
    // It could not be made, so there is nothing to close.
  }
}
