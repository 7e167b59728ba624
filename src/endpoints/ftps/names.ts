/**
 * Paths on the wire. A control connection carries bytes (it is read and written as Latin-1 here), and names in it are
 * UTF-8 (RFC 2640), or whatever bytes the file system holds. A name that would end the command cannot be sent.
 */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, fromBytes, isUtf8, joinPath, printable, toBytes } from '../../sync/names.ts';

/** Longest name of most file systems. */
const NAME_BYTES = 255;
/** vsftpd hangs up on longer lines than 4096 bytes. */
const PATH_BYTES = 4_000;

export interface NameRules {
  /** The endpoint's name, for messages. */
  readonly name: string;
  /** Where a login starts, as the server says. */
  readonly home: FilePath;
  /** Bytes that are not UTF-8 can be carried. */
  readonly byteNames: boolean;
  /** How a byte 0xFF is sent, which is an escape in the Telnet that FTP is made of (RFC 959 section 5.3.2). */
  readonly telnet: 'double' | 'plain' | 'never';
}

/** The path from the root on: it never starts with a space or a dash, and CWD does not matter to it. */
export function absolute(home: FilePath, path: FilePath): FilePath {
  if (path.startsWith('/')) return path;
  if (path === '' || path === '.') return home;
  return joinPath(home, path);
}

/** The path as an argument of a command. @throws Fault `permanent` for a path that cannot be sent */
export function wireOf(rules: NameRules, path: FilePath): string {
  const full = absolute(rules.home, path);
  const cannot = (code: string, what: string, advice: string): Fault =>
    new Fault('permanent', `${rules.name}: ${printable(shortened(path))} ${what}`, { code, advice });
  if (/[\r\n\0]/.test(full)) {
    throw cannot(
      'EILSEQ',
      'has a line break in its name, which FTP cannot carry',
      'Rename the file or folder at the source, or ignore it in the job.',
    );
  }
  if (!rules.byteNames && !isUtf8(full)) {
    throw cannot(
      'EILSEQ',
      'has a name that is not UTF-8, which the server cannot hold',
      'Rename the file or folder at the source, or ignore it in the job.',
    );
  }
  const bytes = toBytes(full);
  if (bytes.length > PATH_BYTES || full.split('/').some((part) => toBytes(part).length > NAME_BYTES)) {
    throw cannot(
      'ENAMETOOLONG',
      `is too long: ${NAME_BYTES} bytes is the most for a name, ${PATH_BYTES} for a path`,
      'Rename it at the source, or deliver to a folder with a shorter path.',
    );
  }
  const wire = bytes.toString('latin1');
  if (!wire.includes('\xff') || rules.telnet === 'plain') return wire;
  if (rules.telnet === 'double') return wire.replaceAll('\xff', '\xff\xff');
  throw cannot(
    'EILSEQ',
    'has a byte 0xFF in its name, and nobody knows how the server wants that',
    'Rename the file or folder at the source, or ignore it in the job.',
  );
}

/** A name that came over the wire. */
export function nameOfWire(text: string): FilePath {
  return fromBytes(Buffer.from(text, 'latin1'));
}

/** What a server says, for people to read. */
export function sayingOfWire(text: string): string {
  return printable(nameOfWire(text));
}

function shortened(path: FilePath): FilePath {
  return path.length > 200 ? `${path.slice(0, 100)}…` : path;
}
