/** The folder that the endpoint is: where its paths lie on this host, and whether it is still there. */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, joinPath, printable } from '../../sync/names.ts';
import type { Disk } from './disk.ts';
import { diskFault, isMissing } from './faults.ts';

export class Root {
  readonly path: FilePath;
  readonly #disk: Disk;

  constructor(path: FilePath, disk: Disk) {
    this.path = path;
    this.#disk = disk;
  }

  /** The place of a path of the endpoint on this host. @throws Fault `permanent` when it leads out of the root */
  at(path: FilePath): FilePath {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..') || path.includes('\0')) {
      throw new Fault('permanent', `${printable(path)} leads out of ${printable(this.path)}`, {
        code: 'OUTSIDE',
        advice: 'Use a path below the endpoint’s folder, without `..`.',
      });
    }
    return joinPath(this.path, ...parts);
  }

  /** The same for a file, which cannot be the root itself. */
  fileAt(path: FilePath): FilePath {
    const at = this.at(path);
    if (at !== this.path) return at;
    throw new Fault('permanent', `${printable(this.path)} is the endpoint’s folder, not a file`, {
      code: 'EISDIR',
      advice: 'Name a file below it.',
    });
  }

  /** @throws Fault `unreachable` when it is not there (an unmounted share), `rejected` when it is no folder or closed to us */
  async assertThere(): Promise<void> {
    const advice = 'Create the folder, or mount the share; Ferry goes on by itself when it is there.';
    let fault: Fault | undefined;
    try {
      const stats = await this.#disk.stat(this.path);
      if (stats.isDirectory()) return;
      fault = new Fault('rejected', `${printable(this.path)} is not a folder`, { code: 'ENOTDIR', advice });
    } catch (error) {
      const missing = isMissing(error);
      const { code, message } = diskFault(error, `open the folder ${printable(this.path)}`);
      fault = new Fault(
        missing ? 'unreachable' : 'rejected',
        missing ? `the folder ${printable(this.path)} is missing` : message,
        {
          cause: error,
          advice,
          ...(code === undefined ? {} : { code }),
        },
      );
    }
    if (fault.kind === 'unreachable') this.#disk.broken = fault;
    throw fault;
  }

  /** Makes a folder (a path of this host) and those above it, but never the root itself nor anything above it. */
  async makeFolder(folder: FilePath): Promise<readonly FilePath[]> {
    if (folder === this.path || folder === '/' || folder === '') {
      await this.assertThere();
      return [];
    }
    try {
      await this.#disk.mkdir(folder);
      return [folderOf(folder)];
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error;
      if (error.code === 'EEXIST') return [];
      if (error.code !== 'ENOENT') throw error;
    }
    const above = await this.makeFolder(folderOf(folder));
    try {
      await this.#disk.mkdir(folder);
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error;
    }
    return [...above, folderOf(folder)];
  }
}
