/** The side of BullMQ's contract that schedulers use: each has its next run among the delayed entries, and no more. */

import type { IQueueBackend, JobsOptions, RepeatableOptions } from 'bullmq';
import { type MemoryStore, storedEntry } from './memory-store.ts';

export function memoryCron(store: MemoryStore) {
  const schedule = (
    id: string,
    name: string,
    data: string,
    nextMs: number,
    opts: JobsOptions,
  ): [string, number] => {
    const nowMs = Date.now();
    const delayMs = Math.max(0, nextMs - nowMs);
    const jobId = runId(id, nextMs);
    const job = { name, data, opts: { ...opts, delay: delayMs, jobId }, timestamp: opts.timestamp ?? nowMs };
    store.add(storedEntry(jobId, job, delayMs, nowMs, id));
    return [jobId, delayMs];
  };

  const removeJobScheduler = async (id: string): Promise<number> => {
    const scheduler = store.schedulers.get(id);
    if (scheduler === undefined) return 1;
    const next = runId(id, scheduler.nextMs);
    if (store.entries.get(next)?.state !== 'active') store.remove(next);
    store.schedulers.delete(id);
    return 0;
  };

  const getJobSchedulerData = async (id: string): Promise<Record<string, string>> => {
    const scheduler = store.schedulers.get(id);
    if (scheduler === undefined) return {};
    const { name, pattern, timezone, template, count } = scheduler;
    return {
      name,
      ic: String(count),
      data: template,
      ...(pattern === undefined ? {} : { pattern }),
      ...(timezone === undefined ? {} : { tz: timezone }),
    };
  };

  return {
    async addJobScheduler(
      id: string,
      nextMs: number,
      template: string,
      _templateOptions: JobsOptions,
      { name = '', pattern, tz }: RepeatableOptions,
      jobOptions: JobsOptions,
    ): Promise<[string, number]> {
      await removeJobScheduler(id);
      store.schedulers.set(id, { name, pattern, timezone: tz, template, nextMs, count: 1 });
      return schedule(id, name, template, nextMs, jobOptions);
    },

    async updateJobSchedulerNextMillis(
      id: string,
      nextMs: number,
      _template: string,
      jobOptions: JobsOptions,
      producerId?: string,
    ): Promise<string | null> {
      const scheduler = store.schedulers.get(id);
      // Only the run that is the current one makes the next.
      if (scheduler === undefined || producerId !== runId(id, scheduler.nextMs)) return null;
      if (store.entries.has(runId(id, nextMs))) return null;
      scheduler.nextMs = nextMs;
      scheduler.count += 1;
      return schedule(id, scheduler.name, scheduler.template, nextMs, jobOptions)[0];
    },

    removeJobScheduler,

    async getJobScheduler(id: string): Promise<[string[] | null, string | null]> {
      const scheduler = store.schedulers.get(id);
      if (scheduler === undefined) return [null, null];
      return [Object.entries(await getJobSchedulerData(id)).flat(), String(scheduler.nextMs)];
    },

    async isJobScheduler(id: string): Promise<boolean> {
      return store.schedulers.has(id);
    },

    getJobSchedulerData,

    async getJobSchedulersRange(start: number, end: number, asc: boolean): Promise<string[]> {
      const sorted = [...store.schedulers].sort(([, a], [, b]) => (a.nextMs - b.nextMs) * (asc ? 1 : -1));
      return sorted
        .slice(start, end < 0 ? undefined : end + 1)
        .flatMap(([id, { nextMs }]) => [id, String(nextMs)]);
    },

    async getJobSchedulersCount(): Promise<number> {
      return store.schedulers.size;
    },
  } satisfies Partial<IQueueBackend>;
}

function runId(scheduler: string, dueMs: number): string {
  return `repeat:${scheduler}:${dueMs}`;
}
