/**
 * Watches an ordinary tree with chokidar 5 for as long as that pays, and says when it does not.
 *
 * chokidar keeps a watch and closures for each file, and lists and stats a whole folder again at each event in it.
 * By measurement (Node 24, Linux, two busy cores) 1,000 files cost +8 to 13 MB and 0.2 s of CPU to open, 2,000 cost
 * +19 to 26 MB and 0.3 to 0.4 s; while a file grows by 20 MB/s in a folder of 20 or 50, chokidar takes 35 % of
 * a core, folders.ts 5 %. So there is a limit to the entries, and one to how many chokidar looks at in a while.
 *
 * What chokidar is known to do, and what is done about it:
 * - It reads a folder before it watches it, and goes on watching the one that had the name: when a folder came, went
 *   or changed places the tree is opened afresh, and again until a census before and one after it agree.
 * - It drops changes that follow another within 50 ms: `raw` tells at once and in full what the system said, `all`
 *   what chokidar found out by looking.
 * - It shares a path's system watch with all in the process, even when the path is another folder by now, unless
 *   `persistent` is off.
 * - It may never be ready when what it reads changes meanwhile: that has a deadline.
 * - It loses names that are not UTF-8 or hold a backslash, and takes a root that is a link for a file.
 */

import { once } from 'node:events';
import { realpath } from 'node:fs/promises';
import { sep } from 'node:path';
import type { ChokidarOptions, FSWatcher } from 'chokidar';
import { codeOf, messageOf } from '../sync/errors.ts';
import { type FilePath, joinPath, nameOf, OWN_PREFIX } from '../sync/names.ts';
import { countEvent } from './flood.ts';
import { type Census, takeCensus } from './lookup.ts';
import type { Tree, TreeOptions } from './tree.ts';

const LOOKS_WINDOW_MS = 20_000;
/** What an event in a folder costs by itself, in looks. */
const LOOKS_PER_EVENT = 10;
const READY_DEADLINE_MS = 10_000;

/** How much may be in a tree, and how much may happen in it, for chokidar to watch it. */
export interface Ordinary {
  /** Files, folders and links. */
  readonly entries: number;
  /** Entries that chokidar looks at within 20 s, at 10 to 25 µs each. */
  readonly looks: number;
}

export interface ChokidarTreeOptions extends TreeOptions {
  readonly ordinary: Ordinary;
}

/** `onDoubt` is also called when it gives up while it is open. */
export class ChokidarTree implements Tree {
  readonly limit = undefined;
  readonly #options: ChokidarTreeOptions;
  readonly #stop = new AbortController();
  #watcher: FSWatcher | undefined;
  #folders: ReadonlyMap<FilePath, string> = new Map();
  #entries = 0;
  #looks = 0;
  #looksSinceMs = 0;
  #unfit: string | undefined;

  constructor(options: ChokidarTreeOptions) {
    this.#options = options;
  }

  /** Why chokidar has been given up on this tree, for good: nothing is watched any more. */
  get unfit(): string | undefined {
    return this.#unfit;
  }

  get watched(): number {
    return this.#folders.size;
  }

  has(path: FilePath): boolean {
    return this.#folders.has(path);
  }

  open(): Promise<void> {
    this.close();
    return this.#openAfresh();
  }

  sync(): Promise<void> {
    return this.#openAfresh();
  }

  refresh(): Promise<void> {
    return this.#openAfresh();
  }

  close(): void {
    if (this.#watcher !== undefined) letGo(this.#watcher);
    this.#watcher = undefined;
    this.#folders = new Map();
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.close();
  }

  get #over(): boolean {
    return this.#unfit !== undefined || this.#stop.signal.aborted;
  }

  /** What was watched before stays so until the new watches are there. */
  async #openAfresh(): Promise<void> {
    if (isOdd(this.#options.root)) this.#giveUp('a name that it cannot hold');
    if (this.#over) return;
    const { watch } = await import('chokidar');
    const root = await realpath(this.#options.root);
    const before = await this.#census(root);
    if (this.#over) return;
    const fresh = watch(root, this.#settings(root));
    fresh.on('error', (error) => this.#giveUp(codeOf(error) ?? messageOf(error)));
    fresh.on('raw', (event, name, details: unknown) => this.#onRaw(root, event, name, watchedPath(details)));
    try {
      await this.#ready(fresh);
      if (this.#over) return;
      const after = await this.#census(root);
      if (this.#over) return;
      this.close();
      this.#watcher = fresh;
      this.#folders = after.folders;
      this.#entries = after.entries;
      fresh.on('all', (event, path) => this.#onFound(event, relative(root, path)));
      for (const path of changed(before.folders, after.folders)) this.#options.onEvent(path, true);
    } finally {
      if (this.#watcher !== fresh) letGo(fresh);
    }
  }

  #settings(root: string): ChokidarOptions {
    const { enter } = this.#options;
    return {
      ignored: (path, stats) => {
        this.#looks += 1;
        const below = relative(root, path);
        if (below === undefined || below === '') return false;
        return nameOf(below).startsWith(OWN_PREFIX) || (stats?.isDirectory() === true && !enter(below));
      },
      ignoreInitial: true,
      ignorePermissionErrors: true,
      followSymlinks: false,
      atomic: false,
      persistent: false,
    };
  }

  async #ready(fresh: FSWatcher): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(READY_DEADLINE_MS)]);
    try {
      await once(fresh, 'ready', { signal });
    } catch (error) {
      if (!this.#over) this.#giveUp(signal.aborted ? 'it is not ready in time' : messageOf(error));
    }
  }

  async #census(root: FilePath): Promise<Census> {
    const { enter, ordinary } = this.#options;
    const census = await takeCensus({ root, enter, most: ordinary.entries, isOdd });
    if (census.odd !== undefined || isOdd(root)) this.#giveUp('a name that it cannot hold');
    this.#count(census.entries);
    return census;
  }

  /** What the system said about a name in a folder, or about a file that is watched itself. */
  #onRaw(root: string, event: string, name: string | null, watched: string | undefined): void {
    countEvent();
    const place = watched === undefined ? undefined : relative(root, watched);
    // Without a place it was asked to poll, from outside; then `all` has to do.
    if (place === undefined || this.#over) return;
    if (name === null) this.#options.onDoubt('the system did not say what happened');
    else if (nameOf(place) === name && !this.#folders.has(place)) this.#tell(place, event === 'rename');
    else this.#tell(joinPath(place, name), event === 'rename');
    if (this.#folders.has(place)) this.#looks += LOOKS_PER_EVENT;
    const nowMs = performance.now();
    if (nowMs - this.#looksSinceMs > LOOKS_WINDOW_MS) {
      this.#looksSinceMs = nowMs;
      this.#looks = 0;
    } else if (this.#looks > this.#options.ordinary.looks) this.#giveUp('too much happens');
  }

  #onFound(event: string, path: FilePath | undefined): void {
    if (path === undefined || this.#over) return;
    if (event === 'add' || event === 'addDir') this.#entries += 1;
    if (event === 'unlink' || event === 'unlinkDir') this.#entries -= 1;
    this.#tell(path, event === 'addDir' || event === 'unlinkDir');
    this.#count(this.#entries);
  }

  #count(entries: number): void {
    const most = this.#options.ordinary.entries;
    if (entries > most) this.#giveUp(`more than ${most} entries`);
  }

  #tell(path: FilePath, structural: boolean): void {
    if (isOdd(path)) this.#giveUp('a name that it cannot hold');
    else if (!path.split('/').some((part) => part.startsWith(OWN_PREFIX)))
      this.#options.onEvent(path, structural);
  }

  #giveUp(reason: string): void {
    if (this.#over) return;
    this.#unfit = reason;
    const open = this.#watcher !== undefined;
    this.close();
    if (open) this.#options.onDoubt(`chokidar gave way: ${reason}`);
  }
}

function letGo(watcher: FSWatcher): void {
  void watcher.close();
  // What it still had under way may fail, and closing took the listeners away.
  watcher.on('error', () => undefined);
}

/** True for names that chokidar would change on their way: bytes that are not UTF-8 become U+FFFD, `\` becomes `/`. */
function isOdd(name: FilePath): boolean {
  return !name.isWellFormed() || name.includes('\ufffd') || (sep === '/' && name.includes('\\'));
}

/** Undefined for what is not below the root. */
function relative(root: string, path: string): FilePath | undefined {
  if (path === root) return '';
  const start = root.endsWith('/') ? root : `${root}/`;
  return path.startsWith(start) ? path.slice(start.length) : undefined;
}

function watchedPath(details: unknown): string | undefined {
  if (typeof details !== 'object' || details === null || !('watchedPath' in details)) return undefined;
  return typeof details.watchedPath === 'string' ? details.watchedPath : undefined;
}

/** Folders that came, went or were replaced. */
function changed(
  before: ReadonlyMap<FilePath, string>,
  after: ReadonlyMap<FilePath, string>,
): readonly FilePath[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (path) => before.get(path) !== after.get(path),
  );
}
