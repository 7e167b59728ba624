/** A watched folder and what was told about it. */

import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { Fault } from '../../src/sync/errors.ts';
import { type FilePath, folderOf } from '../../src/sync/names.ts';
import { type FolderWatch, type WatchOptions, watchFolder } from '../../src/triggers/watch.ts';
import { until } from '../support/until.ts';

type Told =
  | { readonly is: 'paths'; readonly paths: ReadonlySet<FilePath> }
  | { readonly is: 'whole'; readonly reason: string }
  | { readonly is: 'alarm'; readonly fault: Fault | undefined };

export class Watching implements AsyncDisposable {
  readonly told: Told[] = [];
  readonly watch: FolderWatch;
  readonly #stop: AbortController;

  private constructor(watch: FolderWatch, stop: AbortController, told: Told[]) {
    this.watch = watch;
    this.#stop = stop;
    this.told = told;
  }

  static async start(folder: FilePath, options: Partial<WatchOptions> = {}): Promise<Watching> {
    const stop = new AbortController();
    const told: Told[] = [];
    const watch = await watchFolder({
      folder,
      rootCheckMs: 100,
      blindMs: 100,
      ...options,
      onPaths: (paths) => told.push({ is: 'paths', paths }),
      onWhole: (reason) => told.push({ is: 'whole', reason }),
      onAlarm: (fault) => told.push({ is: 'alarm', fault }),
      signal: stop.signal,
    });
    return new Watching(watch, stop, told);
  }

  /** A place in what was told, to ask only for what came after it. */
  get mark(): number {
    return this.told.length;
  }

  /** True when a scan that follows what was told (since the mark) would look at this path. */
  covers(path: FilePath, since = 0): boolean {
    return this.told
      .slice(since)
      .some(
        (told) =>
          told.is === 'whole' || (told.is === 'paths' && below(path).some((one) => told.paths.has(one))),
      );
  }

  /** True when exactly this name was told. */
  names(path: FilePath, since = 0): boolean {
    return this.told.slice(since).some((told) => told.is === 'paths' && told.paths.has(path));
  }

  wholes(since = 0): readonly string[] {
    return this.told.slice(since).flatMap((told) => (told.is === 'whole' ? [told.reason] : []));
  }

  alarms(since = 0): readonly (string | undefined)[] {
    return this.told.slice(since).flatMap((told) => (told.is === 'alarm' ? [told.fault?.code] : []));
  }

  async covered(path: FilePath, since = 0): Promise<void> {
    await until(`a hint about ${JSON.stringify(path)}`, () => this.covers(path, since));
  }

  async named(path: FilePath, since = 0): Promise<void> {
    await until(`a hint about exactly ${JSON.stringify(path)}`, () => this.names(path, since));
  }

  /**
   * Writes a file again and again until exactly its name is told: then its folder is watched. What is written while a
   * folder comes may be covered by a hint about the folder, or by a look at the whole.
   */
  async followed(file: string, path: FilePath): Promise<void> {
    const since = this.mark;
    const named = async (): Promise<boolean> => {
      await writeFile(file, 'x');
      return this.names(path, since);
    };
    await until(`a hint about exactly ${JSON.stringify(path)}`, named, { everyMs: 100 });
  }

  async alarmed(code: string | undefined, since = 0): Promise<void> {
    await until(`the alarm ${code}`, () => this.alarms(since).includes(code));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.watch[Symbol.asyncDispose]();
  }
}

/** The path and the folders above it. */
function below(path: FilePath): readonly FilePath[] {
  const parent = folderOf(path);
  return parent === '' ? [path] : [path, ...below(parent)];
}

/** How many inotify watches this process has. */
export async function systemWatches(): Promise<number> {
  const open = await readdir('/proc/self/fdinfo');
  const all = await Promise.all(
    open.map((fd) => readFile(`/proc/self/fdinfo/${fd}`, 'utf8').catch(() => '')),
  );
  return all.join('').split('inotify wd:').length - 1;
}
