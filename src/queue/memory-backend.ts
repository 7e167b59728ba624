/**
 * BullMQ's contract of a datastore (`IQueueBackend`) on the memory of this process, a worker's side of it: entries come in,
 * are waited for, taken, finished and put off. Its other sides are in memory-board.ts and memory-cron.ts. The comments of
 * all methods are in BullMQ's `queue-backend.d.ts`.
 */

import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type {
  FinishedStatus,
  JobJson,
  KeepJobs,
  MinimalJob,
  MoveToDelayedOpts,
  RetryJobOpts,
  WorkerOptions,
} from 'bullmq';
import { jsonOf, type Keep, type MemoryStore, type StoredEntry, storedEntry } from './memory-store.ts';

/** `[entry, id, rate limit, next due time]`: what BullMQ calls the result of a fetch. */
type Fetched = [JobJson | null, string, number, number];

export type MemorySettings = Pick<
  Partial<WorkerOptions>,
  'lockDuration' | 'removeOnComplete' | 'removeOnFail'
>;

const LOCK_MS = 30_000;

export class MemoryBackend extends EventEmitter {
  readonly keys = {};
  readonly minimumBlockTimeout = 0.001;
  readonly maximumBlockTimeout = 3_600;
  closing: Promise<void> | undefined;
  readonly #name: string;
  readonly #store: MemoryStore;
  readonly #settings: MemorySettings;
  #interrupted = false;
  readonly #interrupt = new Set<() => void>();

  constructor(name: string, store: MemoryStore, settings: MemorySettings) {
    super();
    this.#name = name;
    this.#store = store;
    this.#settings = settings;
  }

  get qualifiedName(): string {
    return this.#name;
  }

  async waitUntilReady(): Promise<void> {}

  close(): Promise<void> {
    this.closing ??= this.disconnectBlocking();
    return this.closing;
  }

  disconnect(): Promise<void> {
    return this.close();
  }

  async setName(): Promise<void> {}

  toKey(type: string): string {
    return `${this.#name}:${type}`;
  }

  parseNodeKey(key: string) {
    const at = key.lastIndexOf(':');
    return { prefix: '', queueName: key.slice(0, at), id: key.slice(at + 1) };
  }

  clientName(suffix = ''): string {
    return `${this.#name}${suffix}`;
  }

  async addJob(job: JobJson, jobId: string | undefined): Promise<string> {
    const nowMs = Date.now();
    // Whoever names no id gets one, as from Redis.
    const id = jobId || randomUUID();
    this.#store.add(storedEntry(id, job, job.opts.delay ?? 0, nowMs));
    return id;
  }

  async addJobs(entries: { job: JobJson; jobId: string }[]): Promise<string[]> {
    return Promise.all(entries.map(({ job, jobId }) => this.addJob(job, jobId)));
  }

  async moveToActive(token: string): Promise<Fetched> {
    const entry = this.#store.take(token, this.#settings.lockDuration ?? LOCK_MS, Date.now());
    if (entry !== undefined) return [jsonOf(entry), entry.id, 0, 0];
    return [null, '', 0, this.#store.nextDueMs() ?? 0];
  }

  async moveToCompleted<T, R, N extends string>(
    job: MinimalJob<T, R, N>,
    returnValue: R,
    keep: boolean | number | KeepJobs | undefined,
    token: string,
    fetchNext: boolean,
  ) {
    const entry = this.#store.held(job.id ?? '', token, 'moveToFinished');
    entry.returnValue = JSON.stringify(returnValue) ?? 'null';
    return this.#finish(entry, 'completed', keep ?? this.#settings.removeOnComplete, token, fetchNext);
  }

  async moveToFailed<T, R, N extends string>(
    job: MinimalJob<T, R, N>,
    failedReason: string,
    keep: boolean | number | KeepJobs | undefined,
    token: string,
    fetchNext: boolean,
    fields?: Record<string, unknown>,
  ) {
    const entry = this.#store.held(job.id ?? '', token, 'moveToFinished');
    update(entry, { ...fields, failedReason });
    return this.#finish(entry, 'failed', keep ?? this.#settings.removeOnFail, token, fetchNext);
  }

  async moveToDelayed(
    id: string,
    _timestamp: number,
    delayMs: number,
    token = '',
    options: MoveToDelayedOpts = {},
  ) {
    const entry = this.#store.held(id, token, 'moveToDelayed');
    update(entry, options.fieldsToUpdate);
    if (options.skipAttempt !== true) entry.attemptsMade += 1;
    this.#store.delay(entry, delayMs, Date.now());
    if (options.fetchNext !== true) return [];
    const next = await this.moveToActive(token);
    return next[0] === null ? [] : next;
  }

  async retryJob(id: string, _lifo: boolean, token = '', options: RetryJobOpts = {}): Promise<void> {
    const entry = this.#store.held(id, token, 'retryJob');
    update(entry, options.fieldsToUpdate);
    entry.attemptsMade += 1;
    this.#store.wait(entry);
  }

  async moveJobFromActiveToWait(id: string, token = ''): Promise<number> {
    this.#store.wait(this.#store.held(id, token, 'moveJobFromActiveToWait'));
    return 0;
  }

  async moveStalledJobsToWait(): Promise<string[]> {
    return [...this.#store.unstall(Date.now())];
  }

  async extendLock(id: string, token: string, durationMs: number): Promise<number> {
    const entry = this.#store.entries.get(id);
    if (entry?.token !== token) return 0;
    entry.lockedUntilMs = Date.now() + durationMs;
    return 1;
  }

  async extendLocks(ids: string[], tokens: string[], durationMs: number): Promise<string[]> {
    const extended = await Promise.all(
      ids.map((id, index) => this.extendLock(id, tokens[index] ?? '', durationMs)),
    );
    return ids.filter((_, index) => extended[index] === 0);
  }

  async waitForJob(seconds: number): Promise<{ member: string; score: number } | null> {
    const store = this.#store;
    const now = { member: '', score: 0 };
    if (this.#interrupted || this.closing !== undefined) return null;
    if (store.ids('waiting').size > 0 && !store.meta.has('paused')) return now;
    const dueMs = (store.nextDueMs() ?? Number.POSITIVE_INFINITY) - Date.now();
    return new Promise((resolve) => {
      const end = (found: typeof now | null): void => {
        clearTimeout(timer);
        stopListening();
        this.#interrupt.delete(interrupt);
        resolve(found);
      };
      const interrupt = (): void => end(null);
      const timer = setTimeout(interrupt, Math.max(1, Math.min(seconds * 1_000, dueMs)));
      const stopListening = store.onWork(() => end(now));
      this.#interrupt.add(interrupt);
    });
  }

  async disconnectBlocking(): Promise<void> {
    this.#interrupted = true;
    for (const interrupt of [...this.#interrupt]) interrupt();
  }

  async reconnectBlocking(): Promise<void> {
    this.#interrupted = false;
  }

  async #finish(
    entry: StoredEntry,
    state: FinishedStatus,
    keep: boolean | number | KeepJobs | undefined,
    token: string,
    fetchNext: boolean,
  ) {
    const finishedOn = Date.now();
    this.#store.finish(entry, state, keepOf(keep), finishedOn);
    return { result: fetchNext ? await this.moveToActive(token) : undefined, finishedOn };
  }
}

function update(entry: StoredEntry, fields: Record<string, unknown> | undefined): void {
  if (typeof fields?.failedReason === 'string') entry.failedReason = fields.failedReason;
  if (typeof fields?.stacktrace === 'string') entry.stacktrace = fields.stacktrace;
}

function keepOf(keep: boolean | number | KeepJobs | undefined): Keep {
  if (keep === true) return { count: 0 };
  if (typeof keep === 'number') return { count: keep };
  if (keep === false || keep === undefined) return {};
  return {
    count: 'count' in keep ? keep.count : undefined,
    ageSeconds: 'age' in keep ? keep.age : undefined,
  };
}
