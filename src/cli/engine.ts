/**
 * What `start` and `run` have in common: deliveries from the ledger through the queues to the endpoints, and the
 * keeping of order afterwards. Opened over a set of jobs, disposed of when its command ends.
 */

import type { Config } from '../config/config.ts';
import type { Endpoint } from '../endpoints/endpoint.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Backend } from '../queue/backend.ts';
import { Deliveries, type DeliveriesConfig } from '../queue/deliveries.ts';
import { After } from '../sync/after.ts';
import { createDeliver, tokenOf } from '../sync/deliver.ts';
import type { Delivery } from '../sync/delivery.ts';
import { asFault } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';
import type { Job } from '../sync/job.ts';
import { assertMounted, destinationAt } from '../sync/mounts.ts';
import type { Endpoints } from './endpoints.ts';

/** More files at once gain nothing and cost memory. */
const MOST_AT_ONCE = 512;
const AT_HAND = 4;
/** Temporaries that are looked for at once. */
const LEFTOVERS_AT_ONCE = 50;
/** A server that does not answer is not waited for longer when only order is kept. */
const DISCARD_MS = 15_000;

export interface EngineOptions {
  readonly ledger: Ledger;
  readonly endpoints: Endpoints;
  readonly events: Events;
  readonly backend: Backend;
  readonly now: () => number;
  /** These jobs of the configuration. */
  readonly jobs: ReadonlyMap<string, Job>;
  readonly onChanged: (delivery: Delivery) => void;
  readonly steal: boolean;
}

export class Engine implements AsyncDisposable {
  readonly after: After;
  readonly deliveries: Deliveries;
  readonly #options: EngineOptions;
  #jobs: ReadonlyMap<string, Job>;

  static async open(options: EngineOptions): Promise<Engine> {
    const { ledger, endpoints, events, now, backend, onChanged, steal } = options;
    const after = new After({ ledger, places: endpoints, events });
    let jobs = options.jobs;
    const deliver = createDeliver({
      ledger,
      places: endpoints,
      after,
      events,
      now,
      job: (name) => jobs.get(name),
    });
    const deliveries = await Deliveries.open(
      {
        backend,
        ledger,
        events,
        deliver,
        onChanged,
        steal,
        now,
        probe: async (name, signal) => {
          await (await endpoints.pool(name)).probe(signal);
          await assertAllMounted(name, jobs.values(), options, signal);
        },
      },
      await deliveriesConfig(options.jobs, endpoints),
    );
    return new Engine(options, after, deliveries, (changed) => {
      jobs = changed;
    });
  }

  readonly #setJobs: (jobs: ReadonlyMap<string, Job>) => void;

  private constructor(
    options: EngineOptions,
    after: After,
    deliveries: Deliveries,
    setJobs: (jobs: ReadonlyMap<string, Job>) => void,
  ) {
    this.#options = options;
    this.#jobs = options.jobs;
    this.after = after;
    this.deliveries = deliveries;
    this.#setJobs = setJobs;
  }

  /** @param changed endpoints whose settings are others now */
  async configure(config: Config, changed: readonly string[]): Promise<void> {
    this.#jobs = config.jobs;
    this.#setJobs(config.jobs);
    await this.deliveries.configure(await deliveriesConfig(config.jobs, this.#options.endpoints), changed);
  }

  /** Removes temporaries that deliveries which have ended may have left at an endpoint. Those it cannot now stay marked. */
  async tidy(endpoint: string, signal: AbortSignal): Promise<void> {
    const { ledger, endpoints } = this.#options;
    const left = ledger.leftovers(endpoint, LEFTOVERS_AT_ONCE);
    if (left.length === 0 || ledger.endpoint(endpoint)?.state === 'stopped') return;
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(DISCARD_MS)]);
    try {
      await using place = await endpoints.open(endpoint, bounded);
      for (const delivery of left) {
        // An open delivery of the same path uses the same temporary, and will see to it.
        const latest = ledger.latest(delivery.job, delivery.destination, delivery.path);
        const isLatest = latest === undefined || latest.id === delivery.id || latest.state === 'delivered';
        // What an asynchronous endpoint left is named in the note, and no other delivery's.
        if (isLatest || (place.session.capabilities.asynchronous && delivery.note !== undefined))
          await place.session.discard(delivery.target, tokenOf(delivery), delivery.note, { signal: bounded });
        ledger.cleared([delivery.id]);
      }
    } catch (error) {
      const fault = asFault(error, bounded);
      if (fault.kind === 'aborted' || fault.kind === 'unreachable') return;
      this.#options.events.emit(
        'queue',
        `${endpoint}: temporaries could not be removed: ${fault.message}`,
        false,
      );
    }
  }

  /** All endpoints that jobs send to. */
  get targets(): ReadonlySet<string> {
    return new Set([...this.#jobs.values()].flatMap((job) => job.to.map((place) => place.endpoint)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.deliveries.stop({ deadlineMs: 0 });
  }
}

/** Every destination there that has had files before. @throws Fault `unreachable` */
async function assertAllMounted(
  endpoint: string,
  jobs: Iterable<Job>,
  { endpoints, ledger }: Pick<EngineOptions, 'endpoints' | 'ledger'>,
  signal: AbortSignal,
): Promise<void> {
  const places = [...jobs].flatMap((job) => job.to).filter((place) => place.endpoint === endpoint);
  const known = places.map(destinationAt).filter(({ key }) => ledger.mount(key) !== undefined);
  if (known.length === 0) return;
  await using open = await endpoints.open(endpoint, signal);
  for (const place of known) await assertMounted(open.session, place, ledger, { signal });
}

async function deliveriesConfig(
  jobs: ReadonlyMap<string, Job>,
  endpoints: Endpoints,
): Promise<DeliveriesConfig> {
  const concurrency = new Map<string, { concurrency: number }>();
  for (const job of jobs.values()) {
    for (const { endpoint } of job.to) {
      if (!concurrency.has(endpoint))
        concurrency.set(endpoint, { concurrency: await atOnce(endpoints.get(endpoint)) });
    }
  }
  return { endpoints: concurrency, jobs: [...jobs.values()] };
}

/** An endpoint that cannot be made at all still gets a queue: its gate tells why it stopped. */
async function atOnce(made: Promise<Endpoint>): Promise<number> {
  try {
    const { connections, capabilities } = await made;
    const places = connections * capabilities.filesInFlight;
    // Where few fit, the next ones wait at hand, so that no connection rests while a receipt is written.
    return Math.max(1, Math.min(MOST_AT_ONCE, places + AT_HAND));
  } catch {
    return 1;
  }
}
