/** Another process with the same ledger open, which does what it is asked. This file is both: the asking side, and the program that it starts. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { within } from '../../support/until.ts';
import { arrived, openerIn, T0, TIMES, take } from './values.ts';

const PATIENCE_MS = 60_000;

export interface Peer extends AsyncDisposable {
  ask(what: string, ...about: readonly (string | number)[]): Promise<unknown>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  readonly ended: Promise<unknown>;
}

export async function startPeer(module: URL, folder: string): Promise<Peer> {
  const child = fork(fileURLToPath(import.meta.url), [module.href, folder], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  await within(PATIENCE_MS, 'the peer to start', once(child, 'message'));
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return {
    ask: (what, ...about) => within(PATIENCE_MS, what, answer(child, ended, what, about)),
    kill,
    ended,
    [Symbol.asyncDispose]: kill,
  };
}

async function answer(
  child: ChildProcess,
  ended: Promise<unknown>,
  what: string,
  about: readonly (string | number)[],
): Promise<unknown> {
  const answered = once(child, 'message');
  child.send({ what, about });
  const [reply] = await Promise.race([answered, ended.then(() => ['ended'])]);
  return reply;
}

function serve(ledger: Ledger): void {
  process.on('message', async (message) => {
    if (typeof message !== 'object' || message === null || !('what' in message) || !('about' in message))
      return;
    const { what, about } = message;
    const [first, second] = Array.isArray(about) ? about : [];
    process.send?.((await act(ledger, String(what), first, second)) ?? null);
  });
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}

async function act(ledger: Ledger, what: string, first: unknown, second: unknown): Promise<unknown> {
  switch (what) {
    case 'owner':
      return ledger.owner;
    case 'latest':
      return ledger.latest('invoices', 'server:/in', String(first))?.state;
    case 'take':
      return take(ledger, { limit: Number(first) }).map(({ id }) => id);
    case 'takeAll':
      return takeAll(ledger);
    case 'claimQueued':
      return Promise.all(
        ledger
          .queuedBefore('server', T0 + 1, 10)
          .map(async ({ id, generation }) => (await ledger.claim(id, generation, T0))?.id),
      );
    case 'claimAndSettleAll':
      return claimAndSettleAll(ledger);
    case 'checkpoint':
      return ledger.checkpoint(Number(first), String(second));
    case 'settleAndDie': {
      const delivery = ledger.get(Number(first));
      if (delivery !== undefined) await ledger.settle(delivery.id, arrived(delivery), TIMES);
      return process.kill(process.pid, 'SIGKILL');
    }
    case 'recover':
      return ledger.recover(Number(first));
    case 'pause':
      return ledger.pause(String(first), T0);
    default:
      throw new Error(`what is ${what}?`);
  }
}

function takeAll(ledger: Ledger): readonly number[] {
  const ids: number[] = [];
  for (;;) {
    const taken = take(ledger, { limit: 3 });
    if (taken.length === 0) return ids;
    ids.push(...taken.map(({ id }) => id));
  }
}

/** Tries all that is queued, by whomever, as if it stood in a queue that several work on. */
async function claimAndSettleAll(ledger: Ledger): Promise<readonly number[]> {
  const queued = [...ledger.history({ state: 'queued' })];
  const settled: Promise<void>[] = [];
  const ids: number[] = [];
  for (const delivery of queued) {
    const claimed = await ledger.claim(delivery.id, delivery.generation, T0);
    if (claimed === undefined) continue;
    ids.push(claimed.id);
    settled.push(ledger.settle(claimed.id, arrived(claimed), TIMES));
    if (ids.length % 20 === 0) await Promise.all(settled);
  }
  await Promise.all(settled);
  return ids;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , module, folder] = process.argv;
  if (module === undefined || folder === undefined) throw new Error('which ledger?');
  const open = await openerIn(module);
  serve(open(folder));
}
