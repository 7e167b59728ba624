/**
 * File names are bytes on Linux; in here they are strings.
 *
 * A `FilePath` is valid UTF-8 decoded as usual, with every byte that is not part of valid UTF-8 carried as a
 * lone surrogate U+DC80…U+DCFF (Python's PEP 383 "surrogateescape"), so that decoding and encoding again
 * gives the same bytes. Separators are `/`; a path relative to a root neither starts with `/` nor holds `..`.
 */

export type FilePath = string;

/** True when no byte had to be escaped, so that the path can be sent as plain UTF-8. */
export function isUtf8(path: FilePath): boolean {
  return path.isWellFormed();
}

/** Bytes as the file system holds them. */
export function toBytes(path: FilePath): Buffer {
  if (path.isWellFormed()) return Buffer.from(path, 'utf8');
  const parts: Buffer[] = [];
  let plain = '';
  for (const char of path) {
    const unit = char.length === 1 ? char.charCodeAt(0) : 0;
    if (unit >= 0xdc80 && unit <= 0xdcff) {
      parts.push(Buffer.from(plain, 'utf8'), Buffer.of(unit - 0xdc00));
      plain = '';
    } else plain += char;
  }
  parts.push(Buffer.from(plain, 'utf8'));
  return Buffer.concat(parts);
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The reverse of `toBytes`. */
export function fromBytes(bytes: Uint8Array): FilePath {
  try {
    return strict.decode(bytes);
  } catch {
    return decodeEscaping(bytes);
  }
}

function decodeEscaping(bytes: Uint8Array): FilePath {
  let out = '';
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      out += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      at += 1;
    } else {
      out += strict.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return out;
}

/** Length in bytes of the valid UTF-8 sequence at `at`, or 0 where there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    strict.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}

/** C1 control characters, line separators, and what turns the direction of writing. */
const TRICKS = /[\u0080-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

/**
 * The path as a person may read it, of which no terminal takes a part for a command or shows it backwards: escaped bytes as
 * `\xNN`, control characters as `\n`, `\t`, `\xNN`, `\uNNNN`.
 */
export function printable(path: FilePath): string {
  let out = '';
  for (const char of path) {
    const unit = char.charCodeAt(0);
    if (char.length === 1 && unit >= 0xdc80 && unit <= 0xdcff) out += hex(unit - 0xdc00);
    else if (char === '\n') out += '\\n';
    else if (char === '\t') out += '\\t';
    else if (unit < 0x20 || unit === 0x7f) out += hex(unit);
    else if (TRICKS.test(char)) out += `\\u${unit.toString(16).padStart(4, '0')}`;
    else out += char;
  }
  return out;
}

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** Joins with single slashes; keeps a leading `/` of the first part; skips empty parts. */
export function joinPath(...parts: readonly FilePath[]): FilePath {
  const kept = parts.filter((part) => part !== '');
  return kept
    .map((part, index) => {
      const head = index === 0 ? part : part.replace(/^\/+/, '');
      return index === kept.length - 1 ? head : head.replace(/\/+$/, '');
    })
    .filter((part, index) => part !== '' || index === 0)
    .join('/');
}

/** The folder of a path, `''` when it has none, `/` at the root. */
export function folderOf(path: FilePath): FilePath {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : slash === 0 ? '/' : path.slice(0, slash);
}

export function nameOf(path: FilePath): FilePath {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Another name in the folder of a path. */
export function inFolderOf(path: FilePath, name: FilePath): FilePath {
  return path.slice(0, path.lastIndexOf('/') + 1) + name;
}

/** Ferry's own files at an endpoint all start so: never picked up by a scan. */
export const OWN_PREFIX = '.ferry-';

/** Of a name, on most file systems. */
const MOST_NAME_BYTES = 255;

const TAKEN = /^\.ferry-taken-[0-9a-f]{16}-(.+)$/s;

/**
 * Where a remote file waits, beside where it was, while it is looked at once more before it is removed.
 *
 * @param token 16 hex digits
 * @returns undefined where that name would be too long
 */
export function takenAside(path: FilePath, token: string): FilePath | undefined {
  const name = `${OWN_PREFIX}taken-${token}-${nameOf(path)}`;
  return toBytes(name).length > MOST_NAME_BYTES ? undefined : inFolderOf(path, name);
}

/** Where a file was that waits under such a name; undefined for any other. */
export function takenFrom(path: FilePath): FilePath | undefined {
  const name = TAKEN.exec(nameOf(path))?.[1];
  return name === undefined ? undefined : inFolderOf(path, name);
}

/**
 * Names for a file whose own name is taken: ` (1)`, ` (2)` … before the extension, within 255 bytes.
 *
 * @param n 0 for the name itself
 */
export function candidate(path: FilePath, n: number): FilePath {
  if (n === 0) return path;
  const name = nameOf(path);
  const dot = name.lastIndexOf('.');
  const stem = dot > 0 ? name.slice(0, dot) : name;
  const tail = ` (${n})${dot > 0 ? name.slice(dot) : ''}`;
  return joinPath(folderOf(path), shorten(stem, MOST_NAME_BYTES - toBytes(tail).length) + tail);
}

/** The first characters that fit. */
function shorten(text: FilePath, bytes: number): FilePath {
  const all = toBytes(text);
  if (all.length <= bytes) return text;
  let end = bytes;
  while (end > 0 && ((all[end] ?? 0) & 0xc0) === 0x80) end -= 1; // not within a character
  return fromBytes(all.subarray(0, end));
}
