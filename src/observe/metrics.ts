/**
 * Metrics for Prometheus. Counters count what this process has seen since it started; gauges are read from the
 * ledger and the queues when somebody asks. No label holds a path: their number must stay small.
 */

import type { Events } from '../sync/events.ts';
import { type MetricSources, registerGauges } from './gauges.ts';
import { listen } from './listen.ts';

export interface Metrics extends Disposable {
  readonly contentType: string;
  /** The page that Prometheus reads. */
  page(): Promise<string>;
}

/** Seconds: from a small file next door to a large one over a thin line. */
const DURATIONS = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600];

export async function createMetrics(events: Events, sources: MetricSources): Promise<Metrics> {
  const { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } = await import('prom-client');
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const deliveries = new Counter({
    name: 'ferry_deliveries_total',
    help: 'Deliveries that ended, by how: delivered, failed or superseded.',
    labelNames: ['job', 'endpoint', 'state'],
    registers,
  });
  const attempts = new Counter({
    name: 'ferry_failed_attempts_total',
    help: 'Attempts that did not deliver, by the kind of the fault.',
    labelNames: ['job', 'endpoint', 'kind'],
    registers,
  });
  const bytes = new Counter({
    name: 'ferry_bytes_total',
    help: 'Bytes of the files that were delivered.',
    labelNames: ['job', 'endpoint'],
    registers,
  });
  const duration = new Histogram({
    name: 'ferry_delivery_duration_seconds',
    help: 'How long the attempt took that delivered a file.',
    labelNames: ['job', 'endpoint'],
    buckets: DURATIONS,
    registers,
  });
  const scan = new Histogram({
    name: 'ferry_scan_duration_seconds',
    help: 'How long a look at the source took.',
    labelNames: ['job'],
    buckets: DURATIONS,
    registers,
  });
  registerGauges(Gauge, registry, sources);

  const listening = listen(events, {
    delivered: ({ job, endpoint }, receipt, ms) => {
      deliveries.inc({ job, endpoint, state: 'delivered' });
      bytes.inc({ job, endpoint }, receipt.sizeBytes);
      duration.observe({ job, endpoint }, ms / 1000);
    },
    failed: ({ job, endpoint }) => deliveries.inc({ job, endpoint, state: 'failed' }),
    superseded: ({ job, endpoint }) => deliveries.inc({ job, endpoint, state: 'superseded' }),
    attemptFailed: ({ job, endpoint }, { kind }) => attempts.inc({ job, endpoint, kind }),
    scanned: ({ job, ms }) => scan.observe({ job }, ms / 1000),
  });
  return {
    contentType: registry.contentType,
    page: () => registry.metrics(),
    [Symbol.dispose]() {
      listening[Symbol.dispose]();
      registry.clear();
    },
  };
}
