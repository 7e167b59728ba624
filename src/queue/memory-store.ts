/**
 * One queue in the memory of this process: its entries, and the moves between their states that BullMQ's scripts make in
 * Redis (`commands/*.lua`). Each move is one synchronous call, hence atomic. What Ferry does not use of BullMQ is not
 * here: parents, priorities, rate limits, deduplication, event streams.
 */

import type { JobJson, JobsOptions } from 'bullmq';

export type EntryState = 'waiting' | 'active' | 'delayed' | 'completed' | 'failed';

export interface StoredEntry {
  readonly id: string;
  readonly name: string;
  readonly timestamp: number;
  readonly schedulerId: string | undefined;
  data: string;
  opts: JobsOptions;
  state: EntryState;
  delayMs: number;
  /** When a delayed one is due. */
  dueMs: number;
  attemptsMade: number;
  attemptsStarted: number;
  startedMs: number | undefined;
  finishedMs: number | undefined;
  failedReason: string | undefined;
  stacktrace: string;
  returnValue: string;
  token: string | undefined;
  lockedUntilMs: number;
  readonly logs: string[];
}

export interface Scheduler {
  readonly name: string;
  readonly pattern: string | undefined;
  readonly timezone: string | undefined;
  readonly template: string;
  nextMs: number;
  count: number;
}

export interface Keep {
  /** Most that are kept; undefined: no limit. */
  readonly count?: number | undefined;
  readonly ageSeconds?: number | undefined;
}

export class MemoryStore {
  readonly entries = new Map<string, StoredEntry>();
  readonly schedulers = new Map<string, Scheduler>();
  readonly meta = new Map<string, string>();
  /** Ids by state, oldest first; the delayed ones in no order. */
  readonly #ids: Readonly<Record<EntryState, Set<string>>> = {
    waiting: new Set(),
    active: new Set(),
    delayed: new Set(),
    completed: new Set(),
    failed: new Set(),
  };
  /** Called when there may be something to do. */
  readonly #wakers = new Set<() => void>();

  ids(state: EntryState): ReadonlySet<string> {
    return this.#ids[state];
  }

  /** Adds nothing when the id is taken. */
  add(entry: StoredEntry): void {
    if (this.entries.has(entry.id)) return;
    this.entries.set(entry.id, entry);
    this.#ids[entry.state].add(entry.id);
    this.wake();
  }

  remove(id: string): boolean {
    const entry = this.entries.get(id);
    if (entry === undefined) return false;
    this.#ids[entry.state].delete(id);
    this.entries.delete(id);
    return true;
  }

  clear(states: readonly EntryState[]): void {
    for (const state of states) for (const id of [...this.#ids[state]]) this.remove(id);
  }

  /** The next one, which is the worker's now. */
  take(token: string, lockMs: number, nowMs: number): StoredEntry | undefined {
    for (const id of this.#ids.delayed) {
      const entry = this.entries.get(id);
      if (entry !== undefined && entry.dueMs <= nowMs) this.#move(entry, 'waiting');
    }
    if (this.meta.has('paused')) return undefined;
    const [id] = this.#ids.waiting;
    const entry = id === undefined ? undefined : this.entries.get(id);
    if (entry === undefined) return undefined;
    this.#move(entry, 'active');
    entry.token = token;
    entry.lockedUntilMs = nowMs + lockMs;
    entry.startedMs = nowMs;
    entry.attemptsStarted += 1;
    return entry;
  }

  /** The entry that the worker holds. @throws Error in BullMQ's words */
  held(id: string, token: string, command: string): StoredEntry {
    const entry = this.in(id, 'active', command);
    if (entry.token !== token) throw refusal(-6, `Lock mismatch for job ${id}. Cmd ${command} from active`);
    return entry;
  }

  /** The entry, in that state. @throws Error in BullMQ's words */
  in(id: string, state: EntryState, command: string): StoredEntry {
    const entry = this.entries.get(id);
    if (entry === undefined) throw refusal(-1, `Missing key for job ${id}. ${command}`);
    if (entry.state !== state) throw refusal(-3, `Job ${id} is not in the ${state} state. ${command}`);
    return entry;
  }

  finish(entry: StoredEntry, state: 'completed' | 'failed', keep: Keep, nowMs: number): void {
    entry.attemptsMade += 1;
    entry.finishedMs = nowMs;
    this.#move(entry, state);
    const ids = this.#ids[state];
    for (const id of ids) {
      const finishedMs = this.entries.get(id)?.finishedMs ?? 0;
      const old = keep.ageSeconds !== undefined && finishedMs < nowMs - keep.ageSeconds * 1_000;
      if (!old && (keep.count === undefined || ids.size <= keep.count)) break;
      this.remove(id);
    }
  }

  delay(entry: StoredEntry, delayMs: number, nowMs: number): void {
    entry.delayMs = delayMs;
    entry.dueMs = nowMs + delayMs;
    this.#move(entry, 'delayed');
    this.wake();
  }

  wait(entry: StoredEntry): void {
    entry.delayMs = 0;
    this.#move(entry, 'waiting');
    this.wake();
  }

  /** Entries whose worker has not been heard of; they wait again. */
  unstall(nowMs: number): readonly string[] {
    const stalled = [...this.#ids.active].filter((id) => (this.entries.get(id)?.lockedUntilMs ?? 0) < nowMs);
    for (const id of stalled) {
      const entry = this.entries.get(id);
      if (entry !== undefined) this.wait(entry);
    }
    return stalled;
  }

  /** When the first delayed one is due. */
  nextDueMs(): number | undefined {
    let first: number | undefined;
    for (const id of this.#ids.delayed) {
      const dueMs = this.entries.get(id)?.dueMs;
      if (dueMs !== undefined && (first === undefined || dueMs < first)) first = dueMs;
    }
    return first;
  }

  /** Calls back when there may be something to do, until the returned function is called. */
  onWork(waker: () => void): () => void {
    this.#wakers.add(waker);
    return () => this.#wakers.delete(waker);
  }

  #move(entry: StoredEntry, state: EntryState): void {
    this.#ids[entry.state].delete(entry.id);
    entry.state = state;
    entry.token = undefined;
    this.#ids[state].add(entry.id);
  }

  /** There may be something to do. */
  wake(): void {
    for (const waker of [...this.#wakers]) waker();
  }
}

export function storedEntry(
  id: string,
  job: Pick<JobJson, 'name' | 'data' | 'opts' | 'timestamp'>,
  delayMs: number,
  nowMs: number,
  schedulerId?: string,
): StoredEntry {
  return {
    id,
    name: job.name,
    timestamp: job.timestamp,
    schedulerId,
    data: job.data,
    opts: job.opts,
    state: delayMs > 0 ? 'delayed' : 'waiting',
    delayMs,
    dueMs: nowMs + delayMs,
    attemptsMade: 0,
    attemptsStarted: 0,
    startedMs: undefined,
    finishedMs: undefined,
    failedReason: undefined,
    stacktrace: '[]',
    returnValue: 'null',
    token: undefined,
    lockedUntilMs: 0,
    logs: [],
  };
}

/** As BullMQ reads it (`Job.fromJSON`). */
export function jsonOf(entry: StoredEntry): JobJson {
  return {
    id: entry.id,
    name: entry.name,
    data: entry.data,
    opts: entry.opts,
    progress: 0,
    attemptsMade: entry.attemptsMade,
    attemptsStarted: entry.attemptsStarted,
    timestamp: entry.timestamp,
    delay: entry.delayMs,
    priority: 0,
    failedReason: entry.failedReason ?? '',
    stacktrace: entry.stacktrace,
    returnvalue: entry.returnValue,
    stalledCounter: 0,
    ...(entry.finishedMs === undefined ? {} : { finishedOn: entry.finishedMs }),
    ...(entry.startedMs === undefined ? {} : { processedOn: entry.startedMs }),
    ...(entry.schedulerId === undefined ? {} : { repeatJobKey: entry.schedulerId }),
  };
}

/** Numbered as in BullMQ's `ErrorCode`. */
function refusal(code: number, message: string): Error {
  return Object.assign(new Error(message), { code });
}
