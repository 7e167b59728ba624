/** Makes names in folders survive a power cut; those who ask at the same time about one folder share one call. */

import { constants } from 'node:fs';
import { codeOf } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { Disk } from './disk.ts';

const FLAGS = constants.O_RDONLY | constants.O_DIRECTORY;
/** File systems that cannot do it for folders say so: SMB, some FUSE. */
const NOT_OFFERED = new Set([
  'EINVAL',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EBADF',
  'EACCES',
  'EPERM',
  'EISDIR',
]);

export class FolderSync {
  readonly #disk: Disk;
  /** For each folder: the call that has not begun yet, which everyone may join. */
  readonly #next = new Map<FilePath, Promise<void>>();
  readonly #running = new Map<FilePath, Promise<void>>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** When it resolves, all names made in that folder before the call are durable, where the file system can do it. */
  sync(folder: FilePath): Promise<void> {
    const joined = this.#next.get(folder);
    if (joined !== undefined) return joined;
    const next = this.#afterRunning(folder);
    this.#next.set(folder, next);
    return next;
  }

  async #afterRunning(folder: FilePath): Promise<void> {
    await this.#running.get(folder)?.catch(() => undefined);
    const run = this.#run(folder);
    this.#next.delete(folder);
    this.#running.set(folder, run);
    try {
      await run;
    } finally {
      if (this.#running.get(folder) === run) this.#running.delete(folder);
    }
  }

  async #run(folder: FilePath): Promise<void> {
    try {
      const fd = await this.#disk.open(folder, FLAGS);
      try {
        await this.#disk.fsync(fd);
      } finally {
        await this.#disk.close(fd);
      }
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined || !NOT_OFFERED.has(code)) throw error;
    }
  }
}
