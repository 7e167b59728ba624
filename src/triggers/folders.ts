/**
 * A tree of folders and the system's watches on them, one for each folder. Assumes nothing about what happens
 * meanwhile: folders may come, go and change places at any moment. Promises that after `open` or `sync` every
 * folder that can be watched is watched, and that a folder is watched before it is read, so that no file can
 * slip in between.
 *
 * For trees that are too much for chokidar 5 (chokidar-tree.ts), by measurement on 100,000 files in 1,000 folders
 * (Node 24, Linux): chokidar puts a watch on every file (101,000 of them; +593 MB, ready in 11.7 s), and told to
 * ignore files it still lists and stats the whole folder again at each event (+250 MB, 3 s). A watch on each
 * folder: 1,001 of them, +19 MB, 0.2 s, no measurable load; and names stay bytes.
 */

import { type FSWatcher, watch } from 'node:fs';
import { codeOf } from '../sync/errors.ts';
import { type FilePath, folderOf, fromBytes, joinPath, nameOf, OWN_PREFIX } from '../sync/names.ts';
import { countEvent } from './flood.ts';
import { entriesOf, folderIdentity, nameOfEntry, pathLike, rootIdentity } from './lookup.ts';
import type { Tree, TreeOptions } from './tree.ts';

/** Folders read at once. */
const READERS = 8;

interface Folder {
  /** Relative to the root; `''` is the root. */
  readonly path: FilePath;
  /** Undefined where it may not be watched. */
  watcher: FSWatcher | undefined;
  readonly identity: string;
  readonly children: Map<string, Folder>;
}

export interface FoldersOptions extends TreeOptions {
  /** One watch for the whole tree: for systems that do it natively (not Linux). */
  readonly recursive: boolean;
}

export class Folders implements Tree {
  readonly #options: FoldersOptions;
  #root: Folder | undefined;
  #closed = false;
  /** Why some folder is not watched although it could be: the system's limit. */
  #limit: Error | undefined;

  constructor(options: FoldersOptions) {
    this.#options = options;
  }

  get limit(): Error | undefined {
    return this.#limit;
  }

  get watched(): number {
    const count = (folder: Folder): number => {
      let sum = folder.watcher === undefined ? 0 : 1;
      for (const child of folder.children.values()) sum += count(child);
      return sum;
    };
    return this.#root === undefined ? 0 : count(this.#root);
  }

  has(path: FilePath): boolean {
    return this.#find(path) !== undefined;
  }

  async open(): Promise<void> {
    this.close();
    const identity = await rootIdentity(this.#options.root);
    if (this.#closed) return;
    const root: Folder = { path: '', watcher: this.#watch(''), identity, children: new Map() };
    this.#root = root;
    if (!this.#options.recursive) await this.#readFrom(root);
  }

  async sync(): Promise<void> {
    const root = this.#root;
    if (root === undefined || root.watcher === undefined) return this.open();
    this.#limit = undefined;
    if (!this.#options.recursive) await this.#readFrom(root);
  }

  async refresh(paths: readonly FilePath[]): Promise<void> {
    for (const path of paths) await this.#replace(path);
  }

  async #replace(path: FilePath): Promise<void> {
    const parent = this.#find(folderOf(path));
    const name = nameOf(path);
    const identity = await folderIdentity(this.#absolute(path));
    this.#close(parent?.children.get(name));
    parent?.children.delete(name);
    if (parent === undefined || identity === undefined || this.#options.recursive || this.#closed) return;
    const fresh = this.#adopt(parent, name, identity);
    if (fresh !== undefined) await this.#readAll([fresh]);
  }

  close(): void {
    this.#close(this.#root);
    this.#root = undefined;
    this.#limit = undefined;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.close();
  }

  async #readFrom(root: Folder): Promise<void> {
    const queue: Folder[] = [];
    await this.#read(root, queue);
    await this.#readAll(queue);
  }

  /** Reads folders and all below, watching what is found. */
  async #readAll(queue: Folder[]): Promise<void> {
    const running = new Set<Promise<void>>();
    while ((queue.length > 0 || running.size > 0) && !this.#closed) {
      const folder = running.size < READERS ? queue.pop() : undefined;
      if (folder === undefined) {
        await Promise.race(running);
        continue;
      }
      const reading: Promise<void> = this.#read(folder, queue)
        // Gone, or not readable: an event tells when that changes, and the scan reports it.
        .catch(() => undefined)
        .finally(() => running.delete(reading));
      running.add(reading);
    }
    await Promise.all(running);
  }

  /** Reads one folder, watches those in it that were not, and puts all of them into the queue. */
  async #read(folder: Folder, queue: Folder[]): Promise<void> {
    const found = await subfolders(this.#absolute(folder.path));
    if (this.#closed) return;
    const names = new Set(found);
    for (const [name, child] of folder.children) {
      if (names.has(name)) continue;
      this.#close(child);
      folder.children.delete(name);
    }
    for (const name of found) {
      const path = joinPath(folder.path, name);
      if (name.startsWith(OWN_PREFIX) || !this.#options.enter(path)) continue;
      const identity = await folderIdentity(this.#absolute(path));
      if (this.#closed) return;
      const known = folder.children.get(name);
      if (identity !== undefined && known?.identity === identity && known.watcher !== undefined) {
        queue.push(known);
        continue;
      }
      this.#close(known);
      folder.children.delete(name);
      const fresh = identity === undefined ? undefined : this.#adopt(folder, name, identity);
      if (fresh !== undefined) queue.push(fresh);
    }
  }

  #adopt(parent: Folder, name: string, identity: string): Folder | undefined {
    const path = joinPath(parent.path, name);
    if (name.startsWith(OWN_PREFIX) || !this.#options.enter(path)) return undefined;
    const folder: Folder = { path, watcher: this.#watch(path), identity, children: new Map() };
    parent.children.set(name, folder);
    return folder;
  }

  /** A watch on one folder; undefined when it is gone, not ours to see, or one too many for the system. */
  #watch(path: FilePath): FSWatcher | undefined {
    const { onDoubt, recursive } = this.#options;
    try {
      const absolute = pathLike(this.#absolute(path));
      const watcher = recursive
        ? watch(absolute, { recursive }, (event, name) =>
            this.#tell(path, event, name?.replaceAll('\\', '/')),
          )
        : watch(absolute, { encoding: 'buffer' }, (event, name) =>
            this.#tell(path, event, name && fromBytes(name)),
          );
      watcher.on('error', () => onDoubt('a watch broke'));
      return watcher;
    } catch (error) {
      const code = codeOf(error);
      const ordinary = code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES' || code === 'EPERM';
      if (ordinary && path === '') throw error;
      if (ordinary) return undefined;
      this.#limit ??= error instanceof Error ? error : new Error(String(error));
      return undefined;
    }
  }

  #tell(folder: FilePath, event: string, name: FilePath | null | undefined): void {
    countEvent();
    if (!name) this.#options.onDoubt('the system did not say what happened');
    else if (!name.split('/').some((part) => part.startsWith(OWN_PREFIX)))
      this.#options.onEvent(joinPath(folder, name), event === 'rename');
  }

  #find(path: FilePath): Folder | undefined {
    let folder = this.#root;
    if (path === '') return folder;
    for (const name of path.split('/')) folder = folder?.children.get(name);
    return folder;
  }

  #close(folder: Folder | undefined): void {
    if (folder === undefined) return;
    folder.watcher?.close();
    folder.watcher = undefined;
    for (const child of folder.children.values()) this.#close(child);
    folder.children.clear();
  }

  #absolute(path: FilePath): FilePath {
    return joinPath(this.#options.root, path);
  }
}

async function subfolders(path: FilePath): Promise<readonly FilePath[]> {
  const names: FilePath[] = [];
  for await (const entry of await entriesOf(path)) if (entry.isDirectory()) names.push(nameOfEntry(entry));
  return names;
}
