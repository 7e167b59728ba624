/**
 * BullMQ in the memory of this process: the queue for a machine on which nothing is installed. Nothing to start, and
 * forgotten when the process ends; a queue is as disposable as that anyway.
 *
 * BullMQ takes any datastore that keeps its contract (`BackendFactory`). What Ferry does not use of it (flows, priorities,
 * rate limits, deduplication, event streams) is not here.
 */

import type { BackendFactory, RedisQueueBackend } from 'bullmq';
import type { Backend } from './backend.ts';
import { MemoryBackend, type MemorySettings } from './memory-backend.ts';
import { memoryBoard } from './memory-board.ts';
import { memoryCron } from './memory-cron.ts';
import { MemoryStore } from './memory-store.ts';
import { type Carrier, makeQueue, makeWorker } from './objects.ts';

export async function openMemory(): Promise<Backend> {
  const stores = new Map<string, MemoryStore>();
  const factory = (name: string, settings: MemorySettings) => {
    const store = stores.get(name) ?? new MemoryStore();
    stores.set(name, store);
    return Object.assign(new MemoryBackend(name, store, settings), memoryBoard(store), memoryCron(store));
  };
  const carrier: Carrier = {
    bullmq: await import('bullmq'),
    connection: {},
    prefix: '',
    // BullMQ's types speak of Redis where any backend is meant.
    factory: factory as unknown as BackendFactory<RedisQueueBackend>,
  };
  const describe = 'a queue in the memory of this process';
  const close = async (): Promise<void> => stores.clear();
  return {
    kind: 'memory',
    describe,
    makeQueue: (name) => makeQueue(carrier, name),
    makeWorker: async (name, processor, settings) => makeWorker(carrier, name, processor, settings),
    health: () => ({ ok: true, message: describe }),
    onForgotten: () => () => undefined,
    close,
    [Symbol.asyncDispose]: close,
  };
}
