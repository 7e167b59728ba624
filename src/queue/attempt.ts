/**
 * What a worker does with one entry of an endpoint's queue: claims the delivery in the ledger, has it delivered, and on a
 * fault writes down what the policy says, in the ledger first and then in the queue.
 *
 * The claim is what makes a doubled, stalled or forgotten entry harmless: an entry whose delivery cannot be claimed is
 * void. `Runs` holds what is under way, so that it can be aborted.
 */

import { setImmediate as turn } from 'node:timers/promises';
import type { Ledger } from '../ledger/ledger.ts';
import type { Delivered } from '../sync/deliver.ts';
import type { Delivery, Outcome } from '../sync/delivery.ts';
import { asFault, Fault, isEndpointFault, throwIfAborted } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';
import type { Entry } from './feeder.ts';
import { judge, type RetrySettings, type Verdict } from './policy.ts';

/** Settles a success itself; throws Faults, which are settled here. */
export type Deliver = (delivery: Delivery, signal: AbortSignal) => Promise<Delivered>;

export interface AttemptOptions {
  readonly ledger: Pick<Ledger, 'claim' | 'settle' | 'get'>;
  readonly events: Events;
  readonly deliver: Deliver;
  readonly retryOf: (job: string) => RetrySettings;
  /** No more entries can wait in the queue. */
  readonly isFull: () => boolean;
  /** Before anything is written: the endpoint's gate hears of it first. */
  readonly judged: (verdict: Verdict, fault: Fault) => void;
  /** Told of what is wrong with the ledger, each time: whoever listens says it once. */
  readonly trouble: (error: unknown) => void;
  readonly worked: () => void;
  readonly onChanged: (delivery: Delivery) => void;
  readonly now: () => number;
  readonly random: () => number;
}

/** What the queue is to do with the entry. */
export type Next =
  | { readonly entry: 'drop' }
  | { readonly entry: 'postpone'; readonly atMs: number }
  | { readonly entry: 'retry'; readonly fault: Fault; readonly atMs: number }
  | { readonly entry: 'bury'; readonly fault: Fault };

/** Another version of the same file is being sent: that is soon over, or long. */
const BUSY_MS = 1_000;
/** The ledger cannot be written at this moment. */
const CLAIM_AGAIN_MS = 1_000;
const SETTLE_AGAIN_MS = 1_000;

export class Attempts {
  readonly #options: AttemptOptions;
  readonly #running = new Map<number, AbortController>();

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  /** How many are being sent. */
  get size(): number {
    return this.#running.size;
  }

  /** Ends everything that is under way; each goes back to due. */
  abort(): void {
    for (const controller of this.#running.values()) controller.abort(stopped());
  }

  /** BullMQ has lost its lock on an entry. Whoever holds the claim may go on; without it, what is sent is for nothing. */
  lost({ id, generation }: Entry): void {
    const delivery = this.#options.ledger.get(id);
    if (delivery?.state === 'sending' && delivery.generation === generation) return;
    this.#running.get(id)?.abort(stopped());
  }

  /** Never throws. */
  async run({ id, generation }: Entry): Promise<Next> {
    const startedAtMs = this.#options.now();
    const controller = new AbortController();
    const twice = this.#running.has(id);
    if (!twice) this.#running.set(id, controller); // before it is claimed: an abort in between counts
    try {
      const claimed = await this.#claim({ id, generation }, twice, startedAtMs);
      return 'entry' in claimed ? claimed : await this.#attempt(claimed, startedAtMs, controller.signal);
    } finally {
      if (!twice) this.#running.delete(id);
    }
  }

  /** @param twice it is being sent already */
  async #claim({ id, generation }: Entry, twice: boolean, startedAtMs: number): Promise<Delivery | Next> {
    const { ledger, trouble } = this.#options;
    try {
      // Of two entries for one delivery, the second waits for what becomes of the claim of the first.
      const delivery = twice ? await turn(undefined) : await ledger.claim(id, generation, startedAtMs);
      return delivery ?? this.#void(id, generation);
    } catch (error) {
      trouble(new Error(`nothing can be taken from the queue: ${sayOf(error)}`));
      return { entry: 'postpone', atMs: startedAtMs + CLAIM_AGAIN_MS };
    }
  }

  /** Not ours to send: done with it, unless it only waits for another version of the same file. */
  #void(id: number, generation: number): Next {
    const known = this.#options.ledger.get(id);
    const waits = known?.state === 'queued' && known.generation === generation;
    return waits ? { entry: 'postpone', atMs: this.#options.now() + BUSY_MS } : { entry: 'drop' };
  }

  async #attempt(delivery: Delivery, startedAtMs: number, signal: AbortSignal): Promise<Next> {
    const { deliver, worked, isFull, now } = this.#options;
    try {
      throwIfAborted(signal); // while it was claimed
      const delivered = await deliver(delivery, signal);
      worked();
      if (delivered.state === 'done') return { entry: 'drop' };
      const nextAtMs = now() + delivered.checkAfterMs;
      const waits = isFull() ? 'due' : 'queued';
      const settled = await this.#settle(
        delivery,
        { state: 'pending', nextAtMs, waits },
        startedAtMs,
        signal,
      );
      return settled && waits === 'queued' ? { entry: 'postpone', atMs: nextAtMs } : { entry: 'drop' };
    } catch (error) {
      return this.#fail(delivery, startedAtMs, asFault(error, signal), signal);
    }
  }

  async #fail(delivery: Delivery, startedAtMs: number, fault: Fault, signal: AbortSignal): Promise<Next> {
    const { ledger, retryOf, isFull, judged, onChanged, now, random } = this.#options;
    const known = ledger.get(delivery.id);
    // Delivered, and then something else went wrong: the receipt stands.
    if (known?.state !== 'sending' || known.generation !== delivery.generation) return { entry: 'drop' };
    const verdict = judge({
      fault,
      delivery,
      retry: retryOf(delivery.job),
      progressed: known.note !== delivery.note,
      full: isFull(),
      nowMs: now(),
      random,
    });
    judged(verdict, fault);
    if (!(await this.#settle(delivery, verdict.outcome, startedAtMs, signal))) return { entry: 'drop' };
    const told = verdict.outcome.state === 'failed' ? verdict.outcome.fault : fault;
    this.#tell(ledger.get(delivery.id) ?? delivery, verdict, told);
    if (verdict.rescan) onChanged(delivery);
    return nextOf(verdict, fault);
  }

  /**
   * Writes it down, and tries for as long as it takes (a full disk), since nobody else can take a delivery that is
   * called `sending`. False when that is hopeless: we were stopped (the next start recovers it), or it is not ours any more.
   */
  async #settle(
    { id }: Delivery,
    outcome: Outcome,
    startedAtMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { ledger, trouble, now } = this.#options;
    for (;;) {
      try {
        await ledger.settle(id, outcome, { startedAtMs, endedAtMs: now() });
        return true;
      } catch (error) {
        const fault = asFault(error);
        trouble(new Error(`what becomes of deliveries cannot be written down: ${sayOf(error)}`));
        if (fault.kind !== 'transient' || signal.aborted) return false;
        await pause(SETTLE_AGAIN_MS, signal);
      }
    }
  }

  #tell(delivery: Delivery, { outcome }: Verdict, fault: Fault): void {
    const { events, now } = this.#options;
    if (outcome.state === 'superseded') events.emit('superseded', delivery, fault);
    else if (outcome.state === 'failed') {
      events.emit('attemptFailed', delivery, fault, undefined);
      events.emit('failed', delivery, fault);
    } else if (fault.kind !== 'aborted') {
      const afterMs = Math.max(0, outcome.nextAtMs - now());
      events.emit('attemptFailed', delivery, fault, afterMs);
      if (isEndpointFault(fault) && fault.endpoint !== undefined && fault.endpoint !== delivery.endpoint)
        events.emit('endpointDown', fault.endpoint, fault, fault.kind === 'rejected' ? undefined : afterMs);
    }
  }
}

function nextOf({ entry, outcome }: Verdict, fault: Fault): Next {
  const atMs = 'nextAtMs' in outcome ? outcome.nextAtMs : 0;
  switch (entry) {
    case 'drop':
      return { entry };
    case 'postpone':
      return { entry, atMs };
    case 'retry':
      return { entry, fault, atMs };
    case 'bury':
      return { entry, fault };
  }
}

function sayOf(error: unknown): string {
  const { message, next } = asFault(error);
  return next === undefined ? message : `${message}; ${next}`;
}

function stopped(): Fault {
  return new Fault('aborted', 'stopped before it was done');
}

/** Ends early when the signal fires. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
