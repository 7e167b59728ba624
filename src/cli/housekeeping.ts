/** Now and then: temporaries that ended deliveries left behind, and history that is old enough to be forgotten. */

import type { Ledger } from '../ledger/ledger.ts';
import { messageOf } from '../sync/errors.ts';
import type { Job } from '../sync/job.ts';
import type { Endpoints } from './endpoints.ts';
import type { Engine } from './engine.ts';

const TIDY_EVERY_MS = 30_000;
const PRUNE_EVERY = 20;
const PRUNE_BATCH = 2_000;

export interface HousekeepingOptions {
  readonly ledger: Ledger;
  readonly engine: Engine;
  readonly endpoints: Endpoints;
  readonly jobs: () => ReadonlyMap<string, Job>;
  readonly now: () => number;
  readonly warn: (message: string) => void;
}

export class Housekeeping implements AsyncDisposable {
  readonly #options: HousekeepingOptions;
  readonly #stop = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #round = 0;
  #working: Promise<void> = Promise.resolve();

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#begin(), TIDY_EVERY_MS);
    this.#begin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#working;
  }

  #begin(): void {
    this.#working = this.#working
      .then(() => this.#work())
      .catch((error: unknown) => this.#options.warn(messageOf(error)));
  }

  async #work(): Promise<void> {
    const { endpoints, engine } = this.#options;
    // Also those that no job sends to any more.
    for (const endpoint of endpoints.entries.keys()) {
      if (this.#stop.signal.aborted) return;
      await engine.tidy(endpoint, this.#stop.signal);
    }
    if (this.#round % PRUNE_EVERY === 0) await this.#prune();
    this.#round += 1;
  }

  /** The longest that any job keeps its history counts for all: the ledger is one. */
  async #prune(): Promise<void> {
    const { jobs, ledger, now } = this.#options;
    const kept = [...jobs().values()].map((job) => job.historyMs);
    if (kept.length === 0) return;
    const before = now() - Math.max(...kept);
    while (!this.#stop.signal.aborted && ledger.prune(before, PRUNE_BATCH) === PRUNE_BATCH) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
