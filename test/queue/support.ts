/** Runs tests of the queue on every backend that there is, with a real ledger and deliveries that a test writes. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { openLedger } from '../../src/ledger/sqlite.ts';
import type { Deliver } from '../../src/queue/attempt.ts';
import { type Backend, openBackend } from '../../src/queue/backend.ts';
import { Deliveries, type DeliveriesConfig } from '../../src/queue/deliveries.ts';
import type { Delivery, NewDelivery } from '../../src/sync/delivery.ts';
import { Events, type FerryEvents } from '../../src/sync/events.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

export type Kind = Backend['kind'];

export interface OnBackend {
  readonly kind: Kind;
  /** One backend for all tests of a file: only for tests that do it no harm. */
  readonly backend: () => Backend;
}

/** Registers the tests once for each backend. */
export function forEachBackend(tests: (on: OnBackend) => void): void {
  // Each test has a queue of its own.
  for (const kind of ['redis', 'private-redis', 'memory'] as const)
    describe(`on ${kind}`, { concurrency: 6 }, () => {
      const made: { redis?: TestRedis; home?: Home; backend?: Backend } = {};
      before(async () => {
        made.home = await makeHome();
        if (kind === 'redis') made.redis = await startRedis();
        made.backend = await openTestBackend(kind, {
          dataFolder: made.home.folder,
          redisUrl: made.redis?.url,
        });
      });
      after(async () => {
        await made.backend?.close();
        await made.redis?.stop();
        await made.home?.[Symbol.asyncDispose]();
      });
      tests({
        kind,
        backend: () => {
          if (made.backend === undefined) throw new Error('only within a test');
          return made.backend;
        },
      });
    });
}

export interface TestBackendOptions {
  readonly dataFolder: string;
  readonly redisUrl?: string | undefined;
  readonly events?: Events;
  readonly run?: string;
  readonly site?: string;
}

export async function openTestBackend(kind: Kind, options: TestBackendOptions): Promise<Backend> {
  const { dataFolder, redisUrl, events = new Events(), run, site = 'test' } = options;
  const backend = await openBackend({
    dataFolder,
    events,
    site,
    redisUrl: kind === 'redis' ? redisUrl : undefined,
    pathEnv: process.env.PATH,
    signal: new AbortController().signal,
    ...(run === undefined ? {} : { run }),
    ...(kind === 'memory' ? { embedded: kind } : {}),
  });
  assert.equal(backend.kind, kind);
  return backend;
}

export interface Home extends AsyncDisposable {
  readonly folder: string;
}

export async function makeHome(): Promise<Home> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-queue-'));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) };
}

export interface Rig extends AsyncDisposable {
  readonly ledger: Ledger;
  readonly events: Events;
  readonly deliveries: Deliveries;
  /** What the deliveries emitted, in order. */
  readonly seen: readonly {
    readonly [Name in keyof FerryEvents]: [Name, ...FerryEvents[Name]];
  }[keyof FerryEvents][];
  /** Files in a state. */
  files(state: Delivery['state']): number;
  owe(count: number, more?: Partial<NewDelivery>): readonly Delivery[];
}

export interface RigOptions {
  readonly backend: Backend;
  /** Settles a success as `sync/deliver.ts` does; what it throws is the fault. */
  readonly send?: (delivery: Delivery, signal: AbortSignal) => Promise<void>;
  /** In place of `send`. */
  readonly deliver?: (ledger: Ledger) => Deliver;
  readonly probe?: (endpoint: string, signal: AbortSignal) => Promise<void>;
  readonly onChanged?: (delivery: Delivery) => void;
  readonly concurrency?: number;
  readonly retry?: DeliveriesConfig['jobs'][number]['retry'];
  readonly order?: DeliveriesConfig['jobs'][number]['order'];
  readonly ledger?: Ledger;
  /** Owed before the deliveries begin. */
  readonly owed?: number;
  readonly steal?: boolean;
  readonly events?: Events;
}

let endpoints = 0;

/** One job `job` to one endpoint with a queue of its own. */
export async function makeRig(
  options: RigOptions,
): Promise<Rig & { readonly endpoint: string; readonly config: DeliveriesConfig }> {
  const {
    backend,
    concurrency = 16,
    retry = { attempts: 4, delayMs: 20, maxDelayMs: 100 },
    order = 'none',
  } = options;
  const home = await makeHome();
  const ledger = options.ledger ?? openLedger({ folder: home.folder, now: Date.now });
  const events = options.events ?? new Events();
  const seen: Rig['seen'][number][] = [];
  for (const name of [
    'attemptFailed',
    'failed',
    'superseded',
    'endpointUp',
    'endpointDown',
    'paused',
    'queue',
  ] as const)
    events.on(name, (...args: unknown[]) => seen.push([name, ...args] as Rig['seen'][number]));
  const endpoint = `endpoint-${++endpoints}`;
  const owe: Rig['owe'] = (count, more) => {
    const owed = ledger.owe(
      Array.from({ length: count }, (_, index) => owedFile(endpoint, `file-${index}`, more)),
      Date.now(),
    );
    rig?.deliveries.kick();
    return owed;
  };
  const config: DeliveriesConfig = {
    endpoints: new Map([[endpoint, { concurrency }]]),
    jobs: [{ name: 'job', to: [{ endpoint, path: '/in' }], retry, order }],
  };
  let rig: Rig | undefined;
  if (options.owed !== undefined) owe(options.owed);
  const deliveries = await Deliveries.open(
    {
      backend,
      ledger,
      events,
      deliver: options.deliver?.(ledger) ?? settling(ledger, options.send ?? (async () => undefined)),
      probe: options.probe ?? (async () => undefined),
      onChanged: options.onChanged ?? (() => undefined),
      now: Date.now,
      ...(options.steal === undefined ? {} : { steal: options.steal }),
    },
    config,
  );
  const made = {
    ledger,
    events,
    deliveries,
    seen,
    endpoint,
    config,
    owe,
    files: (state: Delivery['state']) =>
      ledger.counts().reduce((sum, count) => sum + (count.state === state ? count.files : 0), 0),
    async [Symbol.asyncDispose]() {
      await deliveries.stop({ deadlineMs: 0 });
      if (options.ledger === undefined) ledger[Symbol.dispose]();
      await home[Symbol.asyncDispose]();
    },
  };
  rig = made;
  return made;
}

export function owedFile(endpoint: string, path: string, more: Partial<NewDelivery> = {}): NewDelivery {
  return {
    job: 'job',
    endpoint,
    destination: `${endpoint}:/in`,
    path,
    target: `/in/${path}`,
    version: { sizeBytes: 1, mtimeMs: 1, tag: '' },
    ...more,
  };
}

export function settling(
  ledger: Ledger,
  send: (delivery: Delivery, signal: AbortSignal) => Promise<void>,
): Deliver {
  return async (delivery, signal) => {
    const startedAtMs = Date.now();
    await send(delivery, signal);
    const receipt = {
      remotePath: delivery.target,
      sizeBytes: delivery.version.sizeBytes,
      sha256: undefined,
      verified: 'size',
    } as const;
    await ledger.settle(delivery.id, { state: 'delivered', receipt }, { startedAtMs, endedAtMs: Date.now() });
    return { state: 'done' };
  };
}
