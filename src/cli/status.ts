/** `ferry status`: at a glance what is owed, moving and failed, which endpoints are in trouble, and what to do. */

import type { Count, EndpointRecord, JobRecord, Ledger } from '../ledger/ledger.ts';
import { formatAgo, formatBytes, formatCount } from '../observe/format.ts';
import { paint } from '../observe/paint.ts';
import type { Delivery, DeliveryState } from '../sync/delivery.ts';
import type { Job } from '../sync/job.ts';
import { printable } from '../sync/names.ts';
import { type Cli, EXIT, json, line } from './cli.ts';
import type { Options } from './commands.ts';
import { jobsNamed, openRecord, readConfig } from './setup.ts';

/** Failed deliveries shown by name. */
const SHOWN_FAILURES = 5;

interface JobStatus {
  readonly job: string;
  readonly paused: boolean;
  readonly owed: number;
  readonly owedBytes: number;
  readonly sending: number;
  /** Of those owed: the endpoint has them, and is asked how they fare. */
  readonly underWay: number;
  readonly failed: number;
  readonly delivered: number;
  readonly lastScanAt: string | null;
  readonly lastDeliveredAt: string | null;
  readonly alarm: JobRecord['alarm'] | null;
}

export async function status(cli: Cli, names: readonly string[], options: Options): Promise<number> {
  const { config, hasProblems } = await readConfig(cli, names);
  using ledger = openRecord(cli);
  const jobs = names.length > 0 ? jobsNamed(config, names) : [...config.jobs.values()];
  const paused = ledger.paused();
  const counts = ledger.counts();
  const underWay = ledger.underWay();
  const rows = jobs.map((job) =>
    statusOf(job, counts, underWay.get(job.name) ?? 0, ledger.job(job.name), paused.has(job.name)),
  );
  const used = new Set(jobs.flatMap((job) => [job.from.endpoint, ...job.to.map((place) => place.endpoint)]));
  const endpoints = ledger.endpoints().filter((record) => used.has(record.endpoint));
  if (options.json === true) {
    for (const row of rows) json(cli.stdout, row);
    for (const record of endpoints) json(cli.stdout, { ...record, paused: paused.has(record.endpoint) });
    return hasProblems ? EXIT.usage : EXIT.ok;
  }
  if (rows.length === 0) line(cli.stdout, 'no jobs yet; `ferry init` writes a first one');
  for (const row of rows) showJob(cli, row, ledger);
  for (const name of paused)
    line(
      cli.stdout,
      `${paint(cli.color, 'yellow', '‖')} ${name} is paused; \`ferry resume ${name}\` releases it`,
    );
  for (const record of endpoints) showEndpoint(cli, record);
  return hasProblems ? EXIT.usage : EXIT.ok;
}

function statusOf(
  job: Job,
  counts: readonly Count[],
  underWay: number,
  record: JobRecord | undefined,
  paused: boolean,
): JobStatus {
  const sum = (states: readonly DeliveryState[], what: 'files' | 'bytes'): number =>
    counts
      .filter((count) => count.job === job.name && states.includes(count.state))
      .reduce((total, count) => total + count[what], 0);
  return {
    job: job.name,
    paused,
    owed: sum(['due', 'queued'], 'files'),
    owedBytes: sum(['due', 'queued', 'sending'], 'bytes'),
    sending: sum(['sending'], 'files'),
    underWay,
    failed: sum(['failed'], 'files'),
    delivered: sum(['delivered'], 'files'),
    lastScanAt: isoOrNull(record?.lastScanMs),
    lastDeliveredAt: isoOrNull(record?.lastDeliveredMs),
    alarm: record?.alarm ?? null,
  };
}

function showJob(cli: Cli, row: JobStatus, ledger: Ledger): void {
  const { color } = cli;
  const bad = row.failed > 0 || row.alarm !== null;
  const mark = bad
    ? paint(color, 'red', '✗')
    : row.owed + row.sending > 0
      ? paint(color, 'cyan', '→')
      : paint(color, 'green', '✓');
  const parts = [
    owedText(row),
    `${row.sending} sending`,
    row.failed > 0 ? paint(color, 'red', `${row.failed} failed`) : '0 failed',
    `${row.delivered} delivered`,
    row.lastDeliveredAt === null
      ? 'none delivered yet'
      : `last ${formatAgo(cli.now() - Date.parse(row.lastDeliveredAt))}`,
  ];
  line(cli.stdout, `${mark} ${paint(color, 'bold', row.job)}  ${parts.join('  ')}`);
  if (row.alarm !== null) advise(cli, row.alarm?.message ?? '', row.alarm?.advice);
  if (row.failed === 0) return;
  const failures = [...ledger.history({ job: row.job, state: 'failed', limit: SHOWN_FAILURES })];
  for (const delivery of failures) advise(cli, failureLine(delivery), delivery.error?.advice);
  const more = row.failed - failures.length;
  line(
    cli.stdout,
    `    ${more > 0 ? `and ${formatCount(more, 'more', 'more')}; ` : ''}\`ferry retry --job ${row.job}\` when it is mended`,
  );
}

function owedText({ owed, owedBytes, underWay }: JobStatus): string {
  const bytes = owedBytes > 0 ? ` (${formatBytes(owedBytes)})` : '';
  return `${owed} owed${bytes}${underWay > 0 ? `, ${underWay} under way` : ''}`;
}

function failureLine(delivery: Delivery): string {
  return `${printable(delivery.path)} → ${delivery.endpoint}: ${delivery.error?.message ?? 'failed'} (id ${delivery.id})`;
}

function showEndpoint(cli: Cli, record: EndpointRecord): void {
  if (record.state === 'up') return;
  const since = formatAgo(cli.now() - record.sinceMs);
  const what =
    record.state === 'held' ? paint(cli.color, 'yellow', 'held') : paint(cli.color, 'red', 'stopped');
  const next =
    record.nextProbeMs === undefined
      ? ''
      : `; next try in ${Math.max(0, Math.round((record.nextProbeMs - cli.now()) / 1000))} s`;
  line(cli.stdout, `${paint(cli.color, 'bold', record.endpoint)}  ${what} since ${since}${next}`);
  if (record.fault !== undefined) advise(cli, record.fault.message, record.fault.advice);
  if (record.state === 'stopped')
    line(cli.stdout, `    → \`ferry check ${record.endpoint}\`, then \`ferry resume ${record.endpoint}\``);
}

function advise(cli: Cli, message: string, advice: string | undefined): void {
  line(cli.stdout, `    ${message}`);
  if (advice !== undefined) line(cli.stdout, `    → ${advice}`);
}

function isoOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
