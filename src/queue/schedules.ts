/**
 * Cron triggers: one BullMQ job scheduler for each job that has a cron line. What it runs only asks for a scan, one at a
 * time for each job.
 *
 * Whether a run was missed while nobody was there is decided from the ledger alone, so it does not matter what BullMQ
 * remembers, or that an upsert makes it forget a run that is overdue.
 */

import type { Job, Queue, Worker } from 'bullmq';
import type { Ledger } from '../ledger/ledger.ts';
import { messageOf } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';
import type { Backend } from './backend.ts';
import { type CronLine, missedDue } from './cron.ts';
import { TRIGGERS } from './names.ts';
import { Troubles } from './troubles.ts';

export interface Schedule extends CronLine {
  readonly job: string;
  /** `once`: a run that was missed while Ferry did not run is made up for, once however many they were. */
  readonly catchUp: 'once' | 'none';
}

export interface SchedulesOptions {
  readonly backend: Backend;
  readonly ledger: Pick<Ledger, 'job' | 'setJob'>;
  readonly events: Events;
  /** Asks for a scan; when it resolves the run counts as honoured. */
  readonly onCron: (job: string, scheduledForMs: number) => Promise<void>;
  readonly now: () => number;
}

interface Trigger {
  readonly job: string;
}

/** Runs of different jobs do not wait for each other. */
const CONCURRENCY = 50;
/** A run that comes so late was not due any more (the machine slept): as if nobody had been there. */
const LATE_MS = 300_000;
const RETRY_MS = 5_000;

export class Schedules implements AsyncDisposable {
  readonly queue: Queue<Trigger>;
  readonly #options: SchedulesOptions;
  readonly #worker: Worker<Trigger>;
  readonly #running = new Set<string>();
  #wanted: ReadonlyMap<string, Schedule> = new Map();
  /** As BullMQ has them. */
  readonly #set = new Map<string, Schedule>();
  #setting: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  readonly #forget: () => void;
  #closed = false;

  static async open(options: SchedulesOptions): Promise<Schedules> {
    const queue = await options.backend.makeQueue<Trigger>(TRIGGERS);
    let made: Schedules | undefined;
    const worker = await options.backend.makeWorker<Trigger>(
      TRIGGERS,
      (job: Job<Trigger>) => made?.run(job) ?? Promise.resolve(),
      { concurrency: CONCURRENCY, backoff: () => -1 },
    );
    made = new Schedules(options, queue, worker);
    return made;
  }

  private constructor(options: SchedulesOptions, queue: Queue<Trigger>, worker: Worker<Trigger>) {
    this.#options = options;
    this.queue = queue;
    this.#worker = worker;
    const troubles = new Troubles(options.events, options.now);
    const tell = (error: unknown): void => troubles.tell(error);
    queue.on('error', tell);
    worker.on('error', tell);
    worker.run().catch(tell);
    this.#forget = options.backend.onForgotten(() => this.#restore());
  }

  /** Replaces all schedules; those that stay the same are not touched. */
  set(schedules: readonly Schedule[]): Promise<void> {
    const before = this.#wanted;
    this.#wanted = new Map(schedules.map((schedule) => [schedule.job, schedule]));
    for (const schedule of schedules) {
      const known = before.get(schedule.job);
      if (known === undefined) this.#catchUp(schedule);
      // With another line, what the old one owed is no matter any more.
      else if (!sameLine(known, schedule)) this.#honoured(schedule.job, this.#options.now());
    }
    return this.#apply();
  }

  /** Bounded in time: what is being asked for is not waited for. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#forget();
    let late: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      late = setTimeout(resolve, RETRY_MS);
    });
    const closed = Promise.allSettled([this.#setting, this.#worker.close(true), this.queue.close()]);
    await Promise.race([closed, deadline]);
    clearTimeout(late);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One run, as BullMQ's processor. */
  async run(job: Job<Trigger>): Promise<void> {
    const schedule = this.#wanted.get(job.data.job);
    if (schedule === undefined || this.#closed) return;
    const nowMs = this.#options.now();
    // BullMQ's name for when this run was due.
    const dueMs = job.opts.prevMillis ?? nowMs;
    if (schedule.catchUp === 'none' && nowMs - dueMs > LATE_MS) this.#honoured(schedule.job, dueMs);
    else await this.#ask(schedule.job, dueMs);
  }

  /** At start: was a run missed since the last one that was honoured? */
  #catchUp(schedule: Schedule): void {
    const { ledger, now } = this.#options;
    const { job, catchUp } = schedule;
    const lastMs = ledger.job(job)?.lastCronMs;
    const missedMs = lastMs === undefined ? undefined : missedDue(schedule, lastMs, now());
    if (missedMs !== undefined && catchUp === 'once') void this.#ask(job, missedMs, now());
    // A job that is new owes nothing of the past.
    else if (missedMs !== undefined || lastMs === undefined) this.#honoured(job, now());
  }

  /** The queue was emptied: the schedules are made anew, and a run that fell into the gap is made up for. */
  #restore(): void {
    this.#set.clear();
    const { ledger, now } = this.#options;
    for (const schedule of this.#wanted.values()) {
      const missedMs = missedDue(schedule, ledger.job(schedule.job)?.lastCronMs ?? now(), now());
      if (missedMs === undefined || this.#running.has(schedule.job)) continue;
      if (schedule.catchUp === 'once' || now() - missedMs < LATE_MS)
        void this.#ask(schedule.job, missedMs, now());
      else this.#honoured(schedule.job, now());
    }
    void this.#apply();
  }

  /** @param honouredMs up to when runs are honoured by this one */
  async #ask(job: string, dueMs: number, honouredMs = dueMs): Promise<void> {
    const { events, onCron } = this.#options;
    if (this.#running.has(job)) return;
    this.#running.add(job);
    try {
      await onCron(job, dueMs);
      this.#honoured(job, honouredMs);
    } catch (error) {
      events.emit('queue', `${job} was due, and its scan failed: ${messageOf(error)}`, false);
    } finally {
      this.#running.delete(job);
    }
  }

  #honoured(job: string, atMs: number): void {
    const { ledger, events } = this.#options;
    try {
      if ((ledger.job(job)?.lastCronMs ?? 0) < atMs) ledger.setJob(job, { lastCronMs: atMs });
    } catch (error) {
      events.emit('queue', `the run of ${job} could not be recorded: ${messageOf(error)}`, false);
    }
  }

  /** Makes BullMQ's schedulers those that are wanted; tries again while the queue cannot be reached. */
  #apply(): Promise<void> {
    clearTimeout(this.#timer);
    this.#setting = this.#setting.then(async () => {
      if (this.#closed) return;
      try {
        for (const job of this.#set.keys()) {
          if (this.#wanted.has(job)) continue;
          await this.queue.removeJobScheduler(job);
          this.#set.delete(job);
        }
        for (const schedule of this.#wanted.values()) await this.#upsert(schedule);
      } catch (error) {
        this.#options.events.emit('queue', `cron lines could not be set: ${messageOf(error)}`, false);
        this.#timer = setTimeout(() => void this.#apply(), RETRY_MS);
      }
    });
    return this.#setting;
  }

  async #upsert(schedule: Schedule): Promise<void> {
    const { job, pattern, timezone } = schedule;
    const known = this.#set.get(job);
    if (known !== undefined && sameLine(known, schedule)) return;
    const repeat = { pattern, ...(timezone === undefined ? {} : { tz: timezone }) };
    await this.queue.upsertJobScheduler(job, repeat, { name: job, data: { job } });
    this.#set.set(job, schedule);
  }
}

function sameLine(a: CronLine, b: CronLine): boolean {
  return a.pattern === b.pattern && a.timezone === b.timezone;
}
