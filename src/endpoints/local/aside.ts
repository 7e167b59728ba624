/**
 * Taking a file aside to look at it undisturbed: into a fresh folder of ours, `.ferry-taken-<random>`, beside it. If
 * it is the wanted version it may be disposed of; if not, or after a crash, it is put back and overwrites nothing.
 */

import { randomBytes } from 'node:crypto';
import { type FilePath, folderOf, joinPath, nameOf, OWN_PREFIX } from '../../sync/names.ts';
import type { FileVersion } from '../endpoint.ts';
import type { Disk } from './disk.ts';
import { isVersion } from './entry.ts';
import { changed, isMissing, vanished } from './faults.ts';
import type { Root } from './root.ts';
import { candidate, moveUnlessTaken } from './spot.ts';

const TAKEN = `${OWN_PREFIX}taken-`;
/** Nobody keeps a file aside for so long: whoever took it is dead. */
const ABANDONED_MS = 60_000;

export class Aside {
  readonly #disk: Disk;
  readonly #root: Root;
  readonly #now: () => number;
  readonly #ours = new Set<FilePath>();

  /** @param now ms since the epoch */
  constructor(disk: Disk, root: Root, now: () => number) {
    this.#disk = disk;
    this.#root = root;
    this.#now = now;
  }

  /**
   * Takes a file (path of this host) aside, and if it is that version, lets `use` have it, which may move or remove it.
   * What `use` leaves is put back. @throws Fault `vanished` | `changed`, and what `use` throws
   */
  async take<T>(
    path: FilePath,
    shown: FilePath,
    version: FileVersion,
    use: (taken: FilePath) => Promise<T>,
  ): Promise<T> {
    await this.#assertVersion(path, shown, version);
    const own = joinPath(folderOf(path), TAKEN + randomBytes(8).toString('hex'));
    this.#ours.add(own);
    try {
      await this.#disk.mkdir(own);
      try {
        const taken = joinPath(own, nameOf(path));
        await this.#disk.rename(path, taken).catch((error: unknown) => this.#missing(error, shown));
        await this.#assertVersion(taken, shown, version);
        return await use(taken);
      } finally {
        await this.#empty(own);
      }
    } finally {
      this.#ours.delete(own);
    }
  }

  /** Puts back what such a folder holds, if whoever made it is dead. Resolves to where things are now. */
  async recover(own: FilePath): Promise<readonly FilePath[]> {
    if (!nameOf(own).startsWith(TAKEN) || this.#ours.has(own)) return [];
    try {
      const { ctimeMs } = await this.#disk.stat(own);
      return this.#now() - ctimeMs < ABANDONED_MS ? [] : await this.#empty(own);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  async #assertVersion(path: FilePath, shown: FilePath, version: FileVersion): Promise<void> {
    const stats = await this.#disk.lstat(path).catch((error: unknown) => this.#missing(error, shown));
    if (!isVersion(stats, version)) throw changed(shown);
  }

  async #missing(error: unknown, shown: FilePath): Promise<never> {
    if (!isMissing(error)) throw error;
    await this.#root.assertThere();
    throw vanished(shown, error);
  }

  /** Puts everything back beside the folder, under a free name, and removes the folder. */
  async #empty(own: FilePath): Promise<readonly FilePath[]> {
    const back: FilePath[] = [];
    for (const name of await this.#disk.readNames(own)) {
      back.push(await this.#putBack(joinPath(own, name), joinPath(folderOf(own), name)));
    }
    await this.#disk.rmdir(own);
    return back;
  }

  async #putBack(taken: FilePath, home: FilePath): Promise<FilePath> {
    for (let number = 0; ; number += 1) {
      const place = candidate(home, number);
      if (await moveUnlessTaken(this.#disk, taken, place)) return place;
    }
  }
}
