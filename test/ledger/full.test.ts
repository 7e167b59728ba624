/** A disk that is full: the caller is told, nothing is half-written, and once there is space it goes on. */

import assert from 'node:assert/strict';
import { stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Fault } from '../../src/sync/errors.ts';
import { arrived, claimAll, file, known, T0, TIMES, take } from '../contract/ledger/values.ts';
import { mountTmpfs } from '../support/tmpfs.ts';
import { open } from './open.ts';

const MIB = 1024 * 1024;
/** What is left free: less than any of the tests needs. */
const LITTLE = 4096;

test('a full disk is told with advice, leaves no half of anything, and is over when there is space', async () => {
  await using disk = await mountTmpfs(8 * MIB);
  using ledger = open(disk.path);
  const asked = Array.from({ length: 200 }, (_, n) => file(`${n}`));
  ledger.owe(asked, T0);
  const claimed = await claimAll(ledger, take(ledger));
  const ballast = join(disk.path, 'ballast');
  await fillUp(ballast);

  const more = Array.from({ length: 5000 }, (_, n) => file(`more ${n}`));
  assert.throws(() => ledger.owe(more, T0), isFull);
  assert.equal(ledger.open(['invoices']), 200);

  const settled = await Promise.allSettled(claimed.map((each) => ledger.settle(each.id, big(each), TIMES)));
  for (const [n, result] of settled.entries()) {
    const { id } = claimed[n] ?? { id: 0 };
    if (result.status === 'rejected') assert.ok(isFull(result.reason));
    assert.equal(known(ledger, id).state, result.status === 'rejected' ? 'sending' : 'delivered');
    assert.equal(ledger.attempts(id).length, result.status === 'rejected' ? 0 : 1);
  }
  assert.ok(settled.some(({ status }) => status === 'rejected'));

  await unlink(ballast);
  const rest = claimed.filter((_, n) => settled[n]?.status === 'rejected');
  await Promise.all(rest.map((each) => ledger.settle(each.id, arrived(each), TIMES)));
  assert.equal([...ledger.history({ state: 'delivered' })].length, 200);
  assert.equal(ledger.owe(more, T0).length, 5000);
});

test('a disk without space for a new ledger is told with advice', async () => {
  await using disk = await mountTmpfs(MIB);
  await fillUp(join(disk.path, 'ballast'));
  assert.throws(() => open(disk.path), isFull);
});

function isFull(error: unknown): boolean {
  assert.ok(error instanceof Fault, String(error));
  assert.equal(error.code, 'ENOSPC', error.message);
  assert.match(error.advice ?? '', /space/i);
  return true;
}

/** So large that all of them cannot fit into what little is left. */
function big(each: Parameters<typeof arrived>[0]) {
  const receipt = { remotePath: each.target, sizeBytes: 1, sha256: undefined, verified: 'size' } as const;
  return { state: 'delivered', receipt: { ...receipt, reference: 'r'.repeat(20_000) } } as const;
}

async function fillUp(path: string): Promise<void> {
  try {
    await writeFile(path, Buffer.alloc(16 * MIB));
  } catch {
    // Full now, which is the purpose.
    const { size } = await stat(path);
    await truncate(path, Math.max(0, size - LITTLE));
  }
}
