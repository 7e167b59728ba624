/** What Ferry's queues and their entries are called in BullMQ and Redis. */

import type { Delivery } from '../sync/delivery.ts';
import { printable } from '../sync/names.ts';

/** The queue of cron triggers. No endpoint's queue can be called so. */
export const TRIGGERS = 'triggers';

const ENTRY_NAME_LENGTH = 200;

/** The queue of an endpoint: BullMQ refuses `:`, a URL of the dashboard `/`; what is special becomes `~` and its code. */
export function queueName(endpoint: string): string {
  const plain = endpoint.replace(
    /[^\p{L}\p{M}\p{N}._-]/gu,
    (char) => `~${char.codePointAt(0)?.toString(16)}`,
  );
  return `send-${plain}`;
}

/** One entry for each time that a delivery comes into the queue, so that adding it again changes nothing. */
export function entryId(delivery: Pick<Delivery, 'id' | 'generation'>): string {
  return `d${delivery.id}.${delivery.generation}`;
}

/** The reverse. */
export function entryOf(id: string): { readonly id: number; readonly generation: number } | undefined {
  const [, delivery, generation] = /^d(\d+)\.(\d+)$/.exec(id) ?? [];
  if (delivery === undefined || generation === undefined) return undefined;
  return { id: Number(delivery), generation: Number(generation) };
}

/** What a person reads on the dashboard. */
export function entryName(delivery: Pick<Delivery, 'job' | 'path'>): string {
  return `${delivery.job}: ${printable(delivery.path)}`.slice(0, ENTRY_NAME_LENGTH);
}

/**
 * The key prefix of a host's queues. The braces are a hash tag: all keys of one site live in one slot of a Redis Cluster.
 * @param run set for a `ferry run`, which keeps its queues apart from those of the worker beside it
 */
export function keyPrefix(site: string, run?: string): string {
  const base = `ferry:{${site.replace(/[{}:\s]/g, '_')}}`;
  return run === undefined ? base : `${base}:run:${run}`;
}
