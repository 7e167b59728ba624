/**
 * The ledger's contract: the durable record of every delivery and attempt, and the one place where a claim is
 * made. test/contract/ledger.ts holds every implementation to these comments.
 *
 * Calls that return a promise resolve when their effect would survive a power cut (they share commits; `claim` waits
 * for no disk); the others are atomic and survive the death of the process. Two processes may have one ledger open: a worker,
 * and a person's `ferry run`, `history` or `retry` beside it.
 */

import type { FileVersion } from '../endpoints/endpoint.ts';
import type {
  AttemptTimes,
  Delivery,
  DeliveryState,
  FaultNote,
  NewDelivery,
  Outcome,
} from '../sync/delivery.ts';
import type { FilePath } from '../sync/names.ts';

export interface Known {
  readonly id: number;
  readonly state: DeliveryState;
  readonly target: FilePath;
  readonly version: FileVersion;
  /** Superseded because its source was gone or had changed (fault kinds `vanished`, `changed`): should the same version be seen again, it is owed anew. */
  readonly vanished: boolean;
  /** When (ms since the epoch) it was superseded because the remote name was taken (fault kind `skipped`); undefined when it was not. */
  readonly skippedMs: number | undefined;
}

export interface TakeOptions {
  readonly endpoint: string;
  readonly limit: number;
  readonly nowMs: number;
  /** Only these jobs. */
  readonly jobs?: readonly string[];
  /** Never these: paused ones. */
  readonly exceptJobs?: readonly string[];
  /**
   * Jobs that keep an order: of each, only the first open delivery in that order is taken, and none while one
   * is queued or sending.
   */
  readonly ordered: readonly { readonly job: string; readonly order: 'name' | 'mtime' }[];
  /**
   * A person asked for it now: whatever the `nextAtMs`, and also what another process has queued but not claimed (its
   * queue entry becomes void).
   */
  readonly steal?: boolean;
}

export interface HistoryFilter {
  readonly job?: string;
  readonly state?: DeliveryState;
  /** Updated at or after (ms since the epoch). */
  readonly sinceMs?: number;
  /** A glob over the source path: `*`, `**`, `?`; a plain text matches anywhere. */
  readonly path?: string;
  readonly ids?: readonly number[];
  readonly limit?: number;
}

export interface Count {
  readonly job: string;
  readonly endpoint: string;
  readonly state: DeliveryState;
  readonly files: number;
  readonly bytes: number;
}

/** What is known of an endpoint across restarts and processes. */
export interface EndpointRecord {
  readonly endpoint: string;
  /** `up`; `held`: trouble that passes, probed; `stopped`: trouble that needs a person. */
  readonly state: 'up' | 'held' | 'stopped';
  readonly fault: FaultNote | undefined;
  readonly sinceMs: number;
  readonly nextProbeMs: number | undefined;
}

/** What is known of a job's triggers and scans. */
export interface JobRecord {
  readonly job: string;
  readonly lastScanMs: number | undefined;
  /** Last cron time that was honoured. */
  readonly lastCronMs: number | undefined;
  /** Last time that a delivery of this job arrived. */
  readonly lastDeliveredMs: number | undefined;
  /** Something is wrong with its source (vanished root, watcher trouble). */
  readonly alarm: FaultNote | undefined;
  /** Where the file system of its source was mounted when it was last looked at (`Mount.point`). */
  readonly mount: FilePath | undefined;
}

export interface Attempt {
  readonly delivery: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** `delivered`, `interrupted` (its process died) or a fault's kind. */
  readonly outcome: string;
  readonly counted: boolean;
  readonly error: FaultNote | undefined;
}

export interface Ledger extends Disposable {
  /** Names this process in claims; its claims die with it. */
  readonly owner: string;

  /** The newest delivery of a path to a destination, whatever its state. Called for every file of every scan. */
  latest(job: string, destination: string, path: FilePath): Known | undefined;
  /**
   * Creates deliveries as `due`, in one transaction. An older one of the same job, destination and path that
   * is due, queued or failed becomes superseded (its leftover stays marked); one that is sending stays, and finds out by
   * itself. Where the latest already has that version and target, and is neither `vanished` nor skipped (see `Known`), nothing
   * is made. Returns those made.
   */
  owe(deliveries: readonly NewDelivery[], nowMs: number): readonly Delivery[];
  /**
   * The job has only these destinations by now: what is due, queued or failed to any other becomes superseded, for that
   * reason and as `vanished` (see `Known`), so that it is owed anew should the destination come back. What is sending stays. Returns how many.
   */
  disown(job: string, destinations: readonly string[], why: FaultNote, nowMs: number): number;

  /**
   * These are all jobs and endpoints that are configured: what is under way for others is followed by nobody, and counts
   * as being sent no more. Returns how many.
   */
  letGo(jobs: readonly string[], endpoints: readonly string[]): number;

  /** Marks due deliveries `queued` by this owner, oldest first, and returns them. Atomic between processes. */
  take(options: TakeOptions): readonly Delivery[];
  /** `queued` by this owner and not claimed, whose `nextAtMs` lies before: to put into a queue that forgot them. */
  queuedBefore(endpoint: string, beforeMs: number, limit: number): readonly Delivery[];
  /**
   * queued → sending, for this owner; marks a possible leftover. Undefined when it is not queued any more, has
   * another generation, another delivery to the same endpoint and target is sending or under way, or its job or
   * endpoint is paused. Need not survive a power cut; those of one turn of the event loop share a transaction.
   */
  claim(id: number, generation: number, nowMs: number): Promise<Delivery | undefined>;
  /**
   * Keeps the note of a claimed delivery. While the last one said `underWay` (default: no), the delivery counts as being
   * sent for `owe`, `disown` and `claim` until it ends. Durable when resolved.
   */
  checkpoint(id: number, note: string, underWay?: boolean): Promise<void>;
  /**
   * Ends an attempt of a delivery that this owner has claimed: state, attempt row and counters in one transaction.
   * Durable when resolved. @throws Fault `aborted` NOT_CLAIMED when this owner does not hold it (also `checkpoint`)
   */
  settle(id: number, outcome: Outcome, times: AttemptTimes): Promise<void>;
  /** Puts what this owner has queued (not what it is sending) back to due, for all endpoints or one. Returns how many. */
  release(endpoint?: string): number;
  /** Puts back to due what dead processes had queued or were sending; records the attempt as interrupted. Returns how many. */
  recover(nowMs: number): number;

  /** Ended deliveries (failed, superseded) at an endpoint that may have left a temporary. */
  leftovers(endpoint: string, limit: number): readonly Delivery[];
  cleared(ids: readonly number[]): void;

  /** Failed deliveries back to due with fresh attempts; all, by id, or by job. Returns those put back. */
  retry(
    which: { readonly ids?: readonly number[]; readonly job?: string },
    nowMs: number,
  ): readonly Delivery[];

  get(id: number): Delivery | undefined;
  attempts(id: number): readonly Attempt[];
  /** Newest first (open ones by when they were made, ended ones by when they ended), streamed. */
  history(filter: HistoryFilter): Iterable<Delivery>;
  /** Open and failed ones exactly and fast; delivered and superseded ones from kept totals, pruned ones included. */
  counts(): readonly Count[];
  /** Open (due, queued, sending) deliveries of jobs. */
  open(jobs: readonly string[]): number;
  /** Of each job that has any: open deliveries whose last checkpoint said `underWay`. */
  underWay(): ReadonlyMap<string, number>;

  /** Held by a person: names of endpoints and jobs. */
  paused(): ReadonlySet<string>;
  pause(name: string, nowMs: number): void;
  resume(name: string): void;

  endpoint(name: string): EndpointRecord | undefined;
  endpoints(): readonly EndpointRecord[];
  setEndpoint(record: EndpointRecord): void;
  job(name: string): JobRecord | undefined;
  jobs(): readonly JobRecord[];
  setJob(name: string, changes: Partial<Omit<JobRecord, 'job'>>): void;
  /** Where the file system of a destination was mounted when a file last arrived there (`Mount.point`). */
  mount(destination: string): FilePath | undefined;
  setMount(destination: string, point: FilePath | undefined): void;

  /** Changes whenever another process has written: cheap to poll. */
  changes(): number;
  /** The source of these was deleted or archived as the job asked; `prune` may forget them. */
  afterDone(ids: readonly number[]): void;
  /**
   * Forgets ended deliveries last touched before, but never the newest of a path whose source may still be there
   * (that would send it again). At most `limit` a call, so that it never blocks for long. Returns how many.
   */
  prune(beforeMs: number, limit: number): number;
}
