/** BullMQ's own objects as every backend makes them. */

import type { BackendFactory, ConnectionOptions, Queue, RedisQueueBackend, Worker } from 'bullmq';
import type { Processor, WorkerSettings } from './backend.ts';

export interface Carrier {
  readonly bullmq: typeof import('bullmq');
  readonly connection: ConnectionOptions;
  readonly prefix: string;

  readonly factory: BackendFactory<RedisQueueBackend>;
}

const LOCK_MS = 30_000;
/** After an error that is not the connection's, BullMQ asks again. */
const RETRY_MS = 1_000;
/** BullMQ gives up entries that stall more often; here the ledger decides. */
const NEVER = 1_000_000;
/** Failed entries stay on the dashboard for a while. */
const KEEP_FAILED = { count: 200, age: 7 * 24 * 3600 };

/** An empty queue. Errors of its connection are the backend's to tell. */
export async function makeQueue<Data>(carrier: Carrier, name: string): Promise<Queue<Data>> {
  const { bullmq, connection, prefix, factory } = carrier;
  const queue = new bullmq.Queue<Data>(name, { connection, prefix }, factory);
  queue.on('error', () => undefined);
  await queue.obliterate({ force: true });
  return queue;
}

/** Does not run yet. */
export function makeWorker<Data>(
  carrier: Carrier,
  name: string,
  processor: Processor<Data>,
  { concurrency, backoff }: WorkerSettings,
): Worker<Data> {
  const { bullmq, connection, prefix, factory } = carrier;
  return new bullmq.Worker<Data>(
    name,
    processor,
    {
      connection,
      prefix,
      concurrency,
      autorun: false,
      lockDuration: LOCK_MS,
      maxStalledCount: NEVER,
      removeOnComplete: { count: 0 },
      removeOnFail: KEEP_FAILED,
      runRetryDelay: RETRY_MS,
      settings: { backoffStrategy: (_nth, _type, error) => (error === undefined ? -1 : backoff(error)) },
    },
    factory,
  );
}
