/**
 * Where the file system that a folder lies on is mounted: the farthest folder above it on the same device (st_dev).
 * Bind mounts within one file system cannot be told apart so; they do not vanish with a server either.
 */

import { type FilePath, folderOf, joinPath, nameOf } from '../../sync/names.ts';
import type { Mount } from '../endpoint.ts';
import type { Disk } from './disk.ts';
import { isMissing } from './faults.ts';

/** @param folder a path of this host; it may be missing, its root may not */
export async function mountOf(disk: Disk, folder: FilePath): Promise<Mount> {
  const { real, missing } = await realFolder(disk, folder);
  const { dev } = await disk.stat(real);
  let point = real;
  while (folderOf(point) !== '' && folderOf(point) !== point) {
    const above = await disk.stat(folderOf(point));
    if (above.dev !== dev) break;
    point = folderOf(point);
  }
  return { folder: joinPath(real, missing), point };
}

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
