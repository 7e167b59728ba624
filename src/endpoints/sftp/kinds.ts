/** What an SFTP server's attributes say a path is. */

import type { Entry } from '../endpoint.ts';
import type { Attributes } from './wire.ts';

const FILE_TYPE = 0o170000;

/** @param long the entry as `ls -l` would show it, for servers that leave the mode out */
export function kindOf(attributes: Attributes, long = ''): Entry['kind'] {
  const { mode } = attributes;
  if (mode === undefined || (mode & FILE_TYPE) === 0) {
    return long.startsWith('d') ? 'folder' : long.startsWith('l') ? 'link' : 'file';
  }
  switch (mode & FILE_TYPE) {
    case 0o100000:
      return 'file';
    case 0o040000:
      return 'folder';
    case 0o120000:
      return 'link';
    default:
      return 'other';
  }
}

export function isFile(attributes: Attributes): boolean {
  return kindOf(attributes) === 'file';
}
