/**
 * Where the file system that a folder lies on is mounted: the farthest folder above it on the same device (st_dev).
 * Bind mounts within one file system cannot be told apart so; they do not vanish with a server either.
 */

import { type FilePath, folderOf, joinPath, nameOf } from '../../sync/names.ts';
import type { Mount } from '../endpoint.ts';
import type { Disk } from './disk.ts';
import { isMissing } from './faults.ts';
import type { Root } from './root.ts';

/** Finds them, and does not walk upwards again for a folder that is the very same as before. */
export class Mounts {
  readonly #disk: Disk;
  readonly #root: Root;
  readonly #known = new Map<
    FilePath,
    { readonly dev: number; readonly ino: number; readonly mount: Mount }
  >();

  constructor(disk: Disk, root: Root) {
    this.#disk = disk;
    this.#root = root;
  }

  /** @param folder a path of this host; it may be missing. @throws Fault as `Root.assertThere` */
  async of(folder: FilePath): Promise<Mount> {
    const known = this.#known.get(folder);
    if (known !== undefined) {
      const { dev, ino } = await this.#disk.stat(folder).catch(() => NOTHING);
      if (dev === known.dev && ino === known.ino) return known.mount;
      this.#known.delete(folder);
    }
    await this.#root.assertThere();
    const { real, missing } = await realFolder(this.#disk, folder);
    const { dev, ino } = await this.#disk.stat(real);
    const mount = { folder: joinPath(real, missing), point: await this.#pointOf(real, dev) };
    if (missing === '') this.#known.set(folder, { dev, ino, mount });
    return mount;
  }

  async #pointOf(real: FilePath, dev: number): Promise<FilePath> {
    let point = real;
    while (folderOf(point) !== '' && folderOf(point) !== point) {
      const above = await this.#disk.stat(folderOf(point));
      if (above.dev !== dev) break;
      point = folderOf(point);
    }
    return point;
  }
}

const NOTHING = { dev: undefined, ino: undefined };

/** The nearest folder at or above that is there, and what is missing below it. */
async function realFolder(disk: Disk, folder: FilePath): Promise<{ real: FilePath; missing: FilePath }> {
  try {
    return { real: await disk.realpath(folder), missing: '' };
  } catch (error) {
    const above = folderOf(folder);
    if (!isMissing(error) || above === '' || above === folder) throw error;
    const { real, missing } = await realFolder(disk, above);
    return { real, missing: joinPath(missing, nameOf(folder)) };
  }
}
