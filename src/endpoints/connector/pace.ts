/**
 * How often each call of the API may be made: a place in line for each, spaced as the quotas say, and a pause for all of
 * them when AWS has asked for one. Who would have to wait long is told when to come back, so that nobody is held up.
 *
 * https://docs.aws.amazon.com/transfer/latest/userguide/scale-and-limits-sftp-connector.html
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../sync/errors.ts';
import { Throttled } from './faults.ts';

/** Between two calls of an action, ms. */
export type Spacing = Readonly<Record<string, number>> & { readonly others: number };

/** TestConnection once a second, StartDirectoryListing three times; what AWS publishes no rate for, ten times at most. */
export const AWS_SPACING: Spacing = { TestConnection: 1_050, StartDirectoryListing: 340, others: 100 };
/** Whoever would wait longer comes back later. */
const PATIENCE_MS = 3_000;

export interface PaceOptions {
  readonly name: string;
  readonly spacing: Spacing;
  readonly now: () => number;
}

export class Pace {
  readonly #options: PaceOptions;
  readonly #nextMs = new Map<string, number>();
  readonly #pausedMs = new Map<string, number>();

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Waits for a turn. @throws Throttled when AWS has asked for a pause, or the wait were long; Fault `aborted` */
  async turn(action: string, signal: AbortSignal, patienceMs = PATIENCE_MS): Promise<void> {
    const { name, now, spacing } = this.#options;
    const nowMs = now();
    const pausedMs = (this.#pausedMs.get(action) ?? 0) - nowMs;
    if (pausedMs > 0) throw new Throttled(`${name}: AWS has asked for a pause of ${action}`, pausedMs);
    const atMs = Math.max(nowMs, this.#nextMs.get(action) ?? 0);
    if (atMs - nowMs > patienceMs)
      throw new Throttled(`${name}: ${action} has to wait its turn`, atMs - nowMs);
    this.#nextMs.set(action, atMs + (spacing[action] ?? spacing.others));
    if (atMs === nowMs) return;
    await sleep(atMs - nowMs, undefined, { signal }).catch((cause: unknown) => {
      throw new Fault('aborted', 'stopped before it was done', { cause });
    });
  }

  /** AWS has said so. */
  pause(action: string, ms: number): void {
    this.#pausedMs.set(action, Math.max(this.#pausedMs.get(action) ?? 0, this.#options.now() + ms));
  }
}
