/**
 * A delivery: one version of one file, owed to one destination.
 *
 *   due → queued → sending → delivered | failed | superseded
 *
 * `due` waits for a place in the queue; `queued` is in the queue, also between two attempts; `sending` is
 * claimed by one process. `failed` waits for a person. `superseded` needs nothing more: a newer version took
 * its place, its source is gone, or `conflict: skip` left the remote file alone.
 */

import type { FileVersion, Receipt } from '../endpoints/endpoint.ts';
import type { Fault, FaultKind } from './errors.ts';
import type { FilePath } from './names.ts';

export const DELIVERY_STATES = ['due', 'queued', 'sending', 'delivered', 'failed', 'superseded'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** What a scan hands to the ledger. */
export interface NewDelivery {
  readonly job: string;
  readonly endpoint: string;
  /** `destinationOf(place)`: endpoint and path as configured. */
  readonly destination: string;
  /** Relative to the job's source. */
  readonly path: FilePath;
  /** The path asked for at the endpoint. */
  readonly target: FilePath;
  readonly version: FileVersion;
}

/** A fault as the ledger keeps it. */
export interface FaultNote {
  readonly kind: FaultKind;
  readonly code: string | undefined;
  readonly message: string;
  readonly advice: string | undefined;
}

export interface Delivery extends NewDelivery {
  readonly id: number;
  readonly state: DeliveryState;
  /** Counts up each time it goes back to `due`; a queue entry of an older generation is void. */
  readonly generation: number;
  /** Attempts that counted against the file. */
  readonly attempts: number;
  /** Attempts that ended with the connection; they count against nobody. */
  readonly cuts: number;
  /** Not to be tried before (ms since the epoch). */
  readonly nextAtMs: number;
  /** The last checkpoint of an unfinished send. */
  readonly note: string | undefined;
  /** An attempt may have left a temporary at the endpoint. */
  readonly leftover: boolean;
  /** Where it went; undefined until delivered. */
  readonly remotePath: FilePath | undefined;
  readonly sha256: string | undefined;
  readonly verified: Receipt['verified'] | undefined;
  readonly reference: string | undefined;
  readonly error: FaultNote | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly deliveredAtMs: number | undefined;
}

/** How an attempt ended, and what that makes of the delivery. Written to the ledger as one transaction. */
export type Outcome =
  | { readonly state: 'delivered'; readonly receipt: Receipt }
  | { readonly state: 'failed'; readonly fault: Fault; readonly leftover: boolean }
  | { readonly state: 'superseded'; readonly fault: Fault; readonly leftover: boolean }
  /** The queue tries again at `nextAtMs`; `counts` says whether this attempt counts against the file. */
  | { readonly state: 'queued'; readonly fault: Fault; readonly counts: boolean; readonly nextAtMs: number }
  /** Back to the ledger: whoever feeds a queue next takes it from there (a stop, a held endpoint). */
  | { readonly state: 'due'; readonly fault: Fault; readonly counts: boolean; readonly nextAtMs: number }
  /** Accepted by an asynchronous endpoint: waits in the queue, or in the ledger, to be asked after at `nextAtMs`; no attempt ended. */
  | { readonly state: 'pending'; readonly nextAtMs: number; readonly waits: 'queued' | 'due' };

export interface AttemptTimes {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

export function noteOf(fault: Fault): FaultNote {
  return { kind: fault.kind, code: fault.code, message: fault.message, advice: fault.advice };
}
