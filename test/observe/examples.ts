/** Deliveries, faults and receipts to tell of. */

import type { Receipt } from '../../src/endpoints/endpoint.ts';
import type { Delivery } from '../../src/sync/delivery.ts';

export function delivery(id: number, changes: Partial<Delivery> = {}): Delivery {
  const path = changes.path ?? `file-${id}.csv`;
  return {
    id,
    job: 'invoices',
    endpoint: 'app-server',
    destination: 'app-server:/srv/inbox',
    path,
    target: `/srv/inbox/${path}`,
    version: { sizeBytes: 1024, mtimeMs: 0, tag: '' },
    state: 'sending',
    generation: 0,
    attempts: 0,
    cuts: 0,
    nextAtMs: 0,
    note: undefined,
    leftover: false,
    remotePath: undefined,
    sha256: undefined,
    verified: undefined,
    reference: undefined,
    error: undefined,
    createdAtMs: 0,
    updatedAtMs: 0,
    deliveredAtMs: undefined,
    ...changes,
  };
}

export function receiptOf({ target, version }: Delivery, changes: Partial<Receipt> = {}): Receipt {
  return {
    remotePath: target,
    sizeBytes: version.sizeBytes,
    sha256: 'ab'.repeat(32),
    verified: 'size',
    ...changes,
  };
}
