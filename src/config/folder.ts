/** The files of a jobs folder: which ones count, what they are called, and whether anything in them has changed. */

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { codeOf } from '../sync/errors.ts';

/** The file that holds the endpoints; every other YAML file in the folder is a job. */
export const ENDPOINTS_FILE = 'endpoints.yaml';

/**
 * Absolute paths of the YAML files in a jobs folder, in the order of their names; none where there is no such
 * folder. Folders below it, dotfiles and editors' leftovers do not count.
 */
export async function configFiles(jobsFolder: string): Promise<readonly string[]> {
  const folder = resolve(jobsFolder);
  try {
    return (await readdir(folder, { withFileTypes: true }))
      .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.') && /\.ya?ml$/i.test(entry.name))
      .map((entry) => join(folder, entry.name))
      .sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Changes when the content of any of these files does; a file that cannot be read counts as one without content. */
export async function configHash(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [...new Set(files)].sort()) {
    const content = await readFile(file).catch(() => undefined);
    hash.update(`${file}\0${content?.length ?? 'none'}\0`).update(content ?? '');
  }
  return hash.digest('hex');
}

/** `invoices` of `invoices.yaml`; composed, as people type it, where a file system keeps it decomposed. */
export function jobNameOf(fileName: string): string {
  return fileName.replace(/\.ya?ml$/i, '').normalize('NFC');
}
