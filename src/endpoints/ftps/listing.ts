/** One line of a listing: facts of MLSD (RFC 3659 section 7), or what LIST prints, by basic-ftp's parsers. */

import { FileType, parseList } from 'basic-ftp';
import type { Entry } from '../endpoint.ts';
import { timeVal } from './reply.ts';

export interface Facts {
  readonly kind: Entry['kind'];
  readonly sizeBytes: number;
  /** 0 where the server does not say. */
  readonly mtimeMs: number;
  readonly mode?: number;
}

export interface Line extends Facts {
  /** The name as it came. */
  readonly wire: string;
}

/** `type=file;size=12;modify=20261122010814; name` → facts; undefined when it is no such line. */
export function factsIn(line: string): Facts | undefined {
  return factLine(line);
}

/** As `factsIn`, with the name. `skip` for the folder itself and the one above. */
export function mlsdLineIn(line: string): Line | 'skip' | undefined {
  const found = factLine(line);
  if (found === undefined) return undefined;
  const { type, wire } = found;
  return type === 'cdir' || type === 'pdir' || wire === '.' || wire === '..' || wire === '' ? 'skip' : found;
}

function factLine(line: string): (Line & { readonly type: string }) | undefined {
  const space = line.indexOf(' ');
  if (space < 0 || (space > 0 && !line.slice(0, space).endsWith(';'))) return undefined;
  const facts = new Map<string, string>();
  for (const fact of line.slice(0, space).split(';')) {
    const equals = fact.indexOf('=');
    if (equals > 0) facts.set(fact.slice(0, equals).toLowerCase(), fact.slice(equals + 1));
  }
  const type = facts.get('type')?.toLowerCase() ?? '';
  const size = Number(facts.get('size') ?? 0);
  const mode = Number.parseInt(facts.get('unix.mode') ?? '', 8);
  return {
    type,
    kind: kindOf(type),
    sizeBytes: Number.isSafeInteger(size) && size >= 0 ? size : 0,
    mtimeMs: timeVal(facts.get('modify') ?? '') ?? 0,
    ...(Number.isNaN(mode) ? {} : { mode: mode & 0o7777 }),
    wire: line.slice(space + 1),
  };
}

/** Servers do not agree on how to write a link: `OS.unix=slink:/target`, `OS.unix=symlink` (RFC 3659 erratum 1500). */
function kindOf(type: string): Entry['kind'] {
  if (type === 'file') return 'file';
  if (type === 'dir' || type === 'cdir' || type === 'pdir') return 'folder';
  return /^os\.unix=s(?:ym)?link/.test(type) ? 'link' : 'other';
}

/** A line of LIST or STAT; its time is left out: it has no zone, and often no year. */
export function lineIn(line: string): Line | undefined {
  try {
    const [info] = parseList(line);
    if (info === undefined || !/^[bcdlps-]|^\d/.test(line)) return undefined;
    const kind =
      info.type === FileType.Directory
        ? 'folder'
        : info.type === FileType.SymbolicLink
          ? 'link'
          : info.type === FileType.File && !/^[bcps]/.test(line)
            ? 'file'
            : 'other';
    return { kind, sizeBytes: info.size, mtimeMs: 0, wire: info.name };
  } catch {
    return undefined; // no line of a listing
  }
}

/** A line of LIST that names nothing in the folder: a total, the folder itself, the one above. basic-ftp gives nothing for these. */
export function namesNothing(line: string): boolean {
  return /^total \d+$/.test(line) || /^\.\.?x$/.test(lineIn(`${line}x`)?.wire ?? '');
}
