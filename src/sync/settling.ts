/**
 * When is a file complete? When nothing about it has changed for the job's `settle`.
 *
 * The place's own clock is believed as far as it goes: a file whose modification and change times lie long enough back,
 * and so much longer as that clock may be off ours, is settled at first sight. Where a time lies in the future, or is
 * younger, the file has to be seen unchanged over `settle` by our own clock.
 */

import { type Entry, type FileVersion, sameVersion } from '../endpoints/endpoint.ts';
import type { FilePath } from './names.ts';

interface Observation {
  readonly version: FileVersion;
  readonly changedMs: number;
  /** Unchanged since then. */
  readonly sinceMs: number;
  readonly firstMs: number;
}

export class Settling {
  readonly #settleMs: number;
  readonly #seen = new Map<FilePath, Observation>();

  constructor(settleMs: number) {
    this.#settleMs = settleMs;
  }

  /**
   * Undefined when the file is settled; else the moment (ms since the epoch) to look again.
   * @param clockSkewMs how far the clock of `entry` may be off ours (`Capabilities`)
   */
  lookAgainMs(path: FilePath, entry: Entry, nowMs: number, clockSkewMs: number): number | undefined {
    if (this.#settleMs === 0) return undefined;
    const changed = Math.max(entry.version.mtimeMs, entry.changedMs);
    if (changed <= nowMs && nowMs - changed >= this.#settleMs + clockSkewMs) return this.#settled(path);
    const before = this.#seen.get(path);
    const isSame =
      before !== undefined &&
      before.changedMs === entry.changedMs &&
      sameVersion(before.version, entry.version);
    const sinceMs = isSame ? before.sinceMs : nowMs;
    if (isSame && nowMs - sinceMs >= this.#settleMs) return this.#settled(path);
    const { version, changedMs } = entry;
    this.#seen.set(path, { version, changedMs, sinceMs, firstMs: before?.firstMs ?? nowMs });
    const byOurClock = sinceMs + this.#settleMs;
    return changed <= nowMs && clockSkewMs === 0
      ? Math.min(changed + this.#settleMs, byOurClock)
      : byOurClock;
  }

  /** Since when (ms since the epoch) a file is watched settling; undefined when it is not. */
  firstSeenMs(path: FilePath): number | undefined {
    return this.#seen.get(path)?.firstMs;
  }

  /** Whoever is gone need not be remembered. */
  forget(path: FilePath): void {
    this.#seen.delete(path);
  }

  #settled(path: FilePath): undefined {
    this.#seen.delete(path);
    return undefined;
  }
}
