/** What the system says of a file, in the words of the contract. */

import type { FilePath } from '../../sync/names.ts';
import { type Entry, type FileVersion, sameVersion } from '../endpoint.ts';
import type { Numbers } from './look.ts';

const TYPE = 0o170000;

export function entryOf(path: FilePath, stats: Numbers): Entry {
  return {
    path,
    kind: kindOf(stats.mode & TYPE),
    version: { sizeBytes: stats.size, mtimeMs: stats.mtimeMs, tag: String(stats.ino) },
    changedMs: stats.ctimeMs,
    mode: stats.mode & 0o7777,
  };
}

function kindOf(type: number): Entry['kind'] {
  if (type === 0o100000) return 'file';
  if (type === 0o040000) return 'folder';
  return type === 0o120000 ? 'link' : 'other';
}

/** True when it is a file, and exactly that version of it. */
export function isVersion(stats: Numbers, version: FileVersion): boolean {
  const entry = entryOf('', stats);
  return entry.kind === 'file' && sameVersion(entry.version, version);
}
