/**
 * BullMQ's contract of a datastore (`IQueueBackend`) on the memory of this process: nothing to install, nothing to start,
 * forgotten when the process ends. A queue here is as disposable as Ferry's queues are anyway.
 *
 * What Ferry does not use of BullMQ (flows, priorities, rate limits, deduplication, event streams) refuses with a message.
 */

import { EventEmitter } from 'node:events';
import type {
  FinishedStatus,
  IQueueBackend,
  JobJson,
  JobState,
  JobsOptions,
  JobType,
  KeepJobs,
  MinimalJob,
  MoveToDelayedOpts,
  RepeatableOptions,
  RetryJobOpts,
  WorkerOptions,
} from 'bullmq';
import {
  type EntryState,
  jsonOf,
  type Keep,
  type MemoryStore,
  type Refusal,
  type StoredEntry,
  storedEntry,
} from './memory-store.ts';

/** `[entry, id, rate limit, next due time]`: what BullMQ calls the result of a fetch. */
type Fetched = [JobJson | null, string, number, number];

type Settings = Pick<Partial<WorkerOptions>, 'lockDuration' | 'removeOnComplete' | 'removeOnFail'>;

const LOCK_MS = 30_000;
const STATES: Partial<Record<JobType, EntryState>> = {
  wait: 'waiting',
  waiting: 'waiting',
  active: 'active',
  delayed: 'delayed',
  completed: 'completed',
  failed: 'failed',
};

/** What Ferry does not use of BullMQ. */
type Unsupported =
  | 'addFlow'
  | 'forQueue'
  | 'moveToWaitingChildren'
  | 'changePriority'
  | 'removeUnprocessedChildren'
  | 'removeChildDependency'
  | 'removeDeduplicationKey'
  | 'deleteDeduplicationKey'
  | 'getDeduplicationJobId'
  | 'getDependencyCounts'
  | 'getDependencies'
  | 'getProcessedChildrenValues'
  | 'getIgnoredChildrenFailures'
  | 'paginate'
  | 'setRateLimit'
  | 'removeRateLimitKey'
  | 'removeDeprecatedPriorityKey'
  | 'trimEvents'
  | 'publishEvent'
  | 'readEvents';

type Supported = Omit<IQueueBackend, Unsupported | keyof EventEmitter>;

/** Everything below is called by BullMQ; its comments are in BullMQ's `queue-backend.d.ts`. */
export class MemoryBackend extends EventEmitter implements Supported {
  readonly keys = {};
  readonly minimumBlockTimeout = 0.001;
  readonly maximumBlockTimeout = 3_600;
  closing: Promise<void> | undefined;
  readonly #name: string;
  readonly #store: MemoryStore;
  readonly #settings: Settings;
  #interrupted = false;
  readonly #interrupt = new Set<() => void>();

  constructor(name: string, store: MemoryStore, settings: Settings) {
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

  // Entries in

  async addJob(job: JobJson, jobId: string): Promise<string> {
    const nowMs = Date.now();
    this.#store.add(storedEntry(jobId, job, job.opts.delay ?? 0, nowMs));
    return jobId;
  }

  async addJobs(entries: { job: JobJson; jobId: string }[]): Promise<string[]> {
    return Promise.all(entries.map(({ job, jobId }) => this.addJob(job, jobId)));
  }

  // A worker's moves

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
    const entry = this.#held(job.id, token, 'moveToFinished');
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
    const entry = this.#held(job.id, token, 'moveToFinished');
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
    const entry = this.#held(id, token, 'moveToDelayed');
    update(entry, options.fieldsToUpdate);
    if (options.skipAttempt !== true) entry.attemptsMade += 1;
    this.#store.delay(entry, delayMs, Date.now());
    if (options.fetchNext !== true) return [];
    const next = await this.moveToActive(token);
    return next[0] === null ? [] : next;
  }

  async retryJob(id: string, _lifo: boolean, token = '', options: RetryJobOpts = {}): Promise<void> {
    const entry = this.#held(id, token, 'retryJob');
    update(entry, options.fieldsToUpdate);
    entry.attemptsMade += 1;
    this.#store.wait(entry);
  }

  async moveJobFromActiveToWait(id: string, token = ''): Promise<number> {
    this.#store.wait(this.#held(id, token, 'moveJobFromActiveToWait'));
    return 0;
  }

  async moveStalledJobsToWait(): Promise<string[]> {
    return [...this.#store.unstall(Date.now())];
  }

  async extendLock(id: string, token: string, durationMs: number): Promise<number> {
    const entry = this.#store.held(id, token);
    if (typeof entry === 'number') return 0;
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

  // A person's moves, on the dashboard

  async pause(pause: boolean): Promise<void> {
    if (pause) this.#store.meta.set('paused', '1');
    else this.#store.meta.delete('paused');
    this.#store.wake();
  }

  async drain(delayed: boolean): Promise<void> {
    this.#store.clear(delayed ? ['waiting', 'delayed'] : ['waiting']);
  }

  async obliterate(): Promise<number> {
    this.#store.clear(['waiting', 'delayed', 'active', 'completed', 'failed']);
    this.#store.schedulers.clear();
    this.#store.meta.clear();
    return 0;
  }

  async remove(id: string): Promise<number> {
    if (this.#store.entries.get(id)?.state === 'active') return 0;
    return this.#store.remove(id) ? 1 : 0;
  }

  async promote(id: string): Promise<void> {
    this.#store.wait(this.#in(id, 'delayed', 'promote'));
  }

  async promoteJobs(): Promise<number> {
    for (const id of [...this.#store.ids('delayed')]) await this.promote(id);
    return 0;
  }

  async changeDelay(id: string, delayMs: number): Promise<void> {
    this.#store.delay(this.#in(id, 'delayed', 'changeDelay'), delayMs, Date.now());
  }

  async retryFinishedJob<T, R, N extends string>(
    job: MinimalJob<T, R, N>,
    state: 'failed' | 'completed',
  ): Promise<void> {
    this.#store.wait(this.#in(job.id ?? '', state, 'reprocessJob'));
  }

  async retryFinishedJobs(state: FinishedStatus = 'failed'): Promise<number> {
    for (const id of [...this.#store.ids(state)]) this.#store.wait(this.#in(id, state, 'reprocessJob'));
    return 0;
  }

  async cleanJobsByState(type: string, timestamp: number, limit = 0): Promise<string[]> {
    const old = this.#of(type).filter((id) => (this.#store.entries.get(id)?.timestamp ?? 0) <= timestamp);
    const cleaned = limit > 0 ? old.slice(0, limit) : old;
    return cleaned.filter((id) => this.#store.remove(id));
  }

  async removeOrphanedJobs(): Promise<number> {
    return 0;
  }

  // Questions

  async getState(id: string): Promise<JobState | 'unknown'> {
    return this.#store.entries.get(id)?.state ?? 'unknown';
  }

  async isFinished(id: string, returnValue?: boolean): Promise<number | [number, string]> {
    const entry = this.#store.entries.get(id);
    const status =
      entry === undefined ? -1 : entry.state === 'completed' ? 1 : entry.state === 'failed' ? 2 : 0;
    const value = status === 1 ? entry?.returnValue : entry?.failedReason;
    return returnValue === true ? [status, value ?? ''] : status;
  }

  async isMaxed(): Promise<boolean> {
    return false;
  }

  async isJobInState(state: string, id: string): Promise<boolean> {
    return this.#of(state).includes(id);
  }

  async getJobData(id: string): Promise<JobJson | undefined> {
    const entry = this.#store.entries.get(id);
    return entry && jsonOf(entry);
  }

  async getCounts(types: JobType[]): Promise<number[]> {
    return types.map((type) => this.#of(type).length);
  }

  async getRanges(types: JobType[], start = 0, end = -1, asc = false): Promise<[string][]> {
    const ranges = types.map((type) => {
      const ids = asc ? this.#of(type) : this.#of(type).reverse();
      return ids.slice(start, end < 0 ? undefined : end + 1);
    });
    // BullMQ's type says one id where it means a list.
    return ranges as unknown as [string][];
  }

  async getJobLogs(id: string, start: number, end: number, asc: boolean) {
    const logs = this.#store.entries.get(id)?.logs ?? [];
    const ordered = asc ? logs : logs.toReversed();
    return { logs: ordered.slice(start, end < 0 ? undefined : end + 1), count: logs.length };
  }

  async getMetrics(): Promise<[string[], string[], number]> {
    return [['0', '0', '0'], [], 0];
  }

  async getClientList(): Promise<string[]> {
    return [''];
  }

  async getCountsPerPriority(priorities: number[]): Promise<number[]> {
    return priorities.map((priority) => (priority === 0 ? this.#store.ids('waiting').size : 0));
  }

  async getRateLimitTtl(): Promise<number> {
    return -2;
  }

  // What is kept with an entry or a queue

  async addLog(id: string, row: string): Promise<number> {
    const logs = this.#store.entries.get(id)?.logs ?? [];
    return logs.push(row);
  }

  async clearLogs(id: string): Promise<void> {
    this.#store.entries.get(id)?.logs.splice(0);
  }

  async updateData<T, R, N extends string>(job: MinimalJob<T, R, N>, data: T): Promise<void> {
    const entry = this.#store.entries.get(job.id ?? '');
    if (entry !== undefined) entry.data = JSON.stringify(data);
  }

  async updateProgress(): Promise<void> {}

  async setQueueMeta(values: Record<string, string | number>): Promise<number> {
    for (const [name, value] of Object.entries(values)) this.#store.meta.set(name, String(value));
    return Object.keys(values).length;
  }

  async getQueueMetaField(field: string): Promise<string | null> {
    return this.#store.meta.get(field) ?? null;
  }

  async getQueueMetaFields(fields: string[]): Promise<(string | null)[]> {
    return fields.map((field) => this.#store.meta.get(field) ?? null);
  }

  async getQueueMeta(): Promise<Record<string, string>> {
    return Object.fromEntries(this.#store.meta);
  }

  async removeQueueMetaFields(fields: string[]): Promise<number> {
    return fields.filter((field) => this.#store.meta.delete(field)).length;
  }

  async hasQueueMetaField(field: string): Promise<boolean> {
    return this.#store.meta.has(field);
  }

  // Cron triggers

  async addJobScheduler(
    id: string,
    nextMs: number,
    template: string,
    _templateOptions: JobsOptions,
    { name = '', pattern, tz }: RepeatableOptions,
    jobOptions: JobsOptions,
  ): Promise<[string, number]> {
    await this.removeJobScheduler(id);
    this.#store.schedulers.set(id, { name, pattern, timezone: tz, template, nextMs, count: 1 });
    return this.#schedule(id, name, template, nextMs, jobOptions);
  }

  async updateJobSchedulerNextMillis(
    id: string,
    nextMs: number,
    _template: string,
    jobOptions: JobsOptions,
    producerId?: string,
  ): Promise<string | null> {
    const scheduler = this.#store.schedulers.get(id);
    // Only the run that is the current one makes the next.
    if (scheduler === undefined || producerId !== runId(id, scheduler.nextMs)) return null;
    if (this.#store.entries.has(runId(id, nextMs))) return null;
    scheduler.nextMs = nextMs;
    scheduler.count += 1;
    return this.#schedule(id, scheduler.name, scheduler.template, nextMs, jobOptions)[0];
  }

  async removeJobScheduler(id: string): Promise<number> {
    const scheduler = this.#store.schedulers.get(id);
    if (scheduler === undefined) return 1;
    const next = runId(id, scheduler.nextMs);
    if (this.#store.entries.get(next)?.state !== 'active') this.#store.remove(next);
    this.#store.schedulers.delete(id);
    return 0;
  }

  async getJobScheduler(id: string): Promise<[string[] | null, string | null]> {
    const scheduler = this.#store.schedulers.get(id);
    if (scheduler === undefined) return [null, null];
    return [Object.entries(await this.getJobSchedulerData(id)).flat(), String(scheduler.nextMs)];
  }

  async isJobScheduler(id: string): Promise<boolean> {
    return this.#store.schedulers.has(id);
  }

  async getJobSchedulerData(id: string): Promise<Record<string, string>> {
    const scheduler = this.#store.schedulers.get(id);
    if (scheduler === undefined) return {};
    const { name, pattern, timezone, template, count } = scheduler;
    return {
      name,
      ic: String(count),
      data: template,
      ...(pattern === undefined ? {} : { pattern }),
      ...(timezone === undefined ? {} : { tz: timezone }),
    };
  }

  async getJobSchedulersRange(start: number, end: number, asc: boolean): Promise<string[]> {
    const sorted = [...this.#store.schedulers].sort(([, a], [, b]) => (a.nextMs - b.nextMs) * (asc ? 1 : -1));
    return sorted
      .slice(start, end < 0 ? undefined : end + 1)
      .flatMap(([id, { nextMs }]) => [id, String(nextMs)]);
  }

  async getJobSchedulersCount(): Promise<number> {
    return this.#store.schedulers.size;
  }

  #schedule(id: string, name: string, data: string, nextMs: number, opts: JobsOptions): [string, number] {
    const nowMs = Date.now();
    const delayMs = Math.max(0, nextMs - nowMs);
    const jobId = runId(id, nextMs);
    const job = { name, data, opts: { ...opts, delay: delayMs, jobId }, timestamp: opts.timestamp ?? nowMs };
    this.#store.add(storedEntry(jobId, job, delayMs, nowMs, id));
    return [jobId, delayMs];
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

  #held(id: string | undefined, token: string, command: string): StoredEntry {
    const entry = this.#store.held(id ?? '', token);
    if (typeof entry === 'number') throw refusal(entry, id ?? '', command);
    return entry;
  }

  #in(id: string, state: EntryState, command: string): StoredEntry {
    const entry = this.#store.entries.get(id);
    if (entry === undefined) throw refusal(-1, id, command);
    if (entry.state !== state) throw refusal(-3, id, command);
    return entry;
  }

  #of(type: string): string[] {
    const paused = this.#store.meta.has('paused');
    if (type === 'paused') return paused ? [...this.#store.ids('waiting')] : [];
    if ((type === 'wait' || type === 'waiting') && paused) return [];
    const state = STATES[type as JobType];
    return state === undefined ? [] : [...this.#store.ids(state)];
  }
}

function runId(scheduler: string, dueMs: number): string {
  return `repeat:${scheduler}:${dueMs}`;
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

/** In BullMQ's words (`finishedErrors`). */
function refusal(code: Refusal, id: string, command: string): Error {
  const said = {
    [-1]: `Missing key for job ${id}. ${command}`,
    [-3]: `Job ${id} is not in the active state. ${command}`,
    [-6]: `Lock mismatch for job ${id}. Cmd ${command} from active`,
  };
  return Object.assign(new Error(said[code]), { code });
}
