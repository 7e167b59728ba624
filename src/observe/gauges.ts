/** The gauges of the metrics: how things stand, read from the ledger and the queues at the moment of a scrape. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Gauge, Registry } from 'prom-client';
import type { Count, EndpointRecord, JobRecord } from '../ledger/ledger.ts';
import type { DeliveryState } from '../sync/delivery.ts';

/** A queue that does not answer must not keep a scrape waiting. */
const DEPTHS_MS = 2_000;

/** Where the gauges come from; asked at each scrape. */
export interface MetricSources {
  readonly counts: () => readonly Count[];
  readonly endpoints: () => readonly EndpointRecord[];
  readonly jobs: () => readonly JobRecord[];
  /** Names in the present configuration: those without a record yet are up and owe nothing. */
  readonly names: () => { readonly jobs: Iterable<string>; readonly endpoints: Iterable<string> };
  /** Deliveries in the queue of each endpoint. */
  readonly depths: () => Promise<ReadonlyMap<string, number>> | ReadonlyMap<string, number>;
}

const OPEN: ReadonlySet<DeliveryState> = new Set(['due', 'queued', 'sending']);

type Read<Label extends string> = (
  set: (labels: Record<Label, string>, value: number) => void,
) => void | Promise<void>;

export function registerGauges(GaugeClass: typeof Gauge, registry: Registry, sources: MetricSources): void {
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    read: Read<Label>,
  ) =>
    new GaugeClass({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        // A job or an endpoint may be gone from the configuration.
        this.reset();
        await read((labels, value) => this.set(labels, value));
      },
    });
  gauge('ferry_owed', 'Deliveries not made yet.', ['job', 'endpoint'], (set) => {
    for (const { job, endpoint, files } of sumOf(sources.counts(), (state) => OPEN.has(state)))
      set({ job, endpoint }, files);
  });
  gauge('ferry_failed', 'Failed deliveries that wait for a person.', ['job', 'endpoint'], (set) => {
    for (const { job, endpoint, files } of sumOf(sources.counts(), (state) => state === 'failed'))
      set({ job, endpoint }, files);
  });
  gauge('ferry_endpoint_up', '1: in use; 0: held or stopped because of trouble.', ['endpoint'], (set) => {
    const down = new Set(
      sources.endpoints().flatMap(({ endpoint, state }) => (state === 'up' ? [] : [endpoint])),
    );
    for (const endpoint of sources.names().endpoints) set({ endpoint }, down.has(endpoint) ? 0 : 1);
  });
  gauge('ferry_queue_depth', 'Deliveries in the queue of an endpoint.', ['endpoint'], async (set) => {
    for (const [endpoint, depth] of await depthsOf(sources)) set({ endpoint }, depth);
  });
  gauge('ferry_last_success_timestamp_seconds', 'When a file of the job last arrived.', ['job'], (set) => {
    for (const { job, lastDeliveredMs } of sources.jobs())
      if (lastDeliveredMs !== undefined) set({ job }, lastDeliveredMs / 1000);
  });
  gauge('ferry_source_ok', '0: the source cannot be read or watched.', ['job'], (set) => {
    const alarmed = new Set(sources.jobs().flatMap(({ job, alarm }) => (alarm === undefined ? [] : [job])));
    for (const job of sources.names().jobs) set({ job }, alarmed.has(job) ? 0 : 1);
  });
}

/** Files in the states asked for, of each job and endpoint that has any deliveries at all. */
function sumOf(counts: readonly Count[], is: (state: DeliveryState) => boolean) {
  const sums = new Map<string, { readonly job: string; readonly endpoint: string; files: number }>();
  for (const { job, endpoint, state, files } of counts) {
    const key = JSON.stringify([job, endpoint]);
    const sum = sums.get(key) ?? { job, endpoint, files: 0 };
    if (is(state)) sum.files += files;
    sums.set(key, sum);
  }
  return sums.values();
}

/** Nothing when the queue is lost: then another metric says so. */
async function depthsOf(sources: MetricSources): Promise<ReadonlyMap<string, number>> {
  const none = new Map<string, number>();
  const timer = new AbortController();
  const late = sleep(DEPTHS_MS, none, { signal: timer.signal }).catch(() => none);
  try {
    return await Promise.race([Promise.resolve(sources.depths()).catch(() => none), late]);
  } catch {
    return none;
  } finally {
    timer.abort();
  }
}
