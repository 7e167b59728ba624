/** Hands values from whoever finds them to whoever iterates; the finder is told to wait when it is far ahead. */

export class Feed<T> implements AsyncIterable<T> {
  readonly #most: number;
  #values: T[] = [];
  #ended = false;
  #error: unknown;
  #failed = false;
  #wakeReader: () => void = () => undefined;
  #wakeWriters: (() => void)[] = [];

  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  push(value: T): void {
    this.#values.push(value);
    this.#wakeReader();
  }

  /** Resolves when the reader has caught up, or has gone. */
  async room(): Promise<void> {
    while (this.#values.length >= this.#most && !this.#ended) {
      await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
    }
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader();
    this.#release();
  }

  fail(error: unknown): void {
    if (!this.#failed) this.#error = error;
    this.#failed = true;
    this.end();
  }

  /** To be iterated once. What was pushed before a failure comes first. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const values = this.#values;
        this.#values = [];
        this.#release();
        yield* values;
        if (this.#values.length > 0) continue;
        if (this.#failed) throw this.#error;
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    } finally {
      this.end();
    }
  }

  #release(): void {
    for (const wake of this.#wakeWriters.splice(0)) wake();
  }
}
