/**
 * Feeds one endpoint's queue from the ledger, which holds everything that is owed: takes what is due, so much that the
 * workers never wait and no more, and puts back what a queue has forgotten.
 *
 * Assumes that it is the only feeder of that queue. Adding an entry twice changes nothing (the same id).
 */

import type { Queue } from 'bullmq';
import type { Ledger, TakeOptions } from '../ledger/ledger.ts';
import type { Delivery } from '../sync/delivery.ts';
import { entryId, entryName } from './names.ts';

/** All that an entry holds; the ledger knows the rest. */
export interface Entry {
  readonly id: number;
  readonly generation: number;
}

export interface FeederOptions {
  readonly endpoint: string;
  readonly ledger: Pick<Ledger, 'take' | 'queuedBefore'>;
  readonly queue: Queue<Entry>;
  readonly trouble: (error: unknown) => void;
  /** Entries to hold ready. */
  readonly backlog: number;
  readonly now: () => number;
  /** Which deliveries may be taken; undefined when none may. */
  readonly which: () => Omit<TakeOptions, 'endpoint' | 'limit' | 'nowMs'> | undefined;
}

/** One round trip adds so many. */
const CHUNK = 250;
/** The custom backoff of every entry: the policy says how long (see worker.ts). */
export const BACKOFF = 'policy';
/** The policy counts attempts, not BullMQ. */
const UNLIMITED = 1_000_000;
/** Redis holds about a kilobyte for each. */
const MAX_LATER = 2_000;
const EVERYTHING = 100_000;

export class Feeder {
  readonly #options: FeederOptions;
  /** Ids of entries that wait for a worker. */
  readonly #ready = new Set<string>();
  /** Ids of entries that wait for their time. */
  readonly #later = new Set<string>();
  #feeding: Promise<void> | undefined;
  #again = false;
  /** The queue may lack entries that the ledger calls queued. */
  #doubtful = false;
  /** The last look found less than it could have taken. */
  #dry = false;

  constructor(options: FeederOptions) {
    this.#options = options;
  }

  /** Entries that wait for a worker. */
  get ready(): number {
    return this.#ready.size;
  }

  /** No more entries may wait for their time here; let them wait in the ledger. */
  get isFull(): boolean {
    return this.#later.size >= MAX_LATER;
  }

  get isLow(): boolean {
    return this.#ready.size <= this.#options.backlog / 2;
  }

  /** Something may be due: looks soon, once for many calls. */
  kick(): void {
    this.#dry = false;
    if (this.#feeding !== undefined) {
      this.#again = true;
      return;
    }
    this.#feeding = this.#feed().finally(() => {
      this.#feeding = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.kick();
    });
  }

  /** A worker has this entry now. */
  started(id: string): void {
    this.#ready.delete(id);
    this.#later.delete(id);
    if (this.isLow && !this.#dry) this.kick();
  }

  /** A worker has put this entry off. */
  postponed(id: string): void {
    this.#later.add(id);
  }

  /** We have emptied the queue, after a release. */
  emptied(): void {
    this.#ready.clear();
    this.#later.clear();
  }

  /** Somebody may have emptied the queue: puts back what the ledger calls queued. */
  restore(): void {
    this.emptied();
    this.#doubtful = true;
    this.kick();
  }

  /**
   * Looks after entries whose time passed `lateMs` ago: an entry may have got lost on the way between two states. Where
   * the queue has nothing to do at all, they are also removed first: they may lie among the failed ones.
   */
  async sweep(lateMs: number): Promise<void> {
    const { endpoint, ledger, queue, now, which } = this.#options;
    if (which() === undefined || this.#feeding !== undefined) return;
    const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized');
    const { wait = 0, active = 0, delayed = 0, prioritized = 0 } = counts;
    if (wait + prioritized === 0) this.#ready.clear();
    if (delayed === 0) this.#later.clear();
    const late = ledger.queuedBefore(endpoint, now() - lateMs, EVERYTHING);
    if (late.length === 0) return;
    if (wait + active + delayed + prioritized === 0)
      for (const delivery of late) await queue.remove(entryId(delivery));
    await this.#add(late);
  }

  /** Resolves when no look is under way. */
  async idle(): Promise<void> {
    while (this.#feeding !== undefined) await this.#feeding;
  }

  async #feed(): Promise<void> {
    const { endpoint, ledger, backlog, now, which, trouble } = this.#options;
    try {
      if (this.#doubtful && which() !== undefined) {
        await this.#add(ledger.queuedBefore(endpoint, Number.MAX_SAFE_INTEGER, EVERYTHING));
        this.#doubtful = false;
      }
      while (this.isLow) {
        const options = which();
        if (options === undefined) return;
        const limit = Math.min(CHUNK, backlog - this.#ready.size);
        const taken = ledger.take({ ...options, endpoint, limit, nowMs: now() });
        if (taken.length > 0) await this.#add(taken);
        if (taken.length < limit) {
          this.#dry = true;
          return;
        }
      }
    } catch (error) {
      // What was taken stays `queued` in the ledger and is put into the queue with the next look.
      this.#doubtful = true;
      trouble(error);
    }
  }

  async #add(deliveries: readonly Delivery[]): Promise<void> {
    const { queue, now } = this.#options;
    for (let at = 0; at < deliveries.length; at += CHUNK) {
      const chunk = deliveries.slice(at, at + CHUNK);
      const nowMs = now();
      for (const delivery of chunk)
        (delivery.nextAtMs <= nowMs ? this.#ready : this.#later).add(entryId(delivery));
      await queue.addBulk(chunk.map((delivery) => jobOf(delivery, nowMs)));
    }
  }
}

function jobOf(delivery: Delivery, nowMs: number) {
  const delayMs = Math.ceil(delivery.nextAtMs - nowMs);
  return {
    name: entryName(delivery),
    data: { id: delivery.id, generation: delivery.generation },
    opts: {
      jobId: entryId(delivery),
      attempts: UNLIMITED,
      backoff: { type: BACKOFF },
      ...(delayMs > 0 ? { delay: delayMs } : {}),
    },
  };
}
