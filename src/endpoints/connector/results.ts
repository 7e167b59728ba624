/** What became of a transfer, file by file. The files of one transfer are asked after in one call. */

import { type FilePath, nameOf } from '../../sync/names.ts';
import type { Api, FileResult } from './api.ts';

/** AWS keeps results for seven days. */
export const KEPT_MS = 7 * 24 * 3_600_000;

interface Asked {
  readonly atMs: number;
  readonly results: Promise<readonly FileResult[] | undefined>;
}

export class Results {
  readonly #api: Api;
  readonly #now: () => number;
  /** An answer that is not older serves again. */
  readonly #freshMs: number;
  readonly #asked = new Map<string, Asked>();

  constructor(api: Api, pollMs: number, now: () => number) {
    this.#api = api;
    this.#now = now;
    this.#freshMs = pollMs / 2;
  }

  /**
   * @param path as it was given to StartFileTransfer
   * @returns undefined when the service knows nothing of it (any more). @throws Fault
   */
  async of(transferId: string, path: FilePath, signal: AbortSignal): Promise<FileResult | undefined> {
    const nowMs = this.#now();
    for (const [id, { atMs }] of this.#asked) if (nowMs - atMs > this.#freshMs) this.#asked.delete(id);
    const asked = this.#asked.get(transferId) ?? {
      atMs: nowMs,
      results: this.#api.results(transferId, signal),
    };
    this.#asked.set(transferId, asked);
    try {
      return pick((await asked.results) ?? [], path);
    } catch (error) {
      if (this.#asked.get(transferId) === asked) this.#asked.delete(transferId);
      throw error;
    }
  }
}

/** The service writes paths with or without their first slash. Names are unique within a call. */
function pick(results: readonly FileResult[], path: FilePath): FileResult | undefined {
  const bare = path.replace(/^\//, '');
  return (
    results.find(({ filePath }) => filePath.replace(/^\//, '') === bare) ??
    results.find(({ filePath }) => nameOf(filePath) === nameOf(path))
  );
}
