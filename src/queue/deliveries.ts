/**
 * All queues of deliveries, one for each endpoint that a job sends to: opened and closed as the configuration changes, fed
 * from the ledger, and emptied into it at the end.
 *
 * The ledger is the record. Whatever a queue forgets is put back from it; whatever else writes to it (a `ferry retry`,
 * `pause`, `resume` or `run` beside us) is noticed within a second. Assumes to be the only one that sends for this data
 * folder, but for a `ferry run`.
 */

import type { Queue } from 'bullmq';
import type { Ledger } from '../ledger/ledger.ts';
import type { Delivery } from '../sync/delivery.ts';
import { messageOf } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';
import type { Job } from '../sync/job.ts';
import { unmountedJobs } from '../sync/mounts.ts';
import type { Deliver } from './attempt.ts';
import type { Backend } from './backend.ts';
import { EndpointQueue, type EndpointQueueOptions, type EndpointStatus } from './endpoint-queue.ts';
import type { Entry } from './feeder.ts';
import type { RetrySettings } from './policy.ts';
import { Troubles } from './troubles.ts';

export interface DeliveriesOptions {
  readonly backend: Backend;
  readonly ledger: Ledger;
  readonly events: Events;
  readonly deliver: Deliver;
  /** Resolves when the endpoint can be reached and lets us in. @throws Fault */
  readonly probe: (endpoint: string, signal: AbortSignal) => Promise<void>;
  /** The source of this delivery is another version by now: look at that path again. */
  readonly onChanged: (delivery: Delivery) => void;
  /** A person asked for it now: also takes what another process has queued, and what is not due yet. */
  readonly steal?: boolean;
  readonly now: () => number;
  readonly random?: () => number;
}

export interface DeliveriesConfig {
  /** Files to send at once, by endpoint. */
  readonly endpoints: ReadonlyMap<string, { readonly concurrency: number }>;
  /** Only deliveries of these are sent. */
  readonly jobs: readonly Pick<Job, 'name' | 'to' | 'retry' | 'order'>[];
}

const TICK_MS = 1_000;
/** In ticks. */
const SWEEP_EVERY = 30;
/** What was aborted has so long to say so. */
const ABORT_MS = 5_000;
/** An endpoint that is not configured any more may finish what it sends. */
const RETIRE_MS = 60_000;
const POLL_MS = 20;

export class Deliveries implements AsyncDisposable {
  readonly #options: DeliveriesOptions;
  readonly #troubles: Troubles;
  readonly #queues = new Map<string, EndpointQueue>();
  readonly #retiring = new Set<Promise<void>>();
  #config: DeliveriesConfig = { endpoints: new Map(), jobs: [] };
  #retry: ReadonlyMap<string, RetrySettings> = new Map();
  #paused: ReadonlySet<string> = new Set();
  /** By endpoint; made anew when the configuration or the pauses change. */
  readonly #takable = new Map<string, ReturnType<EndpointQueueOptions['which']>>();
  #unmounted: ReadonlySet<string> = new Set();
  #configuring: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  #forget: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  /** Begins to send at once. `ledger.recover` comes before. */
  static async open(options: DeliveriesOptions, config: DeliveriesConfig): Promise<Deliveries> {
    const deliveries = new Deliveries(options);
    try {
      await deliveries.configure(config);
    } catch (error) {
      await deliveries.stop({ deadlineMs: 0 });
      throw error;
    }
    deliveries.#begin();
    return deliveries;
  }

  private constructor(options: DeliveriesOptions) {
    this.#options = options;
    this.#troubles = new Troubles(options.events, options.now);
    this.#paused = options.ledger.paused();
    this.#unmounted = unmountedJobs(options.ledger.jobs());
  }

  /** @param changed endpoints whose settings are others now: those that had stopped are tried again */
  configure(config: DeliveriesConfig, changed: readonly string[] = []): Promise<void> {
    this.#configuring = this.#configuring
      .catch(() => undefined)
      .then(async () => {
        if (this.#stopped === undefined) await this.#configure(config, changed);
      });
    return this.#configuring;
  }

  /** Something may be due: after a scan, or a change in the ledger. */
  kick(endpoint?: string): void {
    if (endpoint !== undefined) this.#queues.get(endpoint)?.kick();
    else for (const queue of this.#queues.values()) queue.kick();
  }

  /** A person says that the endpoint is worth another try. */
  tryNow(endpoint: string): void {
    this.#queues.get(endpoint)?.tryNow();
  }

  status(): readonly EndpointStatus[] {
    return [...this.#queues.values()].map((queue) => queue.status);
  }

  /** For a dashboard. */
  queues(): readonly Queue<Entry>[] {
    return [...this.#queues.values()].map(({ queue }) => queue);
  }

  /**
   * Takes nothing more, lets what is being sent finish until the deadline, then aborts it. What was not sent is due
   * again. Takes some seconds longer than the deadline at most.
   */
  stop({ deadlineMs }: { readonly deadlineMs: number }): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ deadlineMs: 0 });
  }

  #begin(): void {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#forget = this.#options.backend.onForgotten(() => {
      for (const queue of this.#queues.values()) queue.restore();
    });
  }

  async #configure(config: DeliveriesConfig, changed: readonly string[]): Promise<void> {
    const used = new Set(config.jobs.flatMap((job) => job.to.map(({ endpoint }) => endpoint)));
    this.#config = config;
    this.#takable.clear();
    this.#retry = new Map(config.jobs.map(({ name, retry }) => [name, retry]));
    for (const [endpoint, queue] of this.#queues) {
      if (used.has(endpoint) && config.endpoints.has(endpoint)) continue;
      this.#queues.delete(endpoint);
      this.#retire(endpoint, queue);
    }
    for (const [endpoint, { concurrency }] of config.endpoints) {
      if (!used.has(endpoint)) continue;
      const known = this.#queues.get(endpoint);
      if (known === undefined) await this.#open(endpoint, concurrency);
      else known.concurrency = concurrency;
    }
    for (const endpoint of changed) this.tryNow(endpoint);
    this.kick();
  }

  async #open(endpoint: string, concurrency: number): Promise<void> {
    const { random = Math.random } = this.#options;
    const queue = await EndpointQueue.open({
      ...this.#options,
      endpoint,
      concurrency,
      random,
      which: () => this.#which(endpoint),
      retryOf: (job) => this.#retry.get(job) ?? { attempts: 1, delayMs: 0, maxDelayMs: 0 },
      trouble: (error) => this.#troubles.tell(error),
    });
    if (this.#stopped !== undefined) return queue.close();
    this.#queues.set(endpoint, queue);
    queue.pause(this.#paused.has(endpoint));
    queue.start();
  }

  #which(endpoint: string): ReturnType<EndpointQueueOptions['which']> {
    const known = this.#takable.get(endpoint);
    if (known !== undefined) return known;
    const jobs = this.#config.jobs.filter(
      ({ name, to }) => !this.#paused.has(name) && to.some((place) => place.endpoint === endpoint),
    );
    const made = {
      steal: this.#options.steal ?? false,
      jobs: jobs.map(({ name }) => name),
      ordered: jobs.flatMap(({ name, order }) => (order === 'none' ? [] : [{ job: name, order }])),
    };
    this.#takable.set(endpoint, made);
    return made;
  }

  #retire(endpoint: string, queue: EndpointQueue): void {
    queue.stop();
    this.#options.ledger.release(endpoint);
    const retired = this.#finish([queue], RETIRE_MS)
      .then(() => {
        // Its place may have been taken by a queue of the same name, whose entries come back by themselves.
        this.#options.ledger.release(endpoint);
        return queue.close();
      })
      .catch((error: unknown) => this.#troubles.tell(error))
      .finally(() => this.#retiring.delete(retired));
    this.#retiring.add(retired);
  }

  #tick(): void {
    try {
      this.#lookForPauses();
      this.#lookForMounts();
      for (const queue of this.#queues.values()) queue.tick();
      this.#ticks += 1;
      if (this.#ticks % SWEEP_EVERY !== 0) return;
      for (const queue of this.#queues.values())
        queue.sweep().catch((error: unknown) => this.#troubles.tell(error));
    } catch (error) {
      this.#troubles.tell(error);
    }
  }

  #lookForPauses(): void {
    const before = this.#paused;
    const after = this.#options.ledger.paused();
    const changed = [...before].filter((name) => !after.has(name));
    const added = [...after].filter((name) => !before.has(name));
    if (changed.length + added.length === 0) return;
    this.#paused = after;
    this.#takable.clear();
    for (const [endpoint, queue] of this.#queues) {
      queue.pause(after.has(endpoint));
      // Entries of a job that is paused now are void with that; those of other jobs come back at once.
      if (this.#sendsTo(endpoint, added)) queue.release();
    }
    for (const name of changed) this.#options.events.emit('paused', name, false);
    for (const name of added) this.#options.events.emit('paused', name, true);
    this.kick();
  }

  /** What a job owes cannot be read while its source is not mounted. */
  #lookForMounts(): void {
    const before = this.#unmounted;
    const after = unmountedJobs(this.#options.ledger.jobs());
    const added = [...after].filter((name) => !before.has(name));
    if (added.length === 0 && before.size === after.size) return;
    this.#unmounted = after;
    this.#takable.clear();
    for (const [endpoint, queue] of this.#queues) if (this.#sendsTo(endpoint, added)) queue.release();
  }

  #sendsTo(endpoint: string, jobs: readonly string[]): boolean {
    return this.#config.jobs.some(
      ({ name, to }) => jobs.includes(name) && to.some((place) => place.endpoint === endpoint),
    );
  }

  async #stop(deadlineMs: number): Promise<void> {
    clearInterval(this.#timer);
    this.#forget?.();
    await this.#configuring.catch(() => undefined);
    const queues = [...this.#queues.values()];
    for (const queue of queues) queue.stop();
    this.#release();
    await this.#finish(queues, deadlineMs);
    // Whatever went back into the queue meanwhile.
    this.#release();
    await Promise.all([...queues.map((queue) => queue.close()), ...this.#retiring]);
  }

  /** Waits for what is being sent; what is not done by the deadline is aborted. */
  async #finish(queues: readonly EndpointQueue[], deadlineMs: number): Promise<void> {
    if (await this.#idle(queues, deadlineMs)) return;
    for (const queue of queues) queue.abort();
    await this.#idle(queues, ABORT_MS);
  }

  async #idle(queues: readonly EndpointQueue[], deadlineMs: number): Promise<boolean> {
    const deadline = performance.now() + deadlineMs;
    for (;;) {
      if (queues.every((queue) => queue.status.sending === 0)) return true;
      if (performance.now() >= deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #release(): void {
    try {
      this.#options.ledger.release();
    } catch (error) {
      this.#options.events.emit('queue', `what was queued could not be released: ${messageOf(error)}`, false);
    }
  }
}
