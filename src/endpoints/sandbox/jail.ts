/**
 * The folder that a sandbox server serves, and the walls round it: `/` is that folder, `..` ends there, and no
 * symbolic link is followed, wherever it stands in a path.
 */

import { lstatSync } from 'node:fs';
import { type FilePath, isUtf8, toBytes } from '../../sync/names.ts';

/** A path that leads through a symbolic link. */
export class Escape extends Error {
  readonly code = 'EACCES';
}

export class Jail {
  readonly #root: string;

  /** @param root an absolute path of this host */
  constructor(root: string) {
    this.#root = root;
  }

  /** The path as the client may see it: absolute, without `.` and `..`. */
  inside(path: FilePath): FilePath {
    const parts: string[] = [];
    for (const part of path.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    return `/${parts.join('/')}`;
  }

  /**
   * Where it lies on this host. Folders on the way may not be links; neither may the end, unless `link` says that
   * the call acts on the name itself. @throws Escape
   */
  at(path: FilePath, end: 'link' | 'no link' = 'no link'): string | Buffer {
    const parts = this.inside(path).split('/').slice(1);
    let at = this.#root;
    for (const [index, part] of parts.entries()) {
      if (part === '') break; // the root itself
      at = `${at}/${part}`;
      if (end === 'link' && index === parts.length - 1) break;
      const stats = lstatSync(native(at), { throwIfNoEntry: false });
      if (stats?.isSymbolicLink()) throw new Escape('links are not followed');
    }
    return native(at);
  }
}

/** As the system takes it. */
export function native(path: FilePath): string | Buffer {
  if (path.includes('\0')) throw new Escape('a name cannot hold a zero byte');
  return isUtf8(path) ? path : toBytes(path);
}
