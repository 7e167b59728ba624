/** Looks at a tree as the file system has it now: what is there, and whether it is still the same. */

import type { Dir, Dirent, PathLike } from 'node:fs';
import { lstat, opendir, stat } from 'node:fs/promises';
import { type FilePath, fromBytes, joinPath, OWN_PREFIX, toBytes } from '../sync/names.ts';

/** As the file system wants it: bytes only where UTF-8 cannot say it. */
export function pathLike(path: FilePath): PathLike {
  return path.isWellFormed() ? path : toBytes(path);
}

/** Tells this root from another that takes its place. @throws the system's error, ENOTDIR when it is no folder */
export async function rootIdentity(root: FilePath): Promise<string> {
  const found = await stat(pathLike(root), { bigint: true });
  if (!found.isDirectory()) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' });
  return `${found.dev}:${found.ino}:${found.birthtimeNs}`;
}

/** Tells this folder from another of its name; undefined when it is none. A link is none. */
export async function folderIdentity(path: FilePath): Promise<string | undefined> {
  try {
    const found = await lstat(pathLike(path), { bigint: true });
    return found.isDirectory() ? `${found.dev}:${found.ino}:${found.birthtimeNs}` : undefined;
  } catch {
    return undefined;
  }
}

/** Whether anything has that name. */
export function exists(path: FilePath): Promise<boolean> {
  return lstat(pathLike(path)).then(
    () => true,
    () => false,
  );
}

/** What is in a folder, in portions (it may hold 100,000 files), with the bytes of each name as latin1. */
export function entriesOf(folder: FilePath): Promise<Dir> {
  return opendir(pathLike(folder), { encoding: 'latin1', bufferSize: 512 });
}

export function nameOfEntry(entry: Dirent): FilePath {
  return fromBytes(Buffer.from(entry.name, 'latin1'));
}

export interface Census {
  /** Folders relative to the root, itself included (`''`), and which ones they are. */
  readonly folders: ReadonlyMap<FilePath, string>;
  /** Files, folders and links below the root. */
  readonly entries: number;
  /** Set when there is a name that counts as odd. */
  readonly odd: FilePath | undefined;
}

export interface CensusOptions {
  readonly root: FilePath;
  readonly enter: (folder: FilePath) => boolean;
  /** Counting ends after so many. */
  readonly most: number;
  readonly isOdd: (name: FilePath) => boolean;
}

/** Goes through what is there, but for Ferry's own. @throws the system's error when the root cannot be read */
export async function takeCensus({ root, enter, most, isOdd }: CensusOptions): Promise<Census> {
  const folders = new Map([['', await rootIdentity(root)]]);
  const queue: FilePath[] = [''];
  let entries = 0;
  let odd: FilePath | undefined;
  for (let folder = queue.pop(); folder !== undefined && entries <= most; folder = queue.pop()) {
    try {
      for await (const entry of await entriesOf(joinPath(root, folder))) {
        const name = nameOfEntry(entry);
        const path = joinPath(folder, name);
        const isFolder = entry.isDirectory();
        if (name.startsWith(OWN_PREFIX) || (isFolder && !enter(path))) continue;
        if (isOdd(name)) odd ??= name;
        entries += 1;
        if (entries > most) break;
        const identity = isFolder ? await folderIdentity(joinPath(root, path)) : undefined;
        if (identity === undefined) continue;
        folders.set(path, identity);
        queue.push(path);
      }
    } catch (error) {
      // Gone, or not readable: an event tells when that changes.
      if (folder === '') throw error;
    }
  }
  return { folders, entries, odd };
}
