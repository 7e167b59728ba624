import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetricSources } from '../../src/observe/gauges.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { Fault } from '../../src/sync/errors.ts';
import { Events } from '../../src/sync/events.ts';
import { within } from '../support/until.ts';
import { delivery, receiptOf } from './examples.ts';

const sources: MetricSources = {
  counts: () => [
    { job: 'invoices', endpoint: 'app-server', state: 'due', files: 3, bytes: 1 },
    { job: 'invoices', endpoint: 'app-server', state: 'sending', files: 1, bytes: 1 },
    { job: 'invoices', endpoint: 'app-server', state: 'failed', files: 2, bytes: 1 },
    { job: 'invoices', endpoint: 'archive', state: 'delivered', files: 9, bytes: 1 },
  ],
  endpoints: () => [{ endpoint: 'app-server', state: 'held', fault: undefined, sinceMs: 0, nextProbeMs: 1 }],
  jobs: () => [
    {
      job: 'invoices',
      lastScanMs: 1,
      lastCronMs: undefined,
      lastDeliveredMs: 1_700_000_000_500,
      alarm: undefined,
      mount: undefined,
    },
    {
      job: 'photos',
      lastScanMs: undefined,
      lastCronMs: undefined,
      lastDeliveredMs: undefined,
      alarm: { kind: 'vanished', code: 'ENOENT', message: 'gone', advice: undefined },
      mount: undefined,
    },
  ],
  names: () => ({ jobs: ['invoices', 'photos'], endpoints: ['app-server', 'archive'] }),
  depths: () => new Map([['app-server', 4]]),
};

/** The lines of the page that are about Ferry, without the histograms' buckets. */
async function linesOf(events: Events, changes: Partial<MetricSources> = {}): Promise<readonly string[]> {
  using metrics = await createMetrics(events, { ...sources, ...changes });
  tell(events);
  const page = await metrics.page();
  return page.split('\n').filter((line) => line.startsWith('ferry_') && !line.includes('_bucket{'));
}

function tell(events: Events): void {
  const one = delivery(1);
  events.emit('delivered', one, receiptOf(one, { sizeBytes: 5_000 }), 250);
  events.emit('delivered', one, receiptOf(one, { sizeBytes: 1 }), 750);
  events.emit('attemptFailed', one, new Fault('unreachable', 'x'), 1);
  events.emit('failed', one, new Fault('permanent', 'x'));
  events.emit('superseded', delivery(2, { endpoint: 'archive' }), new Fault('vanished', 'x'));
  events.emit('scanned', {
    job: 'invoices',
    reason: 'cron',
    files: 1,
    owed: 0,
    owedBytes: 0,
    waiting: 0,
    ms: 500,
  });
}

test('counters count events, gauges read how things stand', async () => {
  const lines = await linesOf(new Events());
  assert.deepEqual(lines, [
    'ferry_deliveries_total{job="invoices",endpoint="app-server",state="delivered"} 2',
    'ferry_deliveries_total{job="invoices",endpoint="app-server",state="failed"} 1',
    'ferry_deliveries_total{job="invoices",endpoint="archive",state="superseded"} 1',
    'ferry_failed_attempts_total{job="invoices",endpoint="app-server",kind="unreachable"} 1',
    'ferry_bytes_total{job="invoices",endpoint="app-server"} 5001',
    'ferry_delivery_duration_seconds_sum{job="invoices",endpoint="app-server"} 1',
    'ferry_delivery_duration_seconds_count{job="invoices",endpoint="app-server"} 2',
    'ferry_scan_duration_seconds_sum{job="invoices"} 0.5',
    'ferry_scan_duration_seconds_count{job="invoices"} 1',
    'ferry_owed{job="invoices",endpoint="app-server"} 4',
    'ferry_owed{job="invoices",endpoint="archive"} 0',
    'ferry_failed{job="invoices",endpoint="app-server"} 2',
    'ferry_failed{job="invoices",endpoint="archive"} 0',
    'ferry_endpoint_up{endpoint="app-server"} 0',
    'ferry_endpoint_up{endpoint="archive"} 1',
    'ferry_queue_depth{endpoint="app-server"} 4',
    'ferry_last_success_timestamp_seconds{job="invoices"} 1700000000.5',
    'ferry_source_ok{job="invoices"} 1',
    'ferry_source_ok{job="photos"} 0',
  ]);
});

test('what is gone from the configuration is gone from the gauges', async () => {
  let jobs = ['invoices', 'photos'];
  using metrics = await createMetrics(new Events(), { ...sources, names: () => ({ jobs, endpoints: [] }) });
  assert.match(await metrics.page(), /ferry_source_ok\{job="photos"\} 0/);
  jobs = ['invoices'];
  assert.doesNotMatch(await metrics.page(), /ferry_source_ok\{job="photos"\}/);
});

test('a queue that does not answer, or that fails, keeps nobody from the rest', async () => {
  const hanging = await within(
    15_000,
    'the page',
    linesOf(new Events(), { depths: () => new Promise(() => undefined) }),
  );
  const failing = await linesOf(new Events(), { depths: () => Promise.reject(new Error('Redis is away')) });
  for (const lines of [hanging, failing]) {
    assert.ok(lines.some((line) => line.startsWith('ferry_owed')));
    assert.ok(!lines.some((line) => line.startsWith('ferry_queue_depth')));
  }
});

test('the process is measured too, and after its end nothing is counted', async () => {
  const events = new Events();
  const metrics = await createMetrics(events, sources);
  assert.match(await metrics.page(), /^process_resident_memory_bytes \d+/m);
  assert.match(metrics.contentType, /^text\/plain/);
  metrics[Symbol.dispose]();
  assert.deepEqual(events.eventNames(), []);
});
