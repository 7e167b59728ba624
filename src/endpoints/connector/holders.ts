/** Names at the partner that sends under way have taken, so that no two of this process go under one name. */

import type { FilePath } from '../../sync/names.ts';

/** Whoever has not come back for so long does not come back: its job is gone. Polls come once a minute at least. */
const GONE_MS = 900_000;

interface Holder {
  readonly token: string;
  readonly seenMs: number;
}

export class Holders {
  readonly #now: () => number;
  readonly #holders = new Map<FilePath, Holder>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Somebody else has that name. */
  isTaken(name: FilePath, token: string): boolean {
    const holder = this.#holders.get(name);
    return holder !== undefined && holder.token !== token && this.#now() - holder.seenMs < GONE_MS;
  }

  /** Called again at each turn of a send. */
  take(name: FilePath, token: string): void {
    this.#holders.set(name, { token, seenMs: this.#now() });
  }

  free(token: string): void {
    for (const [name, holder] of this.#holders) if (holder.token === token) this.#holders.delete(name);
  }
}
