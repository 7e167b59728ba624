/** The bucket behind `transfer-ftps.ts`: files that appear whole or not at all, and never replace on rename. */

import type { Stats } from 'node:fs';
import { createWriteStream } from 'node:fs';
import { lstat, mkdir, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBytes, isUtf8, toBytes } from '../../src/sync/names.ts';

export class Store {
  readonly #folder: string;
  readonly #uploads: string;
  #count = 0;

  /** @param uploads where parts of files lie, on the same disk */
  constructor(folder: string, uploads: string) {
    this.#folder = folder;
    this.#uploads = uploads;
  }

  /** A path as a session sees it, absolute. */
  resolve(current: string, argument: string): string {
    const path = fromBytes(Buffer.from(argument, 'latin1'));
    if (!isUtf8(path)) throw new Error('names must be UTF-8');
    const parts: string[] = [];
    for (const part of (path.startsWith('/') ? path : `${current}/${path}`).split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    return `/${parts.join('/')}`;
  }

  disk(path: string): Buffer {
    return toBytes(join(this.#folder, path));
  }

  async look(path: string): Promise<Stats | undefined> {
    return await lstat(this.disk(path)).catch(() => undefined);
  }

  /** The content of an object in the making; `commit` makes it visible, all at once. */
  async write(path: string): Promise<Upload> {
    this.#count += 1;
    const part = join(this.#uploads, `${this.#count}`);
    const stream = createWriteStream(part);
    const there = await this.look(path);
    if (there?.isDirectory()) throw new Error('it is a folder');
    const above = await this.look(path.slice(0, path.lastIndexOf('/')) || '/');
    if (above?.isDirectory() !== true) throw new Error('no such folder');
    return {
      stream,
      commit: () => rename(part, this.disk(path)),
      drop: () => unlink(part).catch(() => undefined),
    };
  }

  async rename(from: string, to: string): Promise<void> {
    if ((await this.look(to)) !== undefined) throw new Error('it exists already');
    await rename(this.disk(from), this.disk(to));
  }

  async remove(path: string): Promise<void> {
    await unlink(this.disk(path));
  }

  async removeFolder(path: string): Promise<void> {
    await rmdir(this.disk(path));
  }

  async makeFolder(path: string): Promise<void> {
    await mkdir(this.disk(path));
  }

  /** Lines of MLSD. */
  async facts(path: string): Promise<readonly string[]> {
    const names = await readdir(this.disk(path), { encoding: 'buffer' });
    const lines: string[] = [];
    for (const name of names) {
      const stats = await this.look(`${path}/${fromBytes(name)}`);
      if (stats !== undefined) lines.push(`${factsOf(stats)} ${name.toString('latin1')}`);
    }
    return lines;
  }
}

export interface Upload {
  readonly stream: ReturnType<typeof createWriteStream>;
  commit(): Promise<void>;
  drop(): Promise<void>;
}

/** S3 knows objects and what looks like folders. */
export function factsOf(stats: Stats): string {
  const type = stats.isDirectory() ? 'dir' : stats.isFile() ? 'file' : 'OS.unix=symlink';
  const size = stats.isFile() ? `size=${stats.size};` : '';
  return `${size}modify=${timeOf(stats)};type=${type};`;
}

export function timeOf(stats: Stats): string {
  return new Date(stats.mtimeMs).toISOString().replace(/[-:T]|\.\d+Z$/g, '');
}
