/** What is done about failed deliveries and about what they left behind. */

import assert from 'node:assert/strict';
import { type Contract, ended, failed, fault, file, known, only, sending, T0, take } from './kit.ts';

export function mendContract(contract: Contract): void {
  contract(
    'a person puts failed ones back, by number, by job or all, with fresh attempts',
    async ({ ledger }) => {
      const ids: number[] = [];
      for (const job of ['one', 'two', 'three']) {
        for (const name of ['a', 'b']) ids.push((await ended(ledger, file(name, { job }), failed())).id);
      }
      const there = await ended(ledger, file('there'));
      const [a, b, ...others] = ids;
      assert.ok(a && b);
      assert.deepEqual(ledger.retry({ job: 'unknown' }, T0), []);
      assert.deepEqual(ledger.retry({ ids: [there.id, 999_999] }, T0), []);
      const before = known(ledger, b);
      const retried = only(ledger.retry({ ids: [b, b] }, T0 + 90));
      assert.deepEqual(retried, {
        ...before,
        state: 'due',
        generation: before.generation + 1,
        attempts: 0,
        error: undefined,
        nextAtMs: T0 + 90,
        updatedAtMs: T0 + 90,
      });
      assert.deepEqual(ledger.retry({ job: 'two', ids: [a] }, T0), []);
      assert.deepEqual(idsOf(ledger.retry({ job: 'two' }, T0)), others.slice(0, 2));
      assert.deepEqual(idsOf(ledger.retry({}, T0)), [a, ...others.slice(2)]);
      assert.equal(ledger.attempts(b).length, 1, 'the record of attempts stays');
      assert.equal(take(ledger, { nowMs: T0 + 90 }).length, 6);
    },
  );

  contract('lists what may have left a temporary, until that is cleared', async ({ ledger }) => {
    const left = { state: 'superseded', fault: fault('changed'), leftover: true } as const;
    const a = await ended(ledger, file('a'), failed('permanent', true));
    const b = await ended(ledger, file('b'), left);
    const c = await ended(ledger, file('c', { endpoint: 'other' }), left);
    await ended(ledger, file('d'), failed('permanent', false));
    await ended(ledger, file('e'));
    await sending(ledger, file('f'));
    assert.deepEqual(idsOf(ledger.leftovers('server', 10)), [a.id, b.id]);
    assert.deepEqual(idsOf(ledger.leftovers('server', 1)), [a.id]);
    assert.deepEqual(idsOf(ledger.leftovers('other', 10)), [c.id]);
    ledger.cleared([a.id]);
    assert.deepEqual(idsOf(ledger.leftovers('server', 10)), [b.id]);
    ledger.cleared([]);
    assert.deepEqual(ledger.leftovers('unknown', 10), []);
  });
}

function idsOf(deliveries: readonly { readonly id: number }[]): readonly number[] {
  return deliveries.map(({ id }) => id).sort((x, y) => x - y);
}
