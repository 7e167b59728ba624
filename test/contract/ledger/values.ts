/** Deliveries, outcomes and moments for the ledger's tests, and the steps that bring a delivery to a state. */

import assert from 'node:assert/strict';
import type { Receipt } from '../../../src/endpoints/endpoint.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Delivery, NewDelivery, Outcome } from '../../../src/sync/delivery.ts';
import { Fault, type FaultKind } from '../../../src/sync/errors.ts';

/** Opens the ledger of a folder. */
export type Open = (folder: string) => Ledger;

/** Moments in the tests, ms. */
export const T0 = 1_700_000_000_000;
export const SHA = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';

/** The `open` of a module. */
export async function openerIn(module: string): Promise<Open> {
  const exported: unknown = await import(module);
  if (typeof exported !== 'object' || exported === null || !('open' in exported))
    throw new Error('no open()');
  const { open } = exported;
  if (typeof open !== 'function') throw new Error('open is not a function');
  return (folder) => open(folder);
}

export function file(path: string, changes: Partial<NewDelivery> = {}): NewDelivery {
  const endpoint = changes.endpoint ?? 'server';
  return {
    job: 'invoices',
    endpoint,
    destination: `${endpoint}:/in`,
    path,
    target: `/in/${path}`,
    version: version(1),
    ...changes,
  };
}

/** Versions that differ in all they have. */
export function version(n: number): NewDelivery['version'] {
  return { sizeBytes: 1000 + n, mtimeMs: T0 + n + 0.123, tag: `inode-${n}` };
}

export function only<T>(list: readonly T[]): T {
  assert.equal(list.length, 1);
  const [first] = list;
  if (first === undefined) throw new Error('a list of one without a first');
  return first;
}

export function owe(ledger: Ledger, delivery: NewDelivery, nowMs = T0): Delivery {
  return only(ledger.owe([delivery], nowMs));
}

export function take(
  ledger: Ledger,
  changes: Partial<Parameters<Ledger['take']>[0]> = {},
): readonly Delivery[] {
  return ledger.take({ endpoint: 'server', limit: 1000, nowMs: T0, ordered: [], ...changes });
}

export function pathsOf(deliveries: Iterable<Delivery>): readonly string[] {
  return [...deliveries].map((delivery) => delivery.path);
}

/** Claims all that were taken. */
export function claimAll(ledger: Ledger, taken: readonly Delivery[]): Promise<readonly Delivery[]> {
  return Promise.all(
    taken.map(async (delivery) => {
      const claimed = await ledger.claim(delivery.id, delivery.generation, T0);
      assert.ok(claimed, `${delivery.path} can be claimed`);
      return claimed;
    }),
  );
}

/** Owes one delivery and brings it to `sending`. */
export async function sending(ledger: Ledger, delivery: NewDelivery): Promise<Delivery> {
  const { id } = owe(ledger, delivery);
  const mine = take(ledger, { endpoint: delivery.endpoint }).filter((taken) => taken.id === id);
  return only(await claimAll(ledger, mine));
}

export const TIMES = { startedAtMs: T0 + 1, endedAtMs: T0 + 2 };

export function fault(kind: FaultKind, during?: 'connect'): Fault {
  return new Fault(kind, `${kind} happened`, {
    code: 'ECODE',
    advice: 'Do this.',
    ...(during === undefined ? {} : { during }),
  });
}

export function receipt(delivery: Pick<Delivery, 'target' | 'version'>): Receipt {
  return {
    remotePath: delivery.target,
    sizeBytes: delivery.version.sizeBytes,
    sha256: SHA,
    verified: 'size',
  };
}

export function arrived(delivery: Pick<Delivery, 'target' | 'version'>): Outcome {
  return { state: 'delivered', receipt: receipt(delivery) };
}

/** Owes one delivery and ends it. */
export async function ended(ledger: Ledger, delivery: NewDelivery, outcome?: Outcome): Promise<Delivery> {
  const claimed = await sending(ledger, delivery);
  await ledger.settle(claimed.id, outcome ?? arrived(claimed), TIMES);
  return known(ledger, claimed.id);
}

export function failed(kind: FaultKind = 'permanent', leftover = false): Outcome {
  return { state: 'failed', fault: fault(kind), leftover };
}

export function known(ledger: Ledger, id: number): Delivery {
  const delivery = ledger.get(id);
  assert.ok(delivery, `delivery ${id} is known`);
  return delivery;
}
