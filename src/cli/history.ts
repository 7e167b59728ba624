/** `ferry history`: every delivery, newest first, with its receipt. */

import { parseDuration } from '../config/values.ts';
import type { Attempt, HistoryFilter, Ledger } from '../ledger/ledger.ts';
import { formatBytes } from '../observe/format.ts';
import { paint, type Style } from '../observe/paint.ts';
import { DELIVERY_STATES, type Delivery, type DeliveryState } from '../sync/delivery.ts';
import { printable } from '../sync/names.ts';
import { type Cli, EXIT, json, line, Refusal } from './cli.ts';
import type { Options } from './commands.ts';
import { assertJob, openRecordIfThere } from './setup.ts';

const TERMINAL_LIMIT = 50;

const STYLES: Readonly<Record<DeliveryState, Style>> = {
  due: 'cyan',
  queued: 'cyan',
  sending: 'cyan',
  delivered: 'green',
  failed: 'red',
  superseded: 'dim',
};

export async function history(cli: Cli, _names: readonly string[], options: Options): Promise<number> {
  const filter = filterOf(cli, options);
  const attempts = options.attempts === true;
  using ledger = openRecordIfThere(cli);
  if (filter.job !== undefined) await assertJob(cli, ledger, filter.job);
  let shown = 0;
  if (ledger !== undefined) {
    for (const delivery of ledger.history(filter)) {
      shown += 1;
      const log = attempts ? ledger.attempts(delivery.id) : undefined;
      if (options.json === true)
        json(cli.stdout, { ...asJson(delivery), ...(log === undefined ? {} : { attemptLog: log }) });
      else {
        showDelivery(cli, delivery);
        for (const attempt of log ?? []) showAttempt(cli, attempt);
      }
    }
  }
  if (shown === 0 && options.json !== true) line(cli.stdout, nothing(cli, ledger, filter));
  return EXIT.ok;
}

function nothing(cli: Cli, ledger: Ledger | undefined, filter: HistoryFilter): string {
  if (ledger === undefined) return `there is no record yet in ${cli.settings.dataFolder}`;
  const { limit: _, ...chosen } = filter;
  return Object.keys(chosen).length === 0 ? 'no delivery yet' : 'no such delivery';
}

/** The fixed shape of `history --json`. */
export function asJson(delivery: Delivery) {
  return {
    id: delivery.id,
    job: delivery.job,
    endpoint: delivery.endpoint,
    path: delivery.path,
    remotePath: delivery.remotePath ?? delivery.target,
    size: delivery.version.sizeBytes,
    state: delivery.state,
    // The one that delivered is not counted against the file, but it was one.
    attempts: delivery.attempts + (delivery.state === 'delivered' ? 1 : 0),
    sha256: delivery.sha256 ?? null,
    verified: delivery.verified ?? null,
    reference: delivery.reference ?? null,
    createdAt: iso(delivery.createdAtMs),
    deliveredAt: delivery.deliveredAtMs === undefined ? null : iso(delivery.deliveredAtMs),
    error: delivery.error === undefined ? null : { ...delivery.error },
  };
}

function filterOf(cli: Cli, options: Options): HistoryFilter {
  const text = (name: string): string | undefined => {
    const value = options[name];
    return typeof value === 'string' ? value : undefined;
  };
  const state = text('state');
  if (state !== undefined && !isState(state))
    throw new Refusal(`"${state}" is not a state; there are ${DELIVERY_STATES.join(', ')}`);
  const since = text('since');
  const limit =
    text('limit') ??
    (cli.stdout.isTTY === true && options.json !== true ? String(TERMINAL_LIMIT) : undefined);
  if (limit !== undefined && !/^[1-9]\d*$/.test(limit))
    throw new Refusal(`--limit takes a whole number from 1 on, not "${limit}"`);
  const job = text('job');
  const path = text('path');
  return {
    ...(job === undefined ? {} : { job }),
    ...(state === undefined ? {} : { state }),
    ...(path === undefined ? {} : { path }),
    ...(since === undefined ? {} : { sinceMs: sinceMs(since, cli.now()) }),
    ...(limit === undefined ? {} : { limit: Number(limit) }),
  };
}

function isState(text: string): text is DeliveryState {
  return DELIVERY_STATES.some((state) => state === text);
}

function sinceMs(text: string, nowMs: number): number {
  const back = parseDuration(text);
  if (back !== undefined) return nowMs - back;
  const at = Date.parse(text);
  if (!Number.isNaN(at)) return at;
  throw new Refusal(`"${text}" is neither a duration (2h, 7d) nor a date (2026-11-01)`);
}

function showDelivery(cli: Cli, delivery: Delivery): void {
  const { color } = cli;
  const where = `${delivery.endpoint}:${printable(delivery.remotePath ?? delivery.target)}`;
  const proof =
    delivery.sha256 === undefined ? '' : paint(color, 'dim', `  sha256 ${delivery.sha256.slice(0, 12)}…`);
  const state = paint(color, STYLES[delivery.state], delivery.state.padEnd(10));
  line(
    cli.stdout,
    `${String(delivery.id).padStart(6)}  ${time(delivery.updatedAtMs)}  ${state}  ${delivery.job}  ${printable(delivery.path)} → ${where}  ${formatBytes(delivery.version.sizeBytes)}${proof}`,
  );
  if (delivery.error === undefined || delivery.state === 'delivered') return;
  line(cli.stdout, `        ${delivery.error.message}`);
  if (delivery.error.advice !== undefined) line(cli.stdout, `        → ${delivery.error.advice}`);
}

function showAttempt(cli: Cli, attempt: Attempt): void {
  const took = `${attempt.endedAtMs - attempt.startedAtMs} ms`;
  const error = attempt.error === undefined ? '' : `  ${attempt.error.message}`;
  const free = attempt.counted || attempt.outcome === 'delivered' ? '' : '  (not counted)';
  line(cli.stdout, `      ${time(attempt.startedAtMs)}  ${attempt.outcome}  ${took}${free}${error}`);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function time(ms: number): string {
  return iso(ms).replace('T', ' ').slice(0, 19);
}
