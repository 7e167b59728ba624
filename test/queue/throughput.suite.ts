/** How fast deliveries that cost nothing pass through a queue. The figures are printed; only what would be absurd fails. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { makeRig, type OnBackend } from './support.ts';

const FILES = 2_000;

export function throughputSuite({ kind, backend }: OnBackend): void {
  test(`${FILES} deliveries pass through`, async (t) => {
    const began = performance.now();
    await using rig = await makeRig({ backend: backend(), concurrency: 64, owed: FILES });
    const opened = performance.now();
    await until('all to be delivered', () => rig.files('delivered') === FILES, { timeoutMs: 60_000 });
    const ms = performance.now() - opened;
    t.diagnostic(
      `${kind}: opened in ${(opened - began).toFixed(0)} ms, ${((FILES / ms) * 1_000).toFixed(0)} a second`,
    );
    assert.equal(rig.ledger.open(['job']), 0);
    assert.deepEqual(rig.seen, []);
  });
}
