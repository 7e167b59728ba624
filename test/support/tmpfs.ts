/** A small file system of its own for a test: to fill a disk, or to have a second device. Needs root. */

import { execFile } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface MountedFolder extends AsyncDisposable {
  readonly path: string;
  /** Makes it read-only, or writable again. */
  readOnly(on: boolean): Promise<void>;
  /** Makes it larger, or smaller, than it was. */
  resize(sizeBytes: number): Promise<void>;
}

/** Shows the files of a folder at another, empty one, as a share that can come and go with its files. */
export async function mountAgain(folder: string, at: string): Promise<AsyncDisposable> {
  await run('mount', ['--bind', folder, at]);
  return {
    [Symbol.asyncDispose]: async () => {
      await run('umount', ['-l', at]);
    },
  };
}

/**
 * @param at an existing empty folder, which stays; default: a new temporary one
 * @throws Error that says what is needed where mounting is not allowed
 */
export async function mountTmpfs(sizeBytes: number, at?: string): Promise<MountedFolder> {
  const path = at ?? (await mkdtemp(join(tmpdir(), 'ferry-tmpfs-')));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'ferry-test', path]);
  } catch (error) {
    if (at === undefined) await rmdir(path);
    throw new Error('this test mounts a small tmpfs: run it as root, in a container with CAP_SYS_ADMIN', {
      cause: error,
    });
  }
  return {
    path,
    readOnly: async (on) => {
      await run('mount', ['-o', `remount,${on ? 'ro' : 'rw'}`, path]);
    },
    resize: async (bytes) => {
      await run('mount', ['-o', `remount,size=${bytes}`, path]);
    },
    [Symbol.asyncDispose]: async () => {
      await run('umount', ['-l', path]);
      if (at === undefined) await rmdir(path);
    },
  };
}
