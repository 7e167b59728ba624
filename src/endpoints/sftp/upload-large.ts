/**
 * Writes a large file: one cursor reads the source in order, and each chunk goes to whichever session has room, on
 * a handle of its own. One connection carries no more than its channel window in a round trip; several lift that.
 *
 * The cursor never runs ahead of the lowest unconfirmed byte by more than SPAN_BYTES, so that after a cut everything
 * below (size of the temporary − SPAN_BYTES) is without a gap. A helper whose connection breaks is done without: what
 * it had not confirmed is read and sent again.
 */

import type { Hash } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { CHUNK_BYTES, type SourceReader } from '../endpoint.ts';
import { Acked, type Segment } from './acked.ts';
import { changedFault, type Job, pieces } from './job.ts';
import { type Lane, Lanes } from './lanes.ts';
import { explain } from './remote.ts';
import type { Handle } from './wire.ts';

export const SPAN_BYTES = 32 * 1024 * 1024;
/** How often the safe point is noted down while a file is sent. */
const NOTE_EVERY_MS = 5_000;

/** What a lost helper had not confirmed. */
interface Lost {
  readonly segment: Segment;
  readonly confirmed: () => void;
}

export interface LargeOptions {
  readonly job: Job;
  readonly reader: SourceReader;
  /** The file on the job's own session, open for writing. */
  readonly handle: Handle;
  readonly file: FilePath;
  /** Everything before is there already, and in the hash. */
  readonly start: number;
  /** Takes in all that is sent, in order. */
  readonly hash: Hash;
  /** Keeps the safe point; undefined where a send cannot be resumed. */
  readonly note: ((contiguous: number) => Promise<void>) | undefined;
}

/** Resolves when every byte is confirmed and the helpers have closed their handles. Errors are Faults. */
export async function uploadLarge(options: LargeOptions): Promise<void> {
  const upload = new LargeUpload(options);
  await upload.run();
}

class LargeUpload {
  readonly #options: LargeOptions;
  readonly #job: Job;
  readonly #acked: Acked;
  readonly #lanes: Lanes;
  readonly #lost: Lost[] = [];
  #failure: unknown;
  #wake: () => void = () => undefined;
  #notedAtMs = performance.now();
  #noting: Promise<void> = Promise.resolve();

  constructor(options: LargeOptions) {
    this.#options = options;
    this.#job = options.job;
    this.#acked = new Acked(options.start);
    this.#lanes = new Lanes(options);
  }

  async run(): Promise<void> {
    const helpers = this.#lanes.recruit();
    try {
      await this.#sendAll();
      await this.#noting;
    } finally {
      await helpers;
      const failure = await this.#lanes.dismiss();
      this.#failure ??= failure;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #sendAll(): Promise<void> {
    const { job, reader, start, hash } = this.#options;
    const { signal } = job.options;
    const chunks = reader.read(start, job.sizeBytes, signal)[Symbol.asyncIterator]();
    let at = start;
    try {
      while (at < job.sizeBytes) {
        await this.#resendLost();
        await this.#until(() => at - this.#acked.contiguous <= SPAN_BYTES);
        const most = Math.min(CHUNK_BYTES, job.sizeBytes - at);
        const lane = await this.#room(most);
        const next = await chunks.next().catch((error: unknown) => {
          lane.remote.window.give(most);
          throw error;
        });
        const chunk = next.done ? undefined : next.value;
        lane.remote.window.give(most - Math.min(most, chunk?.length ?? 0));
        if (chunk === undefined) throw changedFault(job, 'became shorter');
        if (chunk.length > most) {
          lane.remote.window.give(most);
          throw changedFault(job, 'became longer');
        }
        const segment = { start: at, end: at + chunk.length };
        this.#write(lane, chunk, segment, this.#acked.sent(segment));
        hash.update(chunk);
        reader.giveBack?.(chunk);
        at = segment.end;
      }
    } finally {
      await chunks.return?.(undefined);
    }
    while (!this.#acked.complete) {
      await this.#resendLost();
      await this.#until(() => this.#acked.complete || this.#lost.length > 0);
    }
  }

  /** A lane with room for so many bytes, which are taken. */
  async #room(bytes: number): Promise<Lane> {
    const lane = await this.#lanes.room(bytes, this.#job.options.signal);
    if (this.#failure === undefined) return lane;
    lane.remote.window.give(bytes);
    throw this.#failure;
  }

  #write(lane: Lane, chunk: Buffer, segment: Segment, confirmed: () => void): void {
    const { wire, window } = lane.remote;
    const { length } = chunk; // what follows must not hold the chunk itself: it is given back
    const writes = [...pieces(wire, chunk)].map(([offset, piece]) =>
      wire.write(lane.handle, piece, segment.start + offset),
    );
    Promise.all(writes)
      .then(
        () => this.#onConfirmed(confirmed),
        (error: unknown) => this.#onFailed(lane, error, { segment, confirmed }),
      )
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        window.give(length);
        this.#wake();
      });
  }

  #onConfirmed(confirmed: () => void): void {
    confirmed();
    const { note } = this.#options;
    this.#job.options.progress(this.#acked.total);
    if (note === undefined || performance.now() - this.#notedAtMs < NOTE_EVERY_MS) return;
    this.#notedAtMs = performance.now();
    const { contiguous } = this.#acked;
    this.#noting = this.#noting.then(() => note(contiguous));
    this.#noting.catch((error: unknown) => this.#fail(error));
  }

  async #onFailed(lane: Lane, error: unknown, lost: Lost): Promise<void> {
    if (error instanceof Fault && this.#lanes.drop(lane)) {
      this.#lost.push(lost);
      return;
    }
    const { start, end } = lost.segment;
    this.#fail(await explain(lane.remote, error, 'write', this.#job.path, end - start));
  }

  #fail(failure: unknown): void {
    this.#failure ??= failure;
    this.#wake();
  }

  /** What a lost helper took with it, over the others. */
  async #resendLost(): Promise<void> {
    const { reader, job } = this.#options;
    for (let lost = this.#lost.shift(); lost !== undefined; lost = this.#lost.shift()) {
      const { segment, confirmed } = lost;
      const bytes = segment.end - segment.start;
      const parts: Buffer[] = [];
      for await (const part of reader.read(segment.start, segment.end, job.options.signal)) parts.push(part);
      const chunk = Buffer.concat(parts);
      if (chunk.length !== bytes) throw changedFault(job, 'became shorter');
      this.#write(await this.#room(bytes), chunk, segment, confirmed);
    }
  }

  /** Waits for confirmations, failures or an abort until the condition holds. */
  async #until(condition: () => boolean): Promise<void> {
    const { signal } = this.#job.options;
    while (!condition()) {
      if (this.#failure !== undefined) throw this.#failure;
      throwIfAborted(signal);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#wake = wake;
        signal.addEventListener('abort', wake, { once: true });
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}
