/**
 * A live SSH connection: whether it still lives, and the promise of every answer that is owed on it.
 *
 * ssh2 may never call back when a connection dies; here everything that waits is settled when the link breaks.
 * It breaks when the socket does, when nothing at all was heard for `timeoutMs` (SSH keep-alives make a living
 * peer heard), or when requests stay unanswered for five times as long although the peer lives.
 */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'ssh2';
import { Fault } from '../../sync/errors.ts';
import { lostFault, silentFault } from './faults.ts';

export interface LinkOptions {
  readonly name: string;
  readonly client: Client;
  readonly sock: Duplex;
  readonly timeoutMs: number;
}

/** Calls back once with an error or a value, as ssh2 does. */
export type Done<T> = (error: Error | null | undefined, value: T) => void;

const CLOSE_MS = 1_000;
/** Looks within `timeoutMs`. */
const LOOKS = 8;
/** Answers may take so many times longer than signs of life. */
const PATIENCE = 5;

export class Link {
  readonly name: string;
  readonly client: Client;
  readonly sock: Duplex;
  broken: Fault | undefined;
  readonly #timeoutMs: number;
  readonly #owed = new Set<(fault: Fault) => void>();
  readonly #onBroken = new Set<() => void>();
  readonly #watch: NodeJS.Timeout;
  #heard = true;
  #unsent = 0;
  #lifeAtMs = performance.now();
  #answered = true;
  /** Looks in a row that saw no sign of life, or no answer. A loop that was blocked looks once, not many times. */
  #silentLooks = 0;
  #unansweredLooks = 0;
  #corked = false;
  /** Set while it is closed on purpose. */
  #closing: Fault | undefined;

  constructor(options: LinkOptions) {
    const { name, client, sock, timeoutMs } = options;
    this.name = name;
    this.client = client;
    this.sock = sock;
    this.#timeoutMs = timeoutMs;
    this.#watch = setInterval(() => this.#look(), timeoutMs / LOOKS);
    this.#watch.unref();
    sock.on('data', () => {
      this.#heard = true;
    });
    const lost = (error: unknown): void => this.break(lostFault(name, error));
    client.on('error', lost);
    client.on('end', () => lost(new Error('the server closed it')));
    client.on('close', () => lost(new Error('the server closed it')));
  }

  /** Sends a request and waits for its answer, or for the end of the link. */
  ask<T>(send: (done: Done<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.broken !== undefined) return reject(this.broken);
      if (this.#owed.size === 0) this.#answered = true;
      this.#owed.add(reject);
      this.#cork();
      const done: Done<T> = (error, value) => {
        if (!this.#owed.delete(reject)) return;
        this.#answered = true;
        if (error) reject(error);
        else resolve(value);
      };
      try {
        send(done);
      } catch (error) {
        this.#owed.delete(reject);
        reject(error);
      }
    });
  }

  /** Ends it at once: everything owed is refused with the fault, and nothing that was not sent yet will be. */
  break(fault: Fault): void {
    if (this.broken !== undefined) return;
    this.broken = this.#closing ?? fault;
    clearInterval(this.#watch);
    // A reset, so that the system does not deliver requests of this attempt while the next one is at work.
    if (this.sock instanceof Socket && !this.sock.destroyed) this.sock.resetAndDestroy();
    else this.sock.destroy();
    for (const refuse of this.#owed) refuse(this.broken);
    this.#owed.clear();
    for (const tell of this.#onBroken) tell();
    this.#onBroken.clear();
  }

  /** Called when the link breaks; at once when it has. Returns how to take that back. */
  onBroken(tell: () => void): () => void {
    if (this.broken !== undefined) {
      tell();
      return () => undefined;
    }
    this.#onBroken.add(tell);
    return () => void this.#onBroken.delete(tell);
  }

  /** Says goodbye and closes. */
  async close(): Promise<void> {
    if (this.broken !== undefined) return;
    this.#closing = new Fault('aborted', `the session to ${this.name} was closed`);
    const gone = new Promise<void>((resolve) => this.sock.once('close', resolve));
    this.client.end();
    await Promise.race([gone, sleep(CLOSE_MS, undefined, { ref: false })]);
    this.break(this.#closing);
  }

  /** When something was heard last, or bytes left for the network (on the clock of `performance.now`). */
  lifeAtMs(): number {
    const unsent = this.sock.writableLength;
    if (this.#heard || unsent < this.#unsent) {
      this.#lifeAtMs = performance.now();
      this.#silentLooks = 0;
    }
    this.#heard = false;
    this.#unsent = unsent;
    return this.#lifeAtMs;
  }

  /** Requests without an answer. */
  get owed(): number {
    return this.#owed.size;
  }

  #look(): void {
    this.#silentLooks += 1;
    this.lifeAtMs();
    const waiting = this.#owed.size > 0 && !this.#answered;
    this.#unansweredLooks = waiting ? this.#unansweredLooks + 1 : 0;
    this.#answered = false;
    if (this.#silentLooks > LOOKS) this.break(silentFault(this.name, this.#timeoutMs, this.#owed.size));
    else if (this.#unansweredLooks > LOOKS * PATIENCE) {
      this.break(silentFault(this.name, this.#timeoutMs * PATIENCE, this.#owed.size));
    }
  }

  /** Requests of one turn of the event loop leave in one write. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.sock.cork();
    setImmediate(() => {
      this.#corked = false;
      this.sock.uncork();
    });
  }
}
