/** The work that every tool does: a folder of files, made once, and the proof that it arrived. */

import { readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { sha256OfContent, sha256OfFile, writeContent } from '../support/files.ts';

export interface Folder {
  readonly path: string;
  /** SHA-256 of every file, by its path in the folder. */
  readonly files: ReadonlyMap<string, string>;
}

/** @param perFolder how many files go into one folder; none are below the top when all fit into one */
export async function makeFolder(
  path: string,
  count: number,
  sizeBytes: number,
  perFolder = 10_000,
): Promise<Folder> {
  await rm(path, { recursive: true, force: true });
  const files = new Map<string, string>();
  for (let index = 0; index < count; index += 1) {
    const name = `file-${String(index).padStart(6, '0')}.bin`;
    const inside = count > perFolder ? join(`folder-${Math.floor(index / perFolder)}`, name) : name;
    await writeContent(join(path, inside), inside, sizeBytes);
    files.set(inside, sha256OfContent(inside, sizeBytes));
  }
  return { path, files };
}

/** What has arrived in a folder of a server. */
export interface Copy {
  /** Of all files below, relative. */
  names(): Promise<readonly string[]>;
  sha256(name: string): Promise<string | undefined>;
}

export function copyOnDisk(path: string): Copy {
  return {
    names: async () => {
      const entries = await readdir(path, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => relative(path, join(entry.parentPath, entry.name)));
    },
    sha256: (name) => sha256OfFile(join(path, name)),
  };
}

/** @throws Error when the copy lacks a file, has one too many, or one with other content */
export async function verifyCopy(folder: Folder, copy: Copy): Promise<void> {
  const found = await copy.names();
  const extra = found.filter((name) => !folder.files.has(name));
  if (extra.length > 0) throw new Error(`not asked for: ${extra.slice(0, 5).join(', ')} (${extra.length})`);
  if (found.length !== folder.files.size)
    throw new Error(`${found.length} files arrived of ${folder.files.size}`);
  const waiting = found.values();
  const work = async (): Promise<void> => {
    for (const name of waiting) {
      const sha256 = await copy.sha256(name);
      if (sha256 !== folder.files.get(name)) throw new Error(`${name} arrived with other content`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
}
