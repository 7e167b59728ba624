/**
 * The control connections of one session. One carries one operation at a time; a second one is opened only when a
 * file is read from the same endpoint that it is sent to, on the same session. What asks for a third waits its turn,
 * and so does what is sent: the server may let no more connections in than endpoints.yaml says.
 */

import { asFault, Fault, throwIfAborted } from '../../sync/errors.ts';
import type { Connection } from './connection.ts';

/** On an abort, an operation may take so long to bring its connection back into step. */
const STOP_MS = 8_000;

export interface Lane {
  readonly connection: Connection;
  /** Once, whatever happened. */
  release(): void;
}

interface Waiter {
  readonly mainOnly: boolean;
  readonly admit: (lane: Lane) => void;
  readonly refuse: (error: unknown) => void;
}

export class Lanes implements AsyncDisposable {
  readonly name: string;
  readonly main: Connection;
  readonly #open: (signal: AbortSignal) => Promise<Connection>;
  #mainTaken = false;
  #spare: Connection | undefined;
  #spareTaken = false;
  #waiters: Waiter[] = [];

  constructor(main: Connection, open: (signal: AbortSignal) => Promise<Connection>) {
    this.name = main.name;
    this.main = main;
    this.#open = open;
  }

  get broken(): Fault | undefined {
    return this.main.broken;
  }

  /** @throws Fault when the session is broken, or stopped while it waits */
  async take(signal: AbortSignal): Promise<Lane> {
    throwIfAborted(signal);
    if (this.broken !== undefined) throw this.broken;
    if (!this.#mainTaken) return this.#takeMain();
    if (!this.#spareTaken) return await this.#takeSpare(signal);
    return await this.#wait(signal, false);
  }

  /** As `take`, and waits rather than have a second one opened. */
  async takeMain(signal: AbortSignal): Promise<Lane> {
    throwIfAborted(signal);
    if (this.broken !== undefined) throw this.broken;
    return this.#mainTaken ? await this.#wait(signal, true) : this.#takeMain();
  }

  /**
   * Runs an operation on a connection, and ends with it in bounded time once it was aborted: on a connection that
   * does not answer, it would take until the timeout.
   * @param work may give its lane back before it is done
   * @param taken the lane that it is for
   * @throws Fault only
   */
  async use<T>(
    signal: AbortSignal,
    work: (connection: Connection, lane: Lane) => Promise<T>,
    taken = this.take(signal),
  ): Promise<T> {
    const lane = await taken;
    const { connection } = lane;
    let timer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      timer = setTimeout(() => {
        const fault = new Fault('unreachable', `${this.name} did not answer while it was asked to stop`, {
          code: 'ETIMEDOUT',
        });
        connection.control.break(fault);
      }, STOP_MS);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await work(connection, lane);
    } catch (error) {
      throwIfAborted(signal);
      throw asFault(error, signal);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      lane.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const spare = this.#spare;
    await Promise.all([this.main[Symbol.asyncDispose](), spare?.[Symbol.asyncDispose]()]);
  }

  #takeMain(): Lane {
    this.#mainTaken = true;
    return this.#lane(this.main, () => {
      this.#mainTaken = false;
    });
  }

  async #takeSpare(signal: AbortSignal): Promise<Lane> {
    this.#spareTaken = true;
    const free = (): void => {
      this.#spareTaken = false;
    };
    try {
      if (this.#spare === undefined || this.#spare.broken !== undefined)
        this.#spare = await this.#open(signal);
      return this.#lane(this.#spare, free);
    } catch (error) {
      free();
      this.#serve();
      throw error;
    }
  }

  #lane(connection: Connection, free: () => void): Lane {
    let released = false;
    return {
      connection,
      release: () => {
        if (released) return;
        released = true;
        free();
        this.#serve();
      },
    };
  }

  #wait(signal: AbortSignal, mainOnly: boolean): Promise<Lane> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        signal.removeEventListener('abort', onAbort);
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
      };
      const waiter: Waiter = {
        mainOnly,
        admit: (lane) => {
          leave();
          resolve(lane);
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = (): void => {
        leave();
        reject(
          signal.reason instanceof Fault ? signal.reason : new Fault('aborted', 'stopped before it was done'),
        );
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  #serve(): void {
    for (const waiter of this.#waiters.slice()) {
      if (this.broken !== undefined) waiter.refuse(this.broken);
      else if (!this.#mainTaken) waiter.admit(this.#takeMain());
      else if (!waiter.mainOnly && !this.#spareTaken && this.#spare !== undefined && !this.#spare.broken) {
        this.#spareTaken = true;
        waiter.admit(
          this.#lane(this.#spare, () => {
            this.#spareTaken = false;
          }),
        );
      }
    }
  }
}
