/** Names for a file whose own name is taken: ` (1)`, ` (2)` … before the extension, within 255 bytes. */

import { type FilePath, folderOf, fromBytes, joinPath, nameOf, toBytes } from '../../sync/names.ts';

const MOST_BYTES = 255;

/** @param n 0 for the name itself */
export function candidate(path: FilePath, n: number): FilePath {
  if (n === 0) return path;
  const name = nameOf(path);
  const dot = name.lastIndexOf('.');
  const stem = dot > 0 ? name.slice(0, dot) : name;
  const tail = ` (${n})${dot > 0 ? name.slice(dot) : ''}`;
  return joinPath(folderOf(path), shorten(stem, MOST_BYTES - toBytes(tail).length) + tail);
}

/** The first characters that fit. */
function shorten(text: FilePath, bytes: number): FilePath {
  const all = toBytes(text);
  if (all.length <= bytes) return text;
  let end = bytes;
  while (end > 0 && ((all[end] ?? 0) & 0xc0) === 0x80) end -= 1; // not within a character
  return fromBytes(all.subarray(0, end));
}
