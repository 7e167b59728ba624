/** How things stand, gathered from the ledger and the configuration for the status page. */

import type { Count, EndpointRecord, JobRecord, Ledger } from '../ledger/ledger.ts';
import type { Activity, Moving, Rate } from '../observe/activity.ts';
import { formatDuration } from '../observe/format.ts';
import type { Delivery, DeliveryState, FaultNote } from '../sync/delivery.ts';
import type { Job, Place } from '../sync/job.ts';
import { joinPath } from '../sync/names.ts';
import type { Health } from './health.ts';

const SHOWN_RECENT = 15;
const SHOWN_FAILED = 10;

export interface JobView {
  readonly name: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly when: string;
  readonly paused: boolean;
  readonly owed: number;
  readonly owedBytes: number;
  readonly sending: number;
  /** Of those owed: the endpoint has them, and is asked how they fare. */
  readonly underWay: number;
  readonly failed: number;
  readonly delivered: number;
  readonly lastScanMs: number | undefined;
  readonly lastDeliveredMs: number | undefined;
  readonly alarm: FaultNote | undefined;
}

export interface EndpointView {
  readonly name: string;
  readonly address: string;
  readonly paused: boolean;
  readonly state: EndpointRecord['state'];
  readonly fault: FaultNote | undefined;
  readonly sinceMs: number | undefined;
  readonly nextProbeMs: number | undefined;
  readonly owed: number;
}

export interface Overview {
  readonly site: string;
  readonly version: string;
  /** Which queue it runs on, in words. */
  readonly queue: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly health: Health;
  readonly jobs: readonly JobView[];
  readonly endpoints: readonly EndpointView[];
  readonly moving: readonly Moving[];
  readonly rate: Rate;
  readonly failed: readonly Delivery[];
  readonly recent: readonly Delivery[];
}

export interface OverviewSources {
  readonly ledger: Pick<Ledger, 'counts' | 'endpoints' | 'jobs' | 'paused' | 'history' | 'underWay'>;
  readonly jobs: () => Iterable<Job>;
  /** With their address as a person knows it, without secrets. */
  readonly endpoints: () => Iterable<{ readonly name: string; readonly address: string }>;
  readonly activity: Pick<Activity, 'moving' | 'rate'>;
  readonly health: () => Health;
  readonly queue: () => string;
  readonly now: () => number;
  readonly site: string;
  readonly version: string;
  readonly startedAtMs: number;
}

export function readOverview(sources: OverviewSources): Overview {
  const { activity, ledger, now, site, startedAtMs, version } = sources;
  const counts = ledger.counts();
  const paused = ledger.paused();
  const underWay = ledger.underWay();
  const records = new Map(ledger.jobs().map((record) => [record.job, record]));
  const states = new Map(ledger.endpoints().map((record) => [record.endpoint, record]));
  return {
    site,
    version,
    queue: sources.queue(),
    startedAtMs,
    nowMs: now(),
    health: sources.health(),
    jobs: [...sources.jobs()].map((job) =>
      jobView(job, counts, underWay.get(job.name) ?? 0, records.get(job.name), paused),
    ),
    endpoints: [...sources.endpoints()].map(({ name, address }) =>
      endpointView(name, address, counts, states.get(name), paused),
    ),
    moving: activity.moving,
    rate: activity.rate(),
    failed: [...ledger.history({ state: 'failed', limit: SHOWN_FAILED })],
    recent: [...ledger.history({ state: 'delivered', limit: SHOWN_RECENT })],
  };
}

function jobView(
  job: Job,
  counts: readonly Count[],
  underWay: number,
  record: JobRecord | undefined,
  paused: ReadonlySet<string>,
): JobView {
  const own = counts.filter((count) => count.job === job.name);
  return {
    name: job.name,
    from: placeText(job.from),
    to: job.to.map(placeText),
    when: whenText(job),
    paused: paused.has(job.name),
    owed: sum(own, ['due', 'queued', 'sending'], 'files'),
    owedBytes: sum(own, ['due', 'queued', 'sending'], 'bytes'),
    sending: sum(own, ['sending'], 'files'),
    underWay,
    failed: sum(own, ['failed'], 'files'),
    delivered: sum(own, ['delivered'], 'files'),
    lastScanMs: record?.lastScanMs,
    lastDeliveredMs: record?.lastDeliveredMs,
    alarm: record?.alarm,
  };
}

function endpointView(
  name: string,
  address: string,
  counts: readonly Count[],
  record: EndpointRecord | undefined,
  paused: ReadonlySet<string>,
): EndpointView {
  return {
    name,
    address,
    paused: paused.has(name),
    state: record?.state ?? 'up',
    fault: record?.fault,
    sinceMs: record?.sinceMs,
    nextProbeMs: record?.nextProbeMs,
    owed: sum(
      counts.filter((count) => count.endpoint === name),
      ['due', 'queued', 'sending'],
      'files',
    ),
  };
}

function sum(counts: readonly Count[], states: readonly DeliveryState[], what: 'files' | 'bytes'): number {
  return counts.reduce((total, count) => (states.includes(count.state) ? total + count[what] : total), 0);
}

/** A plain folder is an endpoint that config/ made for it, `folder:` and where it is. */
function placeText({ endpoint, path }: Place): string {
  return endpoint.startsWith('folder:')
    ? joinPath(endpoint.slice('folder:'.length), path)
    : `${endpoint}:${path}`;
}

function whenText({ when }: Job): string {
  const parts = [
    ...(when.watch
      ? [when.pollMs === undefined ? 'watched' : `looked at every ${formatDuration(when.pollMs)}`]
      : []),
    ...(when.cron === undefined
      ? []
      : [`cron ${when.cron}${when.timezone === undefined ? '' : ` ${when.timezone}`}`]),
  ];
  return parts.length === 0 ? 'by hand' : parts.join(', ');
}
