/**
 * `ferry check --idle`: after how long without traffic something on the way drops a connection. Connections sit idle
 * side by side, with keep-alives off, each for longer than the one before; the first that is dropped ends it. Load
 * balancers forget in silence and answer what comes later with RST, or never; others close.
 */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'ssh2';
import { throwIfAborted } from '../../sync/errors.ts';

/** Idle times that tell the usual limits apart: CLB 60 s, firewalls 300 s, NLB 350 s and up to 6000 s. */
const SECONDS: readonly number[] = [15, 30, 55, 65, 120, 180, 290, 340, 360, 600, 900, 1_800, 3_600, 6_000];
/** Where fewer of these fit, the time is divided evenly. */
const LEAST_TIMES = 5;
/** What a server says so soon belongs to the login. */
const SETTLED_MS = 1_000;
/** Who does not answer after so long does not any more. */
const ANSWER_MS = 10_000;

export interface Bare {
  readonly client: Client;
  readonly sock: Duplex;
}

export interface Idle {
  /** Longest that a connection sat idle and was still there; 0: none was. */
  readonly survivedMs: number;
  /** Shortest that one sat idle and was dropped. */
  readonly droppedMs?: number;
  readonly how?: 'closed' | 'reset' | 'silent';
  /** The server itself sent something meanwhile, so that no connection was idle all the time. */
  readonly heard: boolean;
}

export interface Measure {
  readonly upToMs: number;
  readonly signal: AbortSignal;
  /** Opens a connection that sends no keep-alives of any kind. */
  open(): Promise<Bare>;
  /** Told when all connections are open, and each time that one was still there. */
  underway(connections: number, survivedMs: number): void;
}

/** @throws Fault when not even one connection can be opened, or `aborted` */
export async function measureIdle(measure: Measure): Promise<Idle> {
  const { signal } = measure;
  const sitting: Sitting[] = [];
  try {
    // The longest first: a server that takes no more connections costs the short times, of which others tell enough.
    for (const idleMs of timesUpTo(measure.upToMs).toReversed()) {
      throwIfAborted(signal);
      const opened = await measure.open().catch((error: unknown) => {
        if (sitting.length === 0 || signal.aborted) throw error;
        return undefined;
      });
      if (opened === undefined) break;
      sitting.unshift(new Sitting(opened, idleMs));
    }
    measure.underway(sitting.length, 0);
    let survivedMs = 0;
    let heard = false;
    for (const one of sitting) {
      const end = await one.end(signal);
      throwIfAborted(signal);
      heard ||= one.heard;
      if (end.how !== 'there') return { survivedMs, droppedMs: end.afterMs, how: end.how, heard };
      survivedMs = one.idleMs;
      measure.underway(sitting.length, survivedMs);
    }
    return { survivedMs, heard };
  } finally {
    for (const one of sitting) one.destroy();
  }
}

/** Growing, the last one the whole time. */
function timesUpTo(upToMs: number): readonly number[] {
  const usual = SECONDS.map((seconds) => seconds * 1_000).filter((ms) => ms < upToMs);
  if (usual.length >= LEAST_TIMES) return [...usual, upToMs];
  return Array.from({ length: LEAST_TIMES }, (_, n) => (upToMs * (n + 1)) / LEAST_TIMES);
}

type End =
  | { readonly how: 'there' }
  | { readonly how: 'closed' | 'reset' | 'silent'; readonly afterMs: number };

/** One connection that sits idle. */
class Sitting {
  readonly idleMs: number;
  heard = false;
  readonly #bare: Bare;
  readonly #sinceMs = performance.now();
  readonly #closed: Promise<number>;

  constructor(bare: Bare, idleMs: number) {
    this.#bare = bare;
    this.idleMs = idleMs;
    const { sock, client } = bare;
    if (sock instanceof Socket) sock.setKeepAlive(false);
    client.on('error', () => undefined);
    sock.on('data', () => {
      this.heard ||= performance.now() - this.#sinceMs > SETTLED_MS;
    });
    this.#closed = new Promise((resolve) => {
      const tell = (): void => resolve(performance.now() - this.#sinceMs);
      sock.once('end', tell).once('close', tell);
    });
  }

  /** Sits until its time has come, then asks whether anybody is there. */
  async end(signal: AbortSignal): Promise<End> {
    const leftMs = this.idleMs - (performance.now() - this.#sinceMs);
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const time = sleep(Math.max(0, leftMs), 'over' as const, { signal: either }).catch(() => 'over' as const);
    const closed = await Promise.race([this.#closed, time]);
    stop.abort();
    if (closed !== 'over') return { how: 'closed', afterMs: closed };
    return await this.#ask(signal);
  }

  async #ask(signal: AbortSignal): Promise<End> {
    const heardBefore = this.heard;
    const stop = new AbortController();
    const answered = new Promise<'there' | 'reset'>((resolve) => {
      try {
        this.#bare.client.unforwardIn('127.0.0.1', 1, (error?: Error | null) => {
          // Refused (nothing is forwarded), which is an answer; any other error is the connection's.
          const isAnswer = error === undefined || error === null || /^Unable to unbind/.test(error.message);
          resolve(isAnswer ? 'there' : 'reset');
        });
      } catch {
        resolve('reset');
      }
    });
    const silence = sleep(ANSWER_MS, 'silent' as const, {
      signal: AbortSignal.any([signal, stop.signal]),
    }).catch(() => 'silent' as const);
    const reset = this.#closed.then(() => 'reset' as const);
    const how = await Promise.race([reset, answered, silence]);
    stop.abort();
    this.heard = heardBefore;
    return how === 'there' ? { how } : { how, afterMs: this.idleMs };
  }

  destroy(): void {
    this.#bare.client.destroy();
    this.#bare.sock.destroy();
  }
}
