/** What has come up since the last look: changed names, in a bounded number, or that anything may have changed. */

import { type FilePath, joinPath, nameOf } from '../sync/names.ts';
import { exists, folderIdentity } from './lookup.ts';
import type { Tree } from './tree.ts';

/** More changed names than this at once and the whole is looked at. */
const MANY_PATHS = 1_000;

export class Agenda {
  /** Names with events, and whether what has the name may be another thing now. */
  readonly events = new Map<FilePath, boolean>();
  /** Why the whole has to be looked at. */
  doubt: string | undefined;
  /** The root may have been replaced, even if it looks the same. */
  suspect = false;

  note(path: FilePath, structural: boolean): void {
    if (this.events.size >= MANY_PATHS && !this.events.has(path)) this.doubt ??= 'many changes';
    else this.events.set(path, structural || this.events.get(path) === true);
  }

  get empty(): boolean {
    return this.events.size === 0 && this.doubt === undefined && !this.suspect;
  }
}

export interface Sorted {
  /** That are or were, parents first. */
  readonly folders: readonly FilePath[];
  readonly others: readonly FilePath[];
  /** The root may have gone, even if one is there. */
  readonly rootSuspect: boolean;
}

/** What the events are about. */
export async function sortOut(
  events: ReadonlyMap<FilePath, boolean>,
  root: FilePath,
  tree: Tree,
): Promise<Sorted> {
  const folders: FilePath[] = [];
  const others: FilePath[] = [];
  let rootSuspect = false;
  await Promise.all(
    [...events].map(async ([path, structural]) => {
      const absolute = joinPath(root, path);
      if (path === '') rootSuspect = true;
      else if (tree.has(path) || (structural && (await folderIdentity(absolute)) !== undefined))
        folders.push(path);
      else others.push(path);
      // A folder that is deleted or moved tells of itself by its own name: perhaps it was the root.
      if (structural && path === nameOf(root) && !(await exists(absolute))) rootSuspect = true;
    }),
  );
  return { folders: folders.sort(), others, rootSuspect };
}
