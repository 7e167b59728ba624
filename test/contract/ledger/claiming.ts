/** Claims, and the checkpoints of what is claimed. */

import assert from 'node:assert/strict';
import {
  arrived,
  type Contract,
  claimAll,
  ended,
  failed,
  fault,
  file,
  known,
  only,
  owe,
  sending,
  T0,
  TIMES,
  take,
} from './kit.ts';

export function claimContract(contract: Contract): void {
  contract('claims what is queued, once, and marks what it may leave behind', async ({ ledger }) => {
    owe(ledger, file('a'));
    const { id, generation } = only(take(ledger));
    assert.equal(await ledger.claim(id, generation + 1, T0), undefined, 'another generation');
    assert.equal(await ledger.claim(id, generation - 1, T0), undefined, 'another generation');
    assert.equal(await ledger.claim(id + 1, generation, T0), undefined, 'unknown');
    const claimed = await ledger.claim(id, generation, T0 + 4);
    assert.equal(claimed?.state, 'sending');
    assert.equal(claimed.leftover, true);
    assert.equal(claimed.updatedAtMs, T0 + 4);
    assert.deepEqual(known(ledger, id), claimed);
    assert.equal(await ledger.claim(id, generation, T0), undefined, 'sending already');
  });

  contract('claims nothing whose job or endpoint was paused a moment ago', async ({ ledger, another }) => {
    owe(ledger, file('a'));
    const { id, generation, job, endpoint } = only(take(ledger));
    for (const name of [job, endpoint]) {
      another().pause(name, T0);
      assert.equal(await ledger.claim(id, generation, T0), undefined, name);
      assert.equal(known(ledger, id).state, 'queued');
      another().resume(name);
    }
    another().pause('another', T0);
    assert.equal((await ledger.claim(id, generation, T0))?.state, 'sending');
  });

  contract('claims several of one turn together, each for itself', async ({ ledger }) => {
    ledger.owe([file('a'), file('b'), file('c')], T0);
    const taken = take(ledger, { limit: 3 });
    const [a, b, c] = taken;
    assert.ok(a && b && c);
    const claims = [
      ledger.claim(a.id, a.generation, T0 + 4),
      ledger.claim(a.id, a.generation, T0 + 4),
      ledger.claim(b.id, b.generation + 1, T0 + 4),
      ledger.claim(c.id, c.generation, T0 + 5),
    ];
    assert.equal(known(ledger, a.id).state, 'queued', 'not at once');
    const [first, again, stale, other] = await Promise.all(claims);
    assert.deepEqual([first?.id, again, stale, other?.id], [a.id, undefined, undefined, c.id]);
    assert.deepEqual([first, other], [known(ledger, a.id), known(ledger, c.id)]);
    assert.deepEqual([first?.state, known(ledger, b.id).state], ['sending', 'queued']);
  });

  contract('claims nothing that is not in a queue', async ({ ledger }) => {
    const due = owe(ledger, file('due', { endpoint: 'other' }));
    const delivered = await ended(ledger, file('delivered'));
    const failure = await ended(ledger, file('failed'), failed());
    for (const { id, generation } of [due, delivered, failure]) {
      assert.equal(await ledger.claim(id, generation, T0), undefined);
    }
  });

  contract('claims for itself what another has queued', async ({ ledger, another }) => {
    owe(ledger, file('a'));
    const { id, generation } = only(take(another()));
    const claimed = await ledger.claim(id, generation, T0);
    assert.ok(claimed);
    await ledger.settle(id, arrived(claimed), TIMES);
  });

  contract(
    'claims one at a time for each name at an endpoint, whichever job it is of',
    async ({ ledger }) => {
      const target = '/in/same';
      for (const job of ['one', 'two']) owe(ledger, file('a', { job, target }));
      owe(ledger, file('b', { target: '/in/other' }));
      owe(ledger, file('a', { endpoint: 'other', target }));
      const [one, two, three] = take(ledger);
      const elsewhere = only(take(ledger, { endpoint: 'other' }));
      assert.ok(one && two && three);
      await claimAll(ledger, [one]);
      assert.equal(await ledger.claim(two.id, two.generation, T0), undefined);
      await claimAll(ledger, [three, elsewhere]);
      await ledger.settle(one.id, arrived(one), TIMES);
      await claimAll(ledger, [two]);
    },
  );

  contract('keeps a checkpoint until the delivery has arrived', async ({ ledger, another }) => {
    const other = another();
    const { id } = await sending(ledger, file('a'));
    await ledger.checkpoint(id, 'upload 1');
    await ledger.checkpoint(id, 'upload 2');
    assert.equal(known(other, id).note, 'upload 2');
    await ledger.settle(id, { state: 'due', fault: fault('aborted'), counts: false, nextAtMs: T0 }, TIMES);
    const again = only(await claimAll(ledger, take(ledger)));
    assert.equal(again.note, 'upload 2');
    await ledger.settle(id, arrived(again), TIMES);
    assert.equal(known(ledger, id).note, undefined);
  });
}
