/**
 * When is a file complete? When nothing about it has changed for the job's `settle`.
 *
 * The place's own clock is believed where it can be: a file whose modification and change times both lie long
 * enough back is settled at first sight. Where a time lies in the future, or is younger, the file has to be
 * seen unchanged over `settle` by our own clock.
 */

import { type Entry, type FileVersion, sameVersion } from '../endpoints/endpoint.ts';
import type { FilePath } from './names.ts';

interface Observation {
  readonly version: FileVersion;
  readonly changedMs: number;
  readonly sinceMs: number;
}

export class Settling {
  readonly #settleMs: number;
  readonly #seen = new Map<FilePath, Observation>();

  constructor(settleMs: number) {
    this.#settleMs = settleMs;
  }

  /** Undefined when the file is settled; else the moment (ms since the epoch) to look again. */
  lookAgainMs(path: FilePath, entry: Entry, nowMs: number): number | undefined {
    if (this.#settleMs === 0) return undefined;
    const changed = Math.max(entry.version.mtimeMs, entry.changedMs);
    if (changed <= nowMs && nowMs - changed >= this.#settleMs) return this.#settled(path);
    const before = this.#seen.get(path);
    if (
      before === undefined ||
      before.changedMs !== entry.changedMs ||
      !sameVersion(before.version, entry.version)
    ) {
      this.#seen.set(path, { version: entry.version, changedMs: entry.changedMs, sinceMs: nowMs });
      return this.#next(changed, nowMs, nowMs);
    }
    if (nowMs - before.sinceMs >= this.#settleMs) return this.#settled(path);
    return this.#next(changed, before.sinceMs, nowMs);
  }

  /** Whoever is gone need not be remembered. */
  forget(path: FilePath): void {
    this.#seen.delete(path);
  }

  #next(changedMs: number, sinceMs: number, nowMs: number): number {
    const byOurClock = sinceMs + this.#settleMs;
    return changedMs <= nowMs ? Math.min(changedMs + this.#settleMs, byOurClock) : byOurClock;
  }

  #settled(path: FilePath): undefined {
    this.#seen.delete(path);
    return undefined;
  }
}
