/** The side of BullMQ's contract that a dashboard uses: counts, lists, and what a person does to entries. */

import type { FinishedStatus, IQueueBackend, JobJson, JobState, JobType, MinimalJob } from 'bullmq';
import { type EntryState, jsonOf, type MemoryStore } from './memory-store.ts';

const STATES: Partial<Record<string, EntryState>> = {
  wait: 'waiting',
  waiting: 'waiting',
  active: 'active',
  delayed: 'delayed',
  completed: 'completed',
  failed: 'failed',
};

const LISTS: ReadonlySet<string> = new Set(['wait', 'waiting', 'active', 'paused']);

export function memoryBoard(store: MemoryStore) {
  /** Ids of a kind, oldest first. */
  const of = (type: string): string[] => {
    const paused = store.meta.has('paused');
    if (type === 'paused') return paused ? [...store.ids('waiting')] : [];
    const state = STATES[type];
    return state === undefined || (state === 'waiting' && paused) ? [] : [...store.ids(state)];
  };
  const promote = async (id: string): Promise<void> => store.wait(store.in(id, 'delayed', 'promote'));

  return {
    async pause(pause: boolean): Promise<void> {
      if (pause) store.meta.set('paused', '1');
      else store.meta.delete('paused');
      store.wake();
    },

    async drain(delayed: boolean): Promise<void> {
      store.clear(delayed ? ['waiting', 'delayed'] : ['waiting']);
    },

    async obliterate(): Promise<number> {
      store.clear(['waiting', 'delayed', 'active', 'completed', 'failed']);
      store.schedulers.clear();
      store.meta.clear();
      return 0;
    },

    async remove(id: string): Promise<number> {
      if (store.entries.get(id)?.state === 'active') return 0;
      return store.remove(id) ? 1 : 0;
    },

    promote,

    async promoteJobs(): Promise<number> {
      for (const id of [...store.ids('delayed')]) await promote(id);
      return 0;
    },

    async changeDelay(id: string, delayMs: number): Promise<void> {
      store.delay(store.in(id, 'delayed', 'changeDelay'), delayMs, Date.now());
    },

    async retryFinishedJob<T, R, N extends string>(
      job: MinimalJob<T, R, N>,
      state: 'failed' | 'completed',
    ): Promise<void> {
      store.wait(store.in(job.id ?? '', state, 'reprocessJob'));
    },

    async retryFinishedJobs(state: FinishedStatus = 'failed'): Promise<number> {
      for (const id of [...store.ids(state)]) store.wait(store.in(id, state, 'reprocessJob'));
      return 0;
    },

    async cleanJobsByState(type: string, timestamp: number, limit = 0): Promise<string[]> {
      const old = of(type).filter((id) => (store.entries.get(id)?.timestamp ?? 0) <= timestamp);
      const cleaned = limit > 0 ? old.slice(0, limit) : old;
      return cleaned.filter((id) => store.remove(id));
    },

    async removeOrphanedJobs(): Promise<number> {
      return 0;
    },

    async getState(id: string): Promise<JobState | 'unknown'> {
      return store.entries.get(id)?.state ?? 'unknown';
    },

    async isFinished(id: string, returnValue?: boolean): Promise<number | [number, string]> {
      const entry = store.entries.get(id);
      const status =
        entry === undefined ? -1 : entry.state === 'completed' ? 1 : entry.state === 'failed' ? 2 : 0;
      const value = status === 1 ? entry?.returnValue : entry?.failedReason;
      return returnValue === true ? [status, value ?? ''] : status;
    },

    async isMaxed(): Promise<boolean> {
      return false;
    },

    async isJobInState(state: string, id: string): Promise<boolean> {
      return of(state).includes(id);
    },

    async getJobData(id: string): Promise<JobJson | undefined> {
      const entry = store.entries.get(id);
      return entry && jsonOf(entry);
    },

    async getCounts(types: JobType[]): Promise<number[]> {
      return types.map((type) => of(type).length);
    },

    async getRanges(types: JobType[], start = 0, end = -1, asc = false): Promise<[string][]> {
      const ranges = types.map((type) => {
        const ids = asc ? of(type) : of(type).reverse();
        const range = ids.slice(start, end < 0 ? undefined : end + 1);
        // What is a list in Redis, BullMQ turns round itself (`QueueGetters.getRanges`).
        return asc && LISTS.has(type) ? range.reverse() : range;
      });
      // BullMQ's type says one id where it means a list.
      return ranges as unknown as [string][];
    },

    async getJobLogs(id: string, start: number, end: number, asc: boolean) {
      const logs = store.entries.get(id)?.logs ?? [];
      const ordered = asc ? logs : logs.toReversed();
      return { logs: ordered.slice(start, end < 0 ? undefined : end + 1), count: logs.length };
    },

    async getMetrics(): Promise<[string[], string[], number]> {
      return [['0', '0', '0'], [], 0];
    },

    async getClientList(): Promise<string[]> {
      return [''];
    },

    async getCountsPerPriority(priorities: number[]): Promise<number[]> {
      return priorities.map((priority) => (priority === 0 ? store.ids('waiting').size : 0));
    },

    async getRateLimitTtl(): Promise<number> {
      return -2;
    },

    async addLog(id: string, row: string): Promise<number> {
      const logs = store.entries.get(id)?.logs ?? [];
      return logs.push(row);
    },

    async clearLogs(id: string): Promise<void> {
      store.entries.get(id)?.logs.splice(0);
    },

    async updateData<T, R, N extends string>(job: MinimalJob<T, R, N>, data: T): Promise<void> {
      const entry = store.entries.get(job.id ?? '');
      if (entry !== undefined) entry.data = JSON.stringify(data);
    },

    async updateProgress(): Promise<void> {},

    async setQueueMeta(values: Record<string, string | number>): Promise<number> {
      for (const [name, value] of Object.entries(values)) store.meta.set(name, String(value));
      return Object.keys(values).length;
    },

    async getQueueMetaField(field: string): Promise<string | null> {
      return store.meta.get(field) ?? null;
    },

    async getQueueMetaFields(fields: string[]): Promise<(string | null)[]> {
      return fields.map((field) => store.meta.get(field) ?? null);
    },

    async getQueueMeta(): Promise<Record<string, string>> {
      return Object.fromEntries(store.meta);
    },

    async removeQueueMetaFields(fields: string[]): Promise<number> {
      return fields.filter((field) => store.meta.delete(field)).length;
    },

    async hasQueueMetaField(field: string): Promise<boolean> {
      return store.meta.has(field);
    },
  } satisfies Partial<IQueueBackend>;
}
