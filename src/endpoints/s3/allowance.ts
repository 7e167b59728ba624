/** So much of something (bytes in memory, requests at once) and no more, given out in the order in which it was asked for. */

import { throwIfAborted } from '../../sync/errors.ts';

interface Waiter {
  readonly amount: number;
  readonly admit: () => void;
}

export class Allowance {
  readonly #total: number;
  #used = 0;
  #waiting: Waiter[] = [];

  constructor(total: number) {
    this.#total = total;
  }

  /** Who asks for more than there is gets it when nobody else has any. Dispose of what is given. @throws Fault on abort */
  async take(amount: number, signal: AbortSignal): Promise<Disposable> {
    throwIfAborted(signal);
    const share = Math.min(amount, this.#total);
    if (this.#waiting.length > 0 || this.#used + share > this.#total) await this.#wait(share, signal);
    else this.#used += share;
    let given = true;
    return {
      [Symbol.dispose]: () => {
        if (!given) return;
        given = false;
        this.#used -= share;
        this.#serve();
      },
    };
  }

  async #wait(amount: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    let admitted = false;
    const waiter: Waiter = {
      amount,
      admit: () => {
        admitted = true;
        this.#used += amount;
        resolve();
      },
    };
    const onAbort = (): void => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(waiter);
    await promise;
    signal.removeEventListener('abort', onAbort);
    if (admitted) return;
    this.#waiting = this.#waiting.filter((other) => other !== waiter);
    this.#serve();
    throwIfAborted(signal);
  }

  #serve(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#used + first.amount > this.#total) return;
      this.#waiting.shift();
      first.admit();
    }
  }
}

/** Work on one thing at a time, by its name. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(name, promise);
    try {
      await before;
      return await work();
    } finally {
      resolve();
      if (this.#last.get(name) === promise) this.#last.delete(name);
    }
  }
}
