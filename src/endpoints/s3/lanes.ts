/**
 * How many parts of a file are under way at once. Few at first, and one more with each part that goes fast: on a slow
 * line, many parts at once would all be unfinished when it is cut, and the next attempt would find nothing done.
 */

import { throwIfAborted } from '../../sync/errors.ts';

const FIRST = 2;
const FAST_MS = 4_000;
const SLOW_MS = 15_000;

export class Lanes {
  readonly #most: number;
  #open: number;
  #busy = 0;
  #wake: (() => void) | undefined;

  constructor(most: number) {
    this.#most = most;
    this.#open = Math.min(FIRST, most);
  }

  /** For one that asks at a time. @throws Fault on abort */
  async take(signal: AbortSignal): Promise<void> {
    while (this.#busy >= this.#open && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      signal.addEventListener('abort', resolve as () => void, { once: true });
      await promise;
      signal.removeEventListener('abort', resolve as () => void);
    }
    throwIfAborted(signal);
    this.#busy += 1;
  }

  /** @param ms that the part took; undefined when it did not arrive */
  give(ms: number | undefined): void {
    this.#busy -= 1;
    if (ms !== undefined && ms < FAST_MS) this.#open = Math.min(this.#open + 1, this.#most);
    if (ms !== undefined && ms > SLOW_MS) this.#open = Math.max(this.#open - 1, 1);
    this.#wake?.();
  }
}
