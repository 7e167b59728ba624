/**
 * How many bytes may be on the way at once on one session: enough to keep the line full, few enough that memory
 * stays small and that a small file does not wait long behind a large one. First come, first served.
 */

import { abortFault } from '../../roads/road.ts';
import { type Fault, throwIfAborted } from '../../sync/errors.ts';
import { CHUNK_BYTES } from '../endpoint.ts';

/** A little more than OpenSSH's channel window of 2 MiB, which is what a connection can carry in a round trip. */
const WINDOW_BYTES = 10 * CHUNK_BYTES;

interface Waiter {
  readonly bytes: number;
  /** False when it was served elsewhere meanwhile. */
  grant(window: Window): boolean;
  refuse(window: Window, fault: Fault): void;
}

export class Window {
  #free: number;
  #waiters: Waiter[] = [];
  #closed: Fault | undefined;
  readonly #size: number;

  constructor(size = WINDOW_BYTES) {
    this.#size = size;
    this.#free = size;
  }

  get free(): number {
    return this.#closed === undefined && this.#waiters.length === 0 ? this.#free : 0;
  }

  give(bytes: number): void {
    this.#free += bytes;
    this.#serve();
  }

  /** Nobody gets anything any more. */
  close(fault: Fault): void {
    this.#closed = fault;
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(this, fault);
  }

  /** What is larger than the whole window passes when it is empty. */
  fits(bytes: number): boolean {
    return this.#closed === undefined && this.#waiters.length === 0 && this.#allows(bytes);
  }

  seize(bytes: number): void {
    this.#free -= bytes;
  }

  wait(waiter: Waiter): void {
    if (this.#closed !== undefined) waiter.refuse(this, this.#closed);
    else this.#waiters.push(waiter);
  }

  #allows(bytes: number): boolean {
    return bytes <= this.#free || this.#free === this.#size;
  }

  #serve(): void {
    for (let next = this.#waiters[0]; next !== undefined; next = this.#waiters[0]) {
      if (!this.#allows(next.bytes)) return;
      this.#waiters.shift();
      if (next.grant(this)) this.#free -= next.bytes;
    }
  }
}

/**
 * Room for so many bytes in one of the windows: the emptiest, else the first that has it. Give them back.
 * @throws Fault of the last window that closed, or `aborted`
 */
export function takeRoom(windows: readonly Window[], bytes: number, signal: AbortSignal): Promise<Window> {
  throwIfAborted(signal);
  let best: Window | undefined;
  for (const window of windows) {
    if (window.fits(bytes) && (best === undefined || window.free > best.free)) best = window;
  }
  if (best !== undefined) {
    best.seize(bytes);
    return Promise.resolve(best);
  }
  return new Promise((resolve, reject) => {
    let served = false;
    let open = windows.length;
    const end = (): void => {
      served = true;
      signal.removeEventListener('abort', onAbort);
    };
    const onAbort = (): void => {
      end();
      reject(abortFault(signal));
    };
    const waiter: Waiter = {
      bytes,
      grant: (window) => {
        if (served) return false;
        end();
        resolve(window);
        return true;
      },
      refuse: (_, fault) => {
        open -= 1;
        if (served || open > 0) return;
        end();
        reject(fault);
      },
    };
    signal.addEventListener('abort', onAbort, { once: true });
    for (const window of windows) window.wait(waiter);
  });
}
