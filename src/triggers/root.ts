/** The folder that a watch hangs on: which one it is now, and whether its file system answers at all. */

import type { FilePath } from '../sync/names.ts';
import { rootIdentity } from './lookup.ts';

/** Unanswered for so long, its file system hangs. */
const DEADLINE_MS = 15_000;

export class Root {
  readonly #path: FilePath;
  #askingSinceMs: number | undefined;

  constructor(path: FilePath) {
    this.#path = path;
  }

  /** Tells it from another that takes its place. Errors as `rootIdentity`; never answers while its file system hangs. */
  async ask(): Promise<string> {
    this.#askingSinceMs = performance.now();
    try {
      return await rootIdentity(this.#path);
    } finally {
      this.#askingSinceMs = undefined;
    }
  }

  get hangs(): boolean {
    return this.#askingSinceMs !== undefined && performance.now() - this.#askingSinceMs > DEADLINE_MS;
  }
}
