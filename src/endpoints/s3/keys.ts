/**
 * Paths and keys. A key is the endpoint's prefix and the path; S3 itself knows no folders, and would take names that
 * a listing, a URL or another file system cannot carry: those are refused here, in words.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
 */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, fromBytes, nameOf, printable, toBytes } from '../../sync/names.ts';

export const MOST_KEY_BYTES = 1024;
/** What XML 1.0 cannot carry (section 2.2), so that a listing could not show it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_XML = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/;

/** @throws Fault `permanent` for a name that S3 cannot hold */
export function keyOf(prefix: string, path: FilePath): string {
  const key = folderKeyOf(prefix, path);
  const why = unfit(key);
  if (why !== undefined) throw nameFault(path, why);
  return key;
}

/** The same for a folder, where the whole endpoint is one: `''`, or ends in `/`. */
export function prefixOf(prefix: string, folder: FilePath): string {
  const key = folderKeyOf(prefix, folder);
  return key === '' || key.endsWith('/') ? key : `${key}/`;
}

function folderKeyOf(prefix: string, path: FilePath): string {
  return prefix + path.replace(/^\/+/, '');
}

/** Why a key can be no file's; undefined when it can. */
export function unfit(key: string): string | undefined {
  if (!key.isWellFormed()) return 'names in S3 are UTF-8, and this one is not';
  if (Buffer.byteLength(key) > MOST_KEY_BYTES)
    return `with its folders it has ${Buffer.byteLength(key)} bytes, and a key in S3 at most ${MOST_KEY_BYTES}`;
  if (NOT_XML.test(key)) return 'it holds a control character that a listing of S3 cannot carry';
  const parts = key.split('/');
  if (parts.some((part) => part === '.' || part === '..')) return 'it holds . or .. as the name of a folder';
  if (parts.some((part) => part === '')) return 'it holds a folder without a name, or ends in /';
  return undefined;
}

function nameFault(path: FilePath, why: string): Fault {
  const shown = printable(path);
  const short = shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
  return new Fault('permanent', `S3 cannot hold the name ${short}: ${why}`, {
    code: why.includes('bytes') ? 'ENAMETOOLONG' : 'EINVAL',
    advice: 'Rename the file at the source, or put its folder into `ignore`.',
  });
}

/** `name.ext`, `name (1).ext`, `name (2).ext` … in the same folder, within what a key may have. */
export function candidate(prefix: string, path: FilePath, number: number): FilePath {
  if (number === 0) return path;
  const name = nameOf(path);
  const dot = name.lastIndexOf('.');
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  const tail = ` (${number})${extension}`;
  const folder = path.slice(0, path.length - name.length);
  const room = MOST_KEY_BYTES - Buffer.byteLength(prefix + folder + tail);
  return folder + shorten(stem, room) + tail;
}

/** The first characters that fit. */
function shorten(text: string, bytes: number): string {
  const all = toBytes(text);
  if (all.length <= bytes) return text;
  let end = Math.max(0, bytes);
  while (end > 0 && ((all[end] ?? 0) & 0xc0) === 0x80) end -= 1; // not within a character
  return fromBytes(all.subarray(0, end));
}

/** All folders that a path lies in, outermost first. */
export function foldersOf(path: FilePath): readonly FilePath[] {
  const folder = folderOf(path);
  return folder === '' || folder === '/' ? [] : [...foldersOf(folder), folder];
}
