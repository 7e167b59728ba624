/** What happens, as typed events, for logs, metrics, progress and dashboards. Listeners must not throw. */

import { EventEmitter } from 'node:events';
import type { Receipt } from '../endpoints/endpoint.ts';
import type { Delivery } from './delivery.ts';
import type { Fault } from './errors.ts';
import type { FilePath } from './names.ts';

export interface ScanSummary {
  readonly job: string;
  readonly reason: string;
  /** Files looked at that match the job. */
  readonly files: number;
  /** Deliveries made. */
  readonly owed: number;
  readonly owedBytes: number;
  /** Files left because they are still changing or wait for their marker. */
  readonly waiting: number;
  readonly ms: number;
}

export interface FerryEvents {
  scanned: [summary: ScanSummary];
  /** What a scan left for a reason that a person should know: a link, or, with a fault, what it could not look at. */
  left: [job: string, path: FilePath, reason: string, fault?: Fault];
  owed: [delivery: Delivery];
  sending: [delivery: Delivery];
  /** Bytes of this attempt that the far side has confirmed so far. */
  progress: [delivery: Delivery, confirmedBytes: number];
  delivered: [delivery: Delivery, receipt: Receipt, ms: number];
  /** `afterMs` undefined: no further try by itself. */
  attemptFailed: [delivery: Delivery, fault: Fault, afterMs: number | undefined];
  failed: [delivery: Delivery, fault: Fault];
  superseded: [delivery: Delivery, fault: Fault];
  /** The source was deleted or archived (then with where to). */
  after: [job: string, path: FilePath, action: 'delete' | 'archive', to: FilePath | undefined];
  afterFailed: [job: string, path: FilePath, fault: Fault];
  endpointUp: [endpoint: string, afterMs: number];
  /** Held (`nextProbeMs` from now) or stopped (undefined). */
  endpointDown: [endpoint: string, fault: Fault, nextProbeMs: number | undefined];
  paused: [name: string, paused: boolean];
  alarm: [job: string, fault: Fault];
  alarmOver: [job: string];
  config: [message: string, ok: boolean];
  /** The queue's own health. */
  queue: [message: string, ok: boolean];
}

export class Events extends EventEmitter<FerryEvents> {}
