/** Tells when one of some single files has changed: secrets, keys and settings that lie outside the jobs folder. */

import { stat } from 'node:fs/promises';

export interface FileWatchOptions {
  /** Absolute paths, asked anew for each look; a file need not be there. */
  readonly files: () => Iterable<string>;
  readonly everyMs: number;
  readonly onChange: () => void;
}

/** Looks at them now and then: files that are replaced by links or by renames cannot be watched. */
export function watchFiles({ files, everyMs, onChange }: FileWatchOptions): Disposable {
  const seen = new Map<string, string>();
  let stopped = false;
  const look = async (): Promise<void> => {
    let changed = false;
    for (const file of new Set(files())) {
      const now = await identityOf(file);
      const before = seen.get(file);
      seen.set(file, now);
      changed ||= before !== undefined && before !== now;
    }
    if (stopped) return;
    if (changed) onChange();
    timer = setTimeout(look, everyMs).unref();
  };
  let timer = setTimeout(look, 0).unref();
  return {
    [Symbol.dispose]: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

async function identityOf(file: string): Promise<string> {
  return await stat(file).then(
    ({ dev, ino, size, mtimeMs }) => [dev, ino, size, mtimeMs].join(),
    () => 'missing',
  );
}
