/**
 * Tells when something was edited in `jobs/`. Editors write in several steps (a new file, a rename, a backup),
 * and a mounted ConfigMap swaps the link `..data`: what belongs together is told once, when it has calmed down.
 */

import type { Fault } from '../sync/errors.ts';
import type { FilePath } from '../sync/names.ts';
import { watchFiles } from './file-watch.ts';
import { type FolderWatch, watchFolder } from './watch.ts';

const CALM_MS = 200;
/** Edits that go on and on are told after so long all the same. */
const LONGEST_MS = 2_000;
const FILES_MS = 5_000;

export interface ConfigWatchOptions {
  /** Absolute. */
  readonly folder: FilePath;
  readonly pollMs?: number | undefined;
  /** What was read from elsewhere; looked at every few seconds. */
  readonly files?: () => Iterable<string>;
  /** Read it again. */
  readonly onChange: () => void;
  readonly onAlarm: (fault: Fault | undefined) => void;
  readonly signal: AbortSignal;
}

/** Resolves when the folder is watched; until the signal fires. */
export async function watchConfig(options: ConfigWatchOptions): Promise<FolderWatch> {
  const { files, folder, pollMs, onAlarm, onChange, signal } = options;
  let timer: NodeJS.Timeout | undefined;
  let firstMs: number | undefined;
  const soon = (): void => {
    if (signal.aborted) return;
    const nowMs = performance.now();
    firstMs ??= nowMs;
    clearTimeout(timer);
    timer = setTimeout(
      () => {
        firstMs = undefined;
        if (!signal.aborted) onChange();
      },
      Math.max(0, Math.min(CALM_MS, firstMs + LONGEST_MS - nowMs)),
    );
  };
  const watch = await watchFolder({
    folder,
    pollMs,
    onAlarm,
    signal,
    enter: () => false,
    ignore: (path) => !/^(?:[^.].*\.ya?ml|\.\.data)$/s.test(path),
    onPaths: soon,
    onWhole: soon,
  });
  const others = watchFiles({ files: files ?? (() => []), everyMs: FILES_MS, onChange: soon });
  return {
    get by() {
      return watch.by;
    },
    get engine() {
      return watch.engine;
    },
    get folders() {
      return watch.folders;
    },
    [Symbol.asyncDispose]: async () => {
      clearTimeout(timer);
      others[Symbol.dispose]();
      await watch[Symbol.asyncDispose]();
    },
  };
}
