/** Writes what happens into the log: one line an event, with `event`, `job`, `endpoint`, `path` and `delivery`. */

import type { Delivery } from '../sync/delivery.ts';
import type { Fault } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';
import { printable } from '../sync/names.ts';
import { nextTry } from './file-lines.ts';
import { formatBytes, formatCount, formatDuration } from './format.ts';
import { listen } from './listen.ts';
import type { Log } from './log.ts';

/** Until disposed. */
export function logEvents(log: Log, events: Events): Disposable {
  return listen(events, {
    scanned: (scan) => {
      const { job, reason, files, owed, owedBytes, waiting, ms } = scan;
      const said =
        owed === 0
          ? 'nothing new'
          : `${formatCount(owed, 'delivery', 'deliveries')} owed, ${formatBytes(owedBytes)}`;
      log[owed === 0 ? 'debug' : 'info'](
        { event: 'scanned', job, reason, files, owed, owedBytes, waiting, ms },
        `scanned ${job}: ${said}`,
      );
    },
    left: (job, path, reason) =>
      log.warn({ event: 'left', job, path: printable(path), reason }, `left ${printable(path)}: ${reason}`),
    owed: (delivery) =>
      log.debug(
        { event: 'owed', ...about(delivery), bytes: delivery.version.sizeBytes },
        `owed ${names(delivery)}`,
      ),
    sending: (delivery) => log.debug({ event: 'sending', ...about(delivery) }, `sending ${names(delivery)}`),
    delivered: (delivery, receipt, ms) => {
      const how =
        receipt.alreadyThere === true
          ? 'was there already'
          : `${formatBytes(receipt.sizeBytes)} in ${formatDuration(ms)}`;
      const { remotePath, sizeBytes: bytes, sha256, verified } = receipt;
      log.info(
        {
          event: 'delivered',
          ...about(delivery),
          remotePath: printable(remotePath),
          bytes,
          sha256,
          verified,
          ms,
        },
        `delivered ${printable(delivery.path)} to ${delivery.endpoint}:${printable(remotePath)}, ${how}`,
      );
    },
    attemptFailed: (delivery, fault, afterMs) => {
      const next = afterMs === undefined ? '' : `; ${nextTry(fault, afterMs)}`;
      log.warn(
        { event: 'attemptFailed', ...about(delivery), ...because(fault), afterMs },
        `could not deliver ${names(delivery)}: ${fault.message}${next}`,
      );
    },
    failed: (delivery, fault) =>
      log.error(
        { event: 'failed', ...about(delivery), ...because(fault) },
        `failed ${names(delivery)}: ${fault.message}`,
      ),
    superseded: (delivery, fault) =>
      log[fault.kind === 'skipped' ? 'info' : 'debug'](
        { event: 'superseded', ...about(delivery), ...because(fault) },
        `no longer owed ${names(delivery)}: ${fault.message}`,
      ),
    after: (job, path, action, to) => {
      const done = action === 'delete' ? 'deleted' : `archived to ${printable(to ?? '')}`;
      log.info(
        {
          event: 'after',
          job,
          path: printable(path),
          action,
          to: to === undefined ? undefined : printable(to),
        },
        `${printable(path)} ${done}`,
      );
    },
    afterFailed: (job, path, fault) =>
      log.error(
        { event: 'afterFailed', job, path: printable(path), ...because(fault) },
        `${printable(path)} is delivered, but could not be put away: ${fault.message}`,
      ),
    endpointUp: (endpoint, afterMs) =>
      log.info(
        { event: 'endpointUp', endpoint, afterMs },
        `${endpoint} is back after ${formatDuration(afterMs)}`,
      ),
    endpointDown: (endpoint, fault, nextProbeMs) => {
      const next =
        nextProbeMs === undefined
          ? 'it stays stopped until someone acts'
          : `next try in ${formatDuration(nextProbeMs)}`;
      log[nextProbeMs === undefined ? 'error' : 'warn'](
        { event: 'endpointDown', endpoint, ...because(fault), nextProbeMs },
        `${endpoint} ${nextProbeMs === undefined ? 'is stopped' : 'is held'}: ${fault.message}; ${next}`,
      );
    },
    paused: (name, paused) =>
      log.info({ event: 'paused', name, paused }, `${name} is ${paused ? 'paused' : 'released'}`),
    alarm: (job, fault) => log.error({ event: 'alarm', job, ...because(fault) }, `${job}: ${fault.message}`),
    alarmOver: (job) => log.info({ event: 'alarmOver', job }, `${job}: all clear`),
    config: (message, ok) => log[ok ? 'info' : 'error']({ event: 'config' }, message),
    queue: (message, ok) => log[ok ? 'info' : 'error']({ event: 'queue' }, message),
  });
}

function about(delivery: Delivery) {
  return {
    job: delivery.job,
    endpoint: delivery.endpoint,
    path: printable(delivery.path),
    delivery: delivery.id,
  };
}

function because(fault: Fault) {
  return { kind: fault.kind, code: fault.code, advice: fault.advice };
}

function names(delivery: Delivery): string {
  return `${printable(delivery.path)} to ${delivery.endpoint}`;
}
