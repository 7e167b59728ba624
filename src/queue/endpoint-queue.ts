/**
 * The queue of one endpoint: its gate, its feeder, and the workers that take its entries. It is open while the gate is and
 * nobody has paused it; while it is closed nothing new is taken, and what is being sent goes on.
 */

import type { Job, Queue, Worker } from 'bullmq';
import type { Ledger, TakeOptions } from '../ledger/ledger.ts';
import type { Events } from '../sync/events.ts';
import { type AttemptOptions, Attempts, type Next } from './attempt.ts';
import type { Backend } from './backend.ts';
import { Buried, Postponed, TriedAgain } from './errors.ts';
import { type Entry, Feeder } from './feeder.ts';
import { Gate, type GateOptions, type GateState } from './gate.ts';
import { entryOf, queueName } from './names.ts';

export interface EndpointQueueOptions
  extends Omit<AttemptOptions, 'ledger' | 'events' | 'isFull' | 'judged' | 'worked'> {
  readonly endpoint: string;
  /** Files sent at once. */
  readonly concurrency: number;
  readonly backend: Backend;
  readonly ledger: Ledger;
  readonly events: Events;
  readonly probe: GateOptions['probe'];
  /** Which deliveries may be taken now. */
  readonly which: () => Omit<TakeOptions, 'endpoint' | 'limit' | 'nowMs'>;
  /** An error of the queue itself. */
  readonly trouble: (error: unknown) => void;
}

export interface EndpointStatus {
  readonly endpoint: string;
  readonly gate: GateState;
  readonly paused: boolean;
  /** Being sent at this moment. */
  readonly sending: number;
  /** In the queue, ready to be sent. */
  readonly ready: number;
}

const MIN_BACKLOG = 500;
/** An entry that was fetched while the gate closed goes back for so long. */
const CLOSED_MS = 1_000;
/** An entry whose time came so long ago and that no worker has seen may be lost. */
const LATE_MS = 30_000;
const CLOSE_MS = 3_000;

export class EndpointQueue {
  readonly queue: Queue<Entry>;
  readonly #options: EndpointQueueOptions;
  readonly #worker: Worker<Entry>;
  readonly #gate: Gate;
  readonly #feeder: Feeder;
  readonly #attempts: Attempts;
  #paused = false;
  #stopping = false;
  #wasOpen = false;

  static async open(options: EndpointQueueOptions): Promise<EndpointQueue> {
    const { backend, endpoint, concurrency } = options;
    const name = queueName(endpoint);
    const queue = await backend.makeQueue<Entry>(name);
    // The worker needs its processor before there is anything to process with; nothing runs until `start`.
    let made: EndpointQueue | undefined;
    const processor = (job: Job<Entry>, token: string | undefined) =>
      made?.process(job, token) ?? Promise.resolve();
    const backoff = (error: Error) => (error instanceof TriedAgain ? error.afterMs : -1);
    const worker = await backend.makeWorker<Entry>(name, processor, { concurrency, backoff });
    made = new EndpointQueue(options, queue, worker);
    return made;
  }

  private constructor(options: EndpointQueueOptions, queue: Queue<Entry>, worker: Worker<Entry>) {
    const { endpoint, ledger, events, probe, now, random, trouble, concurrency } = options;
    this.#options = options;
    this.queue = queue;
    this.#worker = worker;
    this.#gate = new Gate({ endpoint, ledger, events, probe, now, random, moved: () => this.#moved() });
    this.#feeder = new Feeder({
      endpoint,
      ledger,
      queue,
      trouble,
      now,
      backlog: Math.max(MIN_BACKLOG, 2 * concurrency),
      which: () => (this.isOpen ? options.which() : undefined),
    });
    this.#attempts = new Attempts({
      ...options,
      isFull: () => this.#feeder.isFull,
      worked: () => this.#gate.worked(),
      judged: (verdict, fault) => {
        if (verdict.endpoint === 'doubt') this.#gate.doubt();
        else if (verdict.endpoint === 'hold') this.#gate.hold(fault);
        else if (verdict.endpoint === 'stop') this.#gate.stop(fault);
      },
    });
    queue.on('error', trouble);
    worker.on('error', trouble);
    worker.on('lockRenewalFailed', (ids: readonly string[]) => {
      for (const id of ids) this.#lost(id);
    });
  }

  get isOpen(): boolean {
    return this.#gate.isOpen && !this.#paused && !this.#stopping;
  }

  get status(): EndpointStatus {
    return {
      endpoint: this.#options.endpoint,
      gate: this.#gate.state,
      paused: this.#paused,
      sending: this.#attempts.size,
      ready: this.#feeder.ready,
    };
  }

  set concurrency(files: number) {
    if (this.#worker.concurrency !== files) this.#worker.concurrency = files;
  }

  start(): void {
    this.#gate.start();
    this.#moved();
  }

  /** Something may be due. */
  kick(): void {
    this.#feeder.kick();
  }

  /** Now and then: the ledger may have been changed by another process, and time has passed. */
  tick(): void {
    this.#gate.look();
    if (!this.isOpen) return;
    // BullMQ can miss a `resume` that comes while its loop is ending.
    if (!this.#worker.isPaused() && !this.#worker.isRunning()) this.#run();
    this.#feeder.kick();
  }

  async sweep(): Promise<void> {
    if (this.isOpen) await this.#feeder.sweep(LATE_MS);
  }

  restore(): void {
    this.#feeder.restore();
  }

  /** Held by a person. */
  pause(paused: boolean): void {
    if (this.#paused === paused) return;
    this.#paused = paused;
    if (paused) this.release();
    this.#moved();
  }

  tryNow(): void {
    this.#gate.tryNow();
  }

  /** Puts everything that waits back to due: what may be taken has changed. */
  release(): void {
    this.#options.ledger.release(this.#options.endpoint);
    this.#feeder.emptied();
    // Entries that are left behind are void; this only keeps the queue tidy.
    this.queue.drain(true).catch(this.#options.trouble);
    this.#feeder.kick();
  }

  /** Takes nothing more. */
  stop(): void {
    this.#stopping = true;
    this.#gate.close();
    this.#moved();
  }

  abort(): void {
    this.#attempts.abort();
  }

  /**
   * By force: BullMQ would wait, for ever if need be, to write into the queue what the ledger knows already. Bounded in
   * time all the same.
   */
  async close(): Promise<void> {
    this.stop();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    const closed = Promise.allSettled([this.#feeder.idle(), this.#worker.close(true), this.queue.close()]);
    await Promise.race([closed, late]);
    clearTimeout(timer);
  }

  /** One entry, as BullMQ's processor. */
  async process(job: Job<Entry>, token: string | undefined): Promise<void> {
    const id = job.id ?? '';
    this.#feeder.started(id);
    const next: Next = this.isOpen
      ? await this.#attempts.run(job.data)
      : { entry: 'postpone', atMs: this.#options.now() + CLOSED_MS };
    switch (next.entry) {
      case 'drop':
        if (this.#options.which().ordered.length > 0) this.#feeder.kick();
        return;
      case 'postpone':
        this.#feeder.postponed(id);
        // Where the queue has lost the entry, the feeder puts it back.
        await job.moveToDelayed(next.atMs, token).catch(this.#options.trouble);
        throw new Postponed();
      case 'retry':
        this.#feeder.postponed(id);
        throw new TriedAgain(next.fault.message, Math.max(0, next.atMs - this.#options.now()));
      case 'bury':
        throw new Buried(next.fault.message);
    }
  }

  #lost(id: string): void {
    const entry = entryOf(id);
    if (entry !== undefined) this.#attempts.lost(entry);
  }

  #moved(): void {
    const open = this.isOpen;
    if (this.#gate.state === 'stopped' && !this.#stopping) this.release();
    if (open === this.#wasOpen) return;
    this.#wasOpen = open;
    if (!open) void this.#worker.pause(true);
    else if (this.#worker.isPaused()) void this.#worker.resume();
    else this.#run();
    if (open) this.#feeder.kick();
  }

  #run(): void {
    this.#worker.run().catch(this.#options.trouble);
  }
}
