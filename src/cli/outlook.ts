/**
 * Whether a run still has something to wait for: what is open in the ledger, and whether the endpoints that it
 * is owed to can be reached. A run ends when everything has ended, or when what is left cannot move.
 */

import type { Ledger } from '../ledger/ledger.ts';
import { listen } from '../observe/listen.ts';
import type { Fault } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';
import type { Job } from '../sync/job.ts';
import { isUnmounted } from '../sync/mounts.ts';

/** An endpoint that could not be reached so many times in a row is given up for this run. */
const TRIES = 3;
const LOOK_EVERY_MS = 200;
const ONE_TRY_MS = 400;

export interface OutlookOptions {
  readonly ledger: Ledger;
  readonly events: Events;
  readonly jobs: readonly Job[];
}

export class Outlook implements Disposable {
  readonly #options: OutlookOptions;
  readonly #names: readonly string[];
  readonly #down = new Map<string, { tries: number; fault: Fault; atMs: number }>();
  readonly #sources: Fault[] = [];
  readonly #listening: Disposable;
  #wake: () => void = () => undefined;

  constructor(options: OutlookOptions) {
    this.#options = options;
    this.#names = options.jobs.map((job) => job.name);
    const wake = (): void => this.#wake();
    // Thousands of files a second may end: only the last one is worth a closer look at once.
    const ended = (): void => {
      if (options.ledger.open(this.#names) === 0) wake();
    };
    this.#listening = listen(options.events, {
      delivered: ended,
      failed: ended,
      superseded: ended,
      endpointUp: (endpoint) => void this.#down.delete(endpoint),
      endpointDown: (endpoint, fault, nextProbeMs) => {
        const before = this.#down.get(endpoint);
        const nowMs = performance.now();
        // Many files may meet the same trouble at once: that is one try.
        const isNew = before === undefined || nowMs - before.atMs > ONE_TRY_MS;
        const tries = nextProbeMs === undefined ? TRIES : (before?.tries ?? 0) + (isNew ? 1 : 0);
        this.#down.set(endpoint, { tries, fault, atMs: isNew ? nowMs : before.atMs });
        wake();
      },
    });
  }

  /** A source could not be looked at. */
  sourceFailed(fault: Fault): void {
    if (fault.kind !== 'aborted') this.#sources.push(fault);
  }

  /** Resolves when there is nothing left to wait for. @param settled whether the scans have found all they will */
  async done(stop: AbortSignal, settled: () => boolean): Promise<void> {
    while (!stop.aborted) {
      if (settled() && !this.#canMove()) return;
      const next = Promise.withResolvers<void>();
      this.#wake = next.resolve;
      const timer = setTimeout(next.resolve, LOOK_EVERY_MS);
      stop.addEventListener('abort', () => next.resolve(), { once: true });
      await next.promise;
      clearTimeout(timer);
    }
  }

  carried(): { readonly unreachable: boolean; readonly reasons: readonly string[] } {
    const reasons = this.#sources.map((fault) => told(fault));
    const stuck = this.#openByEndpoint();
    const paused = this.#options.ledger.paused();
    let unreachable = this.#sources.length > 0;
    for (const [endpoint, files] of stuck) {
      const down = this.#down.get(endpoint);
      const left = `${files} left due`;
      if (down !== undefined && down.tries >= TRIES) {
        unreachable = true;
        reasons.push(`${told(down.fault, endpoint)} (${left})`);
      } else if (paused.has(endpoint)) {
        unreachable = true;
        reasons.push(`${endpoint} is paused (${left})`);
      }
    }
    for (const endpoint of new Set(this.#options.jobs.map((job) => job.from.endpoint))) {
      const down = this.#down.get(endpoint);
      if (down === undefined || !this.#isLost(endpoint) || stuck.has(endpoint) || stuck.size === 0) continue;
      unreachable = true;
      reasons.push(told(down.fault, endpoint));
    }
    for (const name of this.#names) {
      if (!paused.has(name) || this.#options.ledger.open([name]) === 0) continue;
      unreachable = true;
      reasons.push(`job ${name} is paused`);
    }
    return { unreachable, reasons };
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }

  #canMove(): boolean {
    const { ledger } = this.#options;
    if (ledger.open(this.#names) === 0) return false;
    const paused = ledger.paused();
    const still = new Set([...paused, ...this.#names.filter((name) => isUnmounted(ledger.job(name)?.alarm))]);
    for (const job of this.#options.jobs) if (this.#isLost(job.from.endpoint)) still.add(job.name);
    for (const endpoint of this.#openByEndpoint(still).keys()) {
      if (!paused.has(endpoint) && !this.#isLost(endpoint)) return true;
    }
    return false;
  }

  #isLost(endpoint: string): boolean {
    return (this.#down.get(endpoint)?.tries ?? 0) >= TRIES;
  }

  /** Open deliveries of these jobs, except those that cannot move, by endpoint. */
  #openByEndpoint(still: ReadonlySet<string> = new Set()): ReadonlyMap<string, number> {
    const open = new Map<string, number>();
    for (const { job, endpoint, state, files } of this.#options.ledger.counts()) {
      if (files === 0 || !this.#names.includes(job) || still.has(job)) continue;
      if (state === 'due' || state === 'queued' || state === 'sending')
        open.set(endpoint, (open.get(endpoint) ?? 0) + files);
    }
    return open;
  }
}

function told({ advice, message }: Fault, endpoint?: string): string {
  // Many faults name the endpoint themselves.
  const what = endpoint === undefined || message.startsWith(endpoint) ? message : `${endpoint}: ${message}`;
  return advice === undefined ? what : `${what}\n  ${advice}`;
}
