/**
 * Paths at the partner. The API takes 1 to 1,024 characters on one line (`(.)+`), and the file arrives under the last
 * part of its key in S3, so a name must fit there too. Folders are the partner's to make: the API cannot.
 */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, nameOf, printable } from '../../sync/names.ts';

export const MOST_PATH_CHARACTERS = 1024;
/** What `.` does not match in Java's regular expressions, and what XML cannot carry in a listing of S3. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_CARRIED = /[\0-\x08\n-\x1f\u0085\u2028\u2029\ufffe\uffff]/;
/** In most file systems. */
const MOST_NAME_BYTES = 255;

/** @throws Fault `permanent` for a name that cannot be sent */
export function assertName(path: FilePath): void {
  const why = unfit(path);
  if (why === undefined) return;
  const shown = printable(path);
  const short = shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
  throw new Fault('permanent', `a connector cannot carry the name ${short}: ${why}`, {
    code: why.includes('has') ? 'ENAMETOOLONG' : 'EINVAL',
    advice: 'Rename the file at the source, or put its folder into `ignore`.',
  });
}

function unfit(path: FilePath): string | undefined {
  if (!path.isWellFormed()) return 'it is not UTF-8';
  if (NOT_CARRIED.test(path)) return 'it holds a line break or another control character';
  if (path.length > MOST_PATH_CHARACTERS)
    return `with its folders it has ${path.length} characters, and the API takes ${MOST_PATH_CHARACTERS}`;
  const parts = path.replace(/^\/+/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..'))
    return 'it holds a folder without a name, . or ..';
  const longest = Math.max(...parts.map((part) => Buffer.byteLength(part)));
  if (longest > MOST_NAME_BYTES)
    return `a part of it has ${longest} bytes, and a name at most ${MOST_NAME_BYTES}`;
  return undefined;
}

/** The folder of a path as the API takes it: undefined where the login starts. */
export function remoteFolderOf(path: FilePath): FilePath | undefined {
  const folder = folderOf(path);
  return folder === '' ? undefined : folder;
}

/** `name.ext`, `name (1).ext`, `name (2).ext` … in the same folder. */
export function candidate(path: FilePath, number: number): FilePath {
  if (number === 0) return path;
  const name = nameOf(path);
  const dot = name.lastIndexOf('.');
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  return `${path.slice(0, path.length - name.length)}${stem} (${number})${extension}`;
}
