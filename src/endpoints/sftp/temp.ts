/**
 * The temporary file of a delivery: its one deterministic name, how it comes to be, and how it goes.
 *
 * It is always a new file (never an old one truncated), unless a send is resumed: so what an earlier attempt may
 * still have on its way to the server lands in a file that has no name any more.
 */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, inFolderOf, OWN_PREFIX } from '../../sync/names.ts';
import { STATUS, statusOf } from './faults.ts';
import type { Remote } from './remote.ts';
import { explain } from './remote.ts';
import { FLAG, type Handle } from './wire.ts';

/** A folder that vanishes as often as this while a file is sent is somebody else's work. */
const TRIES = 3;

export function tempPath(path: FilePath, token: string): FilePath {
  return inFolderOf(path, `${OWN_PREFIX}${token}.part`);
}

/** Where the old file waits while a server that cannot replace it gets the new one. */
export function asidePath(path: FilePath, token: string): FilePath {
  return inFolderOf(path, `${OWN_PREFIX}${token}.old`);
}

/** Another name for the temporary, to see whether anything can be renamed at all. */
export function tryPath(path: FilePath, token: string): FilePath {
  return inFolderOf(path, `${OWN_PREFIX}${token}.try`);
}

/**
 * Opens a new, empty temporary for writing; one that is left there is removed first. Makes missing folders.
 * @param path the final name, for messages
 */
export async function createTemp(
  remote: Remote,
  temp: FilePath,
  path: FilePath,
  mode: number | undefined,
): Promise<Handle> {
  const { wire } = remote;
  const flags = FLAG.write | FLAG.create | FLAG.exclusive;
  let leftover = false;
  return await openInFolder(remote, path, async () => {
    try {
      return await wire.open(temp, flags, mode);
    } catch (error) {
      // An existing file has no status of its own: OpenSSH says "Failure".
      if (statusOf(error) !== STATUS.failure || leftover) throw error;
      leftover = true;
      await wire.remove(temp).catch(() => {
        throw error;
      });
      return await wire.open(temp, flags, mode);
    }
  });
}

/** Runs `open`, and again after the folder of `path` was made when that is missing. Errors are Faults. */
export async function openInFolder(
  remote: Remote,
  path: FilePath,
  open: () => Promise<Handle>,
): Promise<Handle> {
  const { folders } = remote.memory;
  for (let tries = 1; ; tries += 1) {
    const since = folders.now();
    try {
      return await open();
    } catch (error) {
      const folder = folderOf(path);
      if (statusOf(error) !== STATUS.noSuchFile || folder === '' || folder === '/' || tries > TRIES) {
        throw await explain(remote, error, 'write', path);
      }
      await folders.ensure(remote.wire, folder, since);
    }
  }
}

/** Removes a file if it is there. @throws Fault */
export async function removeIfThere(remote: Remote, path: FilePath): Promise<void> {
  try {
    await remote.wire.remove(path);
  } catch (error) {
    if (error instanceof Fault) throw error;
    if (statusOf(error) !== STATUS.noSuchFile) throw await explain(remote, error, 'remove', path);
  }
}
