/** Errors that BullMQ emits, made into events: not those that mean nothing here, and none over and over. */

import { messageOf } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';

/**
 * An entry that is gone, or whose lock is: somebody emptied the queue, or we did. The claim in the ledger is what counts
 * (BullMQ's `finishedErrors` and its lock manager).
 */
const LOST_ENTRY = /Missing (key|lock) for job|Lock mismatch|could not renew lock|is not in the \w+ state/i;
/** The backend tells of these, once. */
const LOST_CONNECTION =
  /ECONN|EPIPE|ENOENT|ETIMEDOUT|Connection is closed|Socket timeout|Stream isn't writeable|Command timed out/i;
const AGAIN_MS = 60_000;
const REMEMBERED = 100;

export class Troubles {
  readonly #events: Events;
  readonly #now: () => number;
  readonly #told = new Map<string, number>();

  constructor(events: Events, now: () => number) {
    this.#events = events;
    this.#now = now;
  }

  tell(error: unknown): void {
    const message = messageOf(error);
    if (LOST_ENTRY.test(message) || LOST_CONNECTION.test(message)) return;
    const nowMs = this.#now();
    if (nowMs - (this.#told.get(message) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
    if (this.#told.size >= REMEMBERED) this.#told.clear();
    this.#told.set(message, nowMs);
    this.#events.emit('queue', message, false);
  }
}
