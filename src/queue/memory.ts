/** BullMQ in the memory of this process: the queue for a machine on which nothing is installed. */

import type { BackendFactory, RedisQueueBackend } from 'bullmq';
import type { Backend } from './backend.ts';
import { MemoryBackend } from './memory-backend.ts';
import { MemoryStore } from './memory-store.ts';
import { type Carrier, makeQueue, makeWorker } from './objects.ts';

export async function openMemory(): Promise<Backend> {
  const stores = new Map<string, MemoryStore>();
  const storeOf = (name: string): MemoryStore => {
    const store = stores.get(name) ?? new MemoryStore();
    stores.set(name, store);
    return store;
  };
  const factory = (name: string, options: ConstructorParameters<typeof MemoryBackend>[2]) =>
    new MemoryBackend(name, storeOf(name), options);
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
