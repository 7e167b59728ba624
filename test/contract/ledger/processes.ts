/** Several processes on one ledger: who has what, who died with it, and what survives a kill. */

import assert from 'node:assert/strict';
import { arrived, type Contract, claimAll, file, known, only, owe, sending, T0, TIMES, take } from './kit.ts';
import { startPeer } from './peer.ts';

const LATER = T0 + 60_000;

export function processContract(contract: Contract, module: URL): void {
  contract('leaves alone what living processes have', async ({ folder, ledger, another }) => {
    await using peer = await startPeer(module, folder);
    ledger.owe(
      ['a', 'b', 'c', 'd'].map((name) => file(name)),
      T0,
    );
    await peer.ask('take', 1);
    await peer.ask('claimQueued');
    await peer.ask('take', 1);
    await claimAll(ledger, take(ledger, { limit: 1 }));
    take(ledger, { limit: 1 });
    const looker = another();
    assert.equal(looker.recover(LATER), 0);
    // Looking must not have cost this process its own lock, as POSIX locks would have it.
    assert.equal(await peer.ask('recover', LATER), 0);
    looker[Symbol.dispose]();
    assert.equal(await peer.ask('recover', LATER), 0);
    const states = [...ledger.history({})].map(({ state }) => state);
    assert.deepEqual(states.sort(), ['queued', 'queued', 'sending', 'sending']);
  });

  contract(
    'puts back what a killed process had queued or was sending',
    async ({ folder, ledger, another }) => {
      await using peer = await startPeer(module, folder);
      const [a, b] = ['a', 'b'].map((name) => owe(ledger, file(name)));
      assert.ok(a && b);
      await peer.ask('take', 1);
      await peer.ask('claimQueued');
      await peer.ask('checkpoint', a.id, 'half of it');
      await peer.ask('take', 1);
      const [queued, atWork] = [known(ledger, b.id), known(ledger, a.id)];
      assert.deepEqual([queued.state, atWork.state], ['queued', 'sending']);
      await peer.kill();
      assert.equal(ledger.recover(LATER), 2);
      for (const before of [queued, atWork]) {
        assert.deepEqual(known(ledger, before.id), {
          ...before,
          state: 'due',
          generation: before.generation + 1,
          updatedAtMs: LATER,
        });
        assert.equal(
          await ledger.claim(before.id, before.generation, LATER),
          undefined,
          'its queue entry is void',
        );
      }
      assert.deepEqual(ledger.attempts(queued.id), []);
      assert.deepEqual(ledger.attempts(atWork.id), [
        {
          delivery: atWork.id,
          startedAtMs: atWork.updatedAtMs,
          endedAtMs: LATER,
          outcome: 'interrupted',
          counted: false,
          error: undefined,
        },
      ]);
      assert.equal(known(ledger, atWork.id).note, 'half of it');
      assert.equal(known(ledger, atWork.id).leftover, true);
      assert.equal(ledger.recover(LATER), 0);
      assert.equal(another().recover(LATER), 0);
      await claimAll(ledger, take(ledger, { nowMs: LATER }));
    },
  );

  contract('puts back what a process left behind that closed its ledger', ({ ledger, another }) => {
    const gone = another();
    const { id } = owe(gone, file('a'));
    take(gone);
    gone[Symbol.dispose]();
    assert.equal(known(ledger, id).state, 'queued');
    assert.equal(ledger.recover(LATER), 1);
    assert.equal(known(ledger, id).state, 'due');
  });

  contract('never puts back its own', async ({ ledger }) => {
    await sending(ledger, file('a'));
    assert.equal(ledger.recover(LATER), 0);
    owe(ledger, file('b'));
    take(ledger);
    assert.equal(ledger.recover(LATER), 0);
  });

  contract('what has resolved survives a kill in the next moment', async ({ folder, ledger }) => {
    for (let round = 0; round < 3; round += 1) {
      await using peer = await startPeer(module, folder);
      const { id } = owe(ledger, file(`${round}`));
      await peer.ask('take', 1);
      await peer.ask('claimQueued');
      await peer.ask('settleAndDie', id);
      await peer.ended;
      assert.equal(known(ledger, id).state, 'delivered');
      assert.equal(ledger.attempts(id).length, 1);
    }
  });

  contract('claims each delivery exactly once, however many race for it', async ({ folder, ledger }) => {
    ledger.owe(
      Array.from({ length: 600 }, (_, n) => file(`${n}`)),
      T0,
    );
    take(ledger);
    await using a = await startPeer(module, folder);
    await using b = await startPeer(module, folder);
    await using c = await startPeer(module, folder);
    const claimed = await Promise.all([a, b, c].map((peer) => peer.ask('claimAndSettleAll', ledger.owner)));
    const ids = claimed.flatMap(numbersOf);
    assert.equal(ids.length, 600);
    assert.equal(new Set(ids).size, 600);
    assert.equal([...ledger.history({ state: 'delivered' })].length, 600);
    assert.ok(ids.every((id) => ledger.attempts(id).length === 1));
  });

  contract('gives each due delivery to one of several that take', async ({ folder, ledger }) => {
    ledger.owe(
      Array.from({ length: 600 }, (_, n) => file(`${n}`)),
      T0,
    );
    await using a = await startPeer(module, folder);
    await using b = await startPeer(module, folder);
    await using c = await startPeer(module, folder);
    const taken = await Promise.all([a, b, c].map((peer) => peer.ask('takeAll')));
    const ids = taken.flatMap(numbersOf);
    assert.equal(ids.length, 600);
    assert.equal(new Set(ids).size, 600);
  });

  contract('several may open a new ledger in the same moment', async ({ folder, ledger }) => {
    const fresh = `${folder}/fresh/deep`;
    await using a = await startPeer(module, fresh);
    await using b = await startPeer(module, fresh);
    await using c = await startPeer(module, fresh);
    const owners = await Promise.all([a, b, c].map((peer) => peer.ask('owner')));
    assert.equal(new Set([...owners, ledger.owner]).size, 4);
  });

  contract('says when another process has written', async ({ folder, ledger }) => {
    await using peer = await startPeer(module, folder);
    const before = ledger.changes();
    await sending(ledger, file('a'));
    assert.equal(ledger.changes(), before, 'not by itself');
    await peer.ask('latest', 'a');
    assert.equal(ledger.changes(), before, 'not by reading');
    await peer.ask('pause', 'a');
    assert.notEqual(ledger.changes(), before);
    assert.equal(ledger.changes(), ledger.changes());
    assert.deepEqual(ledger.paused(), new Set(['a']));
  });

  contract('sees at once what another process has done', async ({ folder, ledger }) => {
    await using peer = await startPeer(module, folder);
    const claimed = await sending(ledger, file('a'));
    assert.equal(await peer.ask('latest', 'a'), 'sending');
    await ledger.settle(claimed.id, arrived(claimed), TIMES);
    assert.equal(await peer.ask('latest', 'a'), 'delivered');
    owe(ledger, file('b'));
    await peer.ask('take', 1);
    assert.equal(only([...ledger.history({ state: 'queued' })]).path, 'b');
  });
}

function numbersOf(value: unknown): readonly number[] {
  assert.ok(Array.isArray(value));
  return value.map(Number);
}
