/** What is moving just now, how much has moved, and how fast: counted from the events, for progress and the status page. */

import type { Delivery } from '../sync/delivery.ts';
import type { Events } from '../sync/events.ts';
import { listen } from './listen.ts';

/** The rate is that of the last so many ms. */
const WINDOW_MS = 8_000;
const SLICE_MS = 250;

export interface Moving {
  readonly delivery: Delivery;
  /** Bytes that the far side has confirmed. */
  readonly confirmedBytes: number;
  readonly sinceMs: number;
}

export interface Rate {
  readonly bytesPerSecond: number;
  readonly filesPerSecond: number;
}

interface Slice {
  readonly atMs: number;
  bytes: number;
  files: number;
}

export class Activity implements Disposable {
  readonly #now: () => number;
  readonly #moving = new Map<number, { delivery: Delivery; confirmedBytes: number; sinceMs: number }>();
  readonly #slices: Slice[] = [];
  readonly #startedMs: number;
  readonly #listening: Disposable;
  #delivered = 0;
  #deliveredBytes = 0;
  #failed = 0;

  constructor(events: Events, now: () => number) {
    this.#now = now;
    this.#startedMs = now();
    this.#listening = listen(events, {
      sending: (delivery) => {
        // One that an asynchronous endpoint has accepted is asked after many times.
        if (!this.#moving.has(delivery.id))
          this.#moving.set(delivery.id, { delivery, confirmedBytes: 0, sinceMs: this.#now() });
      },
      progress: (delivery, confirmedBytes) => this.#onProgress(delivery.id, confirmedBytes),
      delivered: (delivery, receipt) => {
        if (receipt.alreadyThere !== true) this.#onProgress(delivery.id, receipt.sizeBytes);
        this.#moving.delete(delivery.id);
        this.#delivered += 1;
        this.#deliveredBytes += receipt.sizeBytes;
        this.#slice().files += 1;
      },
      attemptFailed: (delivery) => this.#moving.delete(delivery.id),
      failed: (delivery) => {
        this.#moving.delete(delivery.id);
        this.#failed += 1;
      },
      superseded: (delivery) => this.#moving.delete(delivery.id),
    });
  }

  /** Oldest first. */
  get moving(): readonly Moving[] {
    return [...this.#moving.values()];
  }

  get movingBytes(): number {
    let bytes = 0;
    for (const one of this.#moving.values()) bytes += one.confirmedBytes;
    return bytes;
  }

  /** Since it began to count. */
  get delivered(): { readonly files: number; readonly bytes: number } {
    return { files: this.#delivered, bytes: this.#deliveredBytes };
  }

  get failed(): number {
    return this.#failed;
  }

  rate(): Rate {
    const nowMs = this.#now();
    this.#forget(nowMs);
    const seconds = Math.max(SLICE_MS, Math.min(WINDOW_MS, nowMs - this.#startedMs)) / 1000;
    let bytes = 0;
    let files = 0;
    for (const slice of this.#slices) {
      bytes += slice.bytes;
      files += slice.files;
    }
    return { bytesPerSecond: bytes / seconds, filesPerSecond: files / seconds };
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }

  #onProgress(id: number, confirmedBytes: number): void {
    const one = this.#moving.get(id);
    if (one === undefined) return;
    // A resumed file confirms at once what was there already, and one that starts over goes down.
    this.#slice().bytes += Math.max(0, confirmedBytes - one.confirmedBytes);
    one.confirmedBytes = confirmedBytes;
  }

  #slice(): Slice {
    const nowMs = this.#now();
    const last = this.#slices.at(-1);
    if (last !== undefined && nowMs - last.atMs < SLICE_MS) return last;
    this.#forget(nowMs);
    const slice = { atMs: nowMs, bytes: 0, files: 0 };
    this.#slices.push(slice);
    return slice;
  }

  #forget(nowMs: number): void {
    while (this.#slices[0] !== undefined && nowMs - this.#slices[0].atMs > WINDOW_MS) this.#slices.shift();
  }
}
