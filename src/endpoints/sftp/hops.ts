/** The connection to a jump host, shared by all who go through it: opened with the first, closed after the last. */

import type { Hop } from '../../roads/jump.ts';
import { type Passed, unlessAborted } from '../../roads/road.ts';
import { throwIfAborted } from '../../sync/errors.ts';
import type { Link } from './link.ts';

export class SharedHop {
  readonly #open: (signal: AbortSignal, passed?: Passed) => Promise<Link>;
  #users = 0;
  #opening: Promise<Link> | undefined;
  /** Stops the opening when nobody waits for it any more. */
  #stop = new AbortController();

  constructor(open: (signal: AbortSignal, passed?: Passed) => Promise<Link>) {
    this.#open = open;
  }

  /** @param passed told of the steps of the way there, where it is not open yet */
  async acquire(signal: AbortSignal, passed?: Passed): Promise<Hop> {
    throwIfAborted(signal);
    this.#users += 1;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#users -= 1;
      if (this.#users === 0) this.#close();
    };
    try {
      const link = await unlessAborted(this.#live(passed), signal);
      return { client: link.client, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #live(passed: Passed | undefined): Promise<Link> {
    if (this.#opening !== undefined) return this.#opening;
    this.#stop = new AbortController();
    const opening = this.#open(this.#stop.signal, passed);
    this.#opening = opening;
    const forget = (): void => {
      if (this.#opening === opening) this.#opening = undefined;
    };
    opening.then((link) => link.onBroken(forget), forget);
    return opening;
  }

  #close(): void {
    const opening = this.#opening;
    this.#opening = undefined;
    this.#stop.abort();
    opening?.then(
      (link) => link.close(),
      () => undefined,
    );
  }
}
