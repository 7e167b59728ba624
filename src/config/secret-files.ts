/** Files that hold secrets: whether they can be read by Ferry, and whether by everybody else too. */

import { access, constants, stat } from 'node:fs/promises';
import { codeOf } from '../sync/errors.ts';

/** Whether every user of this host can read a secret; below /run secrets are mounted so, for one container only. */
export async function isOpenToAll(file: string): Promise<boolean> {
  return isOpen(file, (await stat(file)).mode);
}

/** @param mode of the file */
export function isOpen(file: string, mode: number): boolean {
  return process.platform !== 'win32' && (mode & 0o004) !== 0 && !file.startsWith('/run/');
}

/** Why a file cannot be read, in words; undefined when it can. */
export async function unreadable(file: string): Promise<string | undefined> {
  try {
    if ((await stat(file)).isDirectory()) return 'this is a folder, not a file';
    await access(file, constants.R_OK);
    return undefined;
  } catch (error) {
    return whyUnreadable(error);
  }
}

/** Why a file could not be read, in words. */
export function whyUnreadable(error: unknown): string {
  const code = codeOf(error);
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'ENOTDIR') return 'there is no such file: a part of its path is not a folder';
  if (code === 'EACCES' || code === 'EPERM') return 'it may not be read by the user that runs Ferry';
  if (code === 'EISDIR') return 'this is a folder, not a file';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'it is not UTF-8 text';
  return `it cannot be read (${code ?? 'unknown reason'})`;
}
