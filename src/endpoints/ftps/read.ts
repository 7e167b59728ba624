/** Reads a remote file, from anywhere in it: RETR, after REST where the server can; else from its beginning. */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Connection } from './connection.ts';
import { Enough, transfer } from './transfer.ts';

export interface Range {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/**
 * Gives `take` the bytes of the range, in order; stops when it has all of them.
 * @throws Fault `changed` when the file ends before; Faults of the reply and the connection; whatever `take` throws
 */
export async function readInto(
  connection: Connection,
  path: FilePath,
  range: Range,
  signal: AbortSignal,
  take: (chunk: Buffer) => void | Promise<void>,
): Promise<void> {
  const { start, end } = range;
  const from = connection.traits.restart ? start : 0;
  let at = from;
  await transfer(
    connection,
    {
      command: `RETR ${connection.wire(path)}`,
      doing: 'read',
      path,
      start: from,
      together: true,
      signal,
    },
    async (data) => {
      for await (const chunk of data.chunks()) {
        const wanted = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
        at += chunk.length;
        if (wanted.length > 0) await take(wanted);
        // The end of the file is waited for, unless there is more than was wanted.
        if (at > end) throw new Enough();
      }
    },
  ).then((result) => {
    if (result.state === 'unconfirmed') throw result.fault;
  });
  if (at < end) {
    throw new Fault('changed', `${connection.name}: ${printable(path)} ended early`, { code: 'SHORT' });
  }
}

/** As `readInto`, as a stream; ended early, it leaves the connection ready for the next command. */
export async function* readRange(
  connection: Connection,
  path: FilePath,
  range: Range,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const passage = new Passage();
  const reading = readInto(connection, path, range, signal, (chunk) => passage.put(chunk)).then(
    () => passage.end(),
    (error: unknown) => passage.end(error),
  );
  try {
    for (let chunk = await passage.take(); chunk !== undefined; chunk = await passage.take()) yield chunk;
  } finally {
    passage.leave();
    await reading;
  }
}

/** One chunk at a time from a transfer to whoever reads. */
class Passage {
  #chunk: Buffer | undefined;
  #ended = false;
  #left = false;
  #error: unknown;
  #wake: () => void = () => undefined;

  /** Resolves when it was taken. @throws Enough when nobody takes any more */
  async put(chunk: Buffer): Promise<void> {
    this.#chunk = chunk;
    this.#changed();
    while (this.#chunk !== undefined && !this.#left) await this.#change();
    if (this.#left) throw new Enough();
  }

  async take(): Promise<Buffer | undefined> {
    while (this.#chunk === undefined && !this.#ended) await this.#change();
    const chunk = this.#chunk;
    this.#chunk = undefined;
    this.#changed();
    if (chunk === undefined && this.#error !== undefined) throw this.#error;
    return chunk;
  }

  end(error?: unknown): void {
    this.#ended = true;
    this.#error = error;
    this.#changed();
  }

  leave(): void {
    this.#left = true;
    this.#changed();
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = () => undefined;
    wake();
  }

  /** Both sides may wait at once. */
  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      const before = this.#wake;
      this.#wake = () => {
        before();
        resolve();
      };
    });
  }
}
