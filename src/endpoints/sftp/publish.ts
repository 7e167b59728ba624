/**
 * Gives a finished temporary its final name, in the safest way that the server has.
 *
 * Replacing: `posix-rename@openssh.com` does it in one step. Without it, a plain rename; where that refuses because
 * the name is taken, the old file is moved aside, the new one renamed, and the old one removed, or put back when the
 * rename fails. Not replacing: a plain rename, which SFTP version 3 refuses when the name is taken.
 */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import { fileFault, STATUS, statusOf } from './faults.ts';
import { kindOf } from './kinds.ts';
import { explain, type Remote } from './remote.ts';
import { asidePath, removeIfThere, tryPath } from './temp.ts';
import type { Attributes } from './wire.ts';

export type Published = 'published' | 'taken' | 'refused';

/** `refused`: this server renames nothing. Errors are Faults. */
export async function publish(
  remote: Remote,
  temp: FilePath,
  path: FilePath,
  options: { readonly replace: boolean; readonly token: string },
): Promise<Published> {
  try {
    if (options.replace && remote.traits.posixRename) await remote.wire.posixRename(temp, path);
    else await remote.wire.rename(temp, path);
    return 'published';
  } catch (error) {
    if (error instanceof Fault) throw error;
    return await afterRefusal(remote, temp, path, options, error);
  }
}

async function afterRefusal(
  remote: Remote,
  temp: FilePath,
  path: FilePath,
  options: { readonly replace: boolean; readonly token: string },
  error: unknown,
): Promise<Published> {
  const status = statusOf(error);
  const denied = status === STATUS.permissionDenied || status === STATUS.unsupported;
  if (denied && (await renamesNothing(remote, temp, options.token))) return 'refused';
  if (status === STATUS.noSuchFile) {
    throw new Fault('transient', `${remote.name}: the temporary of ${printable(path)} is gone`, {
      code: 'TEMPORARY_GONE',
      cause: error,
      advice: 'If it repeats, something there removes hidden files, or another Ferry delivers the same.',
    });
  }
  const there = await lookAt(remote, path);
  if (there === undefined || denied) throw await explain(remote, error, 'rename to', path);
  if (!options.replace) return 'taken';
  if (kindOf(there) === 'folder') {
    throw new Fault('permanent', `${remote.name}: ${printable(path)} is a folder there`, {
      code: 'EISDIR',
      cause: error,
      advice: 'Rename the folder there, or the file at the source; then ferry retry.',
    });
  }
  if (remote.traits.posixRename) throw await explain(remote, error, 'replace', path);
  await replaceByMovingAside(remote, temp, path, asidePath(path, options.token));
  return 'published';
}

/** Whether not even the temporary can get another name in its own folder. */
async function renamesNothing(remote: Remote, temp: FilePath, token: string): Promise<boolean> {
  const other = tryPath(temp, token);
  try {
    await remote.wire.rename(temp, other);
  } catch (error) {
    if (error instanceof Fault) throw error;
    return statusOf(error) === STATUS.permissionDenied || statusOf(error) === STATUS.unsupported;
  }
  await remote.wire.rename(other, temp);
  return false;
}

async function replaceByMovingAside(
  remote: Remote,
  temp: FilePath,
  path: FilePath,
  aside: FilePath,
): Promise<void> {
  const { wire } = remote;
  await removeIfThere(remote, aside);
  try {
    await wire.rename(path, aside);
  } catch (error) {
    throw fileFault(error, 'move aside', path, remote.name);
  }
  try {
    await wire.rename(temp, path);
  } catch (error) {
    await wire.rename(aside, path).catch(() => undefined);
    throw error instanceof Fault ? error : await explain(remote, error, 'rename to', path);
  }
  await wire.remove(aside).catch(() => undefined);
}

/** @throws Fault when the link breaks or the server does not let us look */
export async function lookAt(remote: Remote, path: FilePath): Promise<Attributes | undefined> {
  try {
    return await remote.wire.lstat(path);
  } catch (error) {
    if (statusOf(error) === STATUS.noSuchFile) return undefined;
    throw fileFault(error, 'look at', path, remote.name);
  }
}
