/**
 * The temporary under which a file grows, in the folder where it will be: `.ferry-<token>.part`.
 *
 * Each attempt has an inode of its own unless it goes on with an earlier one, and gives its final name only to the
 * inode that it wrote: a forgotten attempt that still runs somewhere can spoil nothing.
 */

import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, joinPath, OWN_PREFIX } from '../../sync/names.ts';
import type { Disk } from './disk.ts';
import { isMissing } from './faults.ts';
import type { FolderSync } from './folder-sync.ts';
import type { Progress } from './resume.ts';
import type { Root } from './root.ts';

const NEW = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const OLD = constants.O_RDWR | constants.O_NOFOLLOW;
const BLOCK = 1024 * 1024;
/** So much may wait in memory for the disk: what comes in is written out while more comes in. */
const FLUSH_BYTES = 64 * 1024 * 1024;

export interface PartContext {
  readonly disk: Disk;
  readonly root: Root;
  readonly folders: FolderSync;
}

/** @param target a path of this host */
export function partOf(target: FilePath, token: string): FilePath {
  return joinPath(folderOf(target), `${OWN_PREFIX}${token}.part`);
}

export class Part {
  readonly path: FilePath;
  /** Of all bytes written so far, in order. */
  readonly hash: Hash;
  /** Bytes written so far. */
  length: number;
  readonly #disk: Disk;
  readonly #fd: number;
  #open = true;
  #flushed: number;
  #flushing: Promise<void> = Promise.resolve();

  private constructor(disk: Disk, path: FilePath, fd: number, length: number, hash: Hash) {
    this.#disk = disk;
    this.path = path;
    this.#fd = fd;
    this.length = length;
    this.#flushed = length;
    this.hash = hash;
  }

  /** An empty one; whatever had its name is removed. Makes the folders that are missing. */
  static async create({ disk, root, folders }: PartContext, path: FilePath): Promise<Part> {
    for (let tries = 0; ; tries += 1) {
      try {
        return new Part(disk, path, await disk.open(path, NEW, 0o666), 0, createHash('sha256'));
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        if (tries > 3) throw error;
        if (code === 'ENOENT') {
          const made = await root.makeFolder(folderOf(path));
          await Promise.all(made.map((folder) => folders.sync(folder)));
        } else if (code === 'EEXIST') await remove(disk, path);
        else throw error;
      }
    }
  }

  /** One that an earlier attempt left, cut to what it is known to hold; undefined when that is not there. */
  static async goOn({ disk }: PartContext, path: FilePath, known: Progress): Promise<Part | undefined> {
    let fd: number;
    try {
      fd = await disk.open(path, OLD);
    } catch {
      return undefined;
    }
    try {
      const hash = createHash('sha256');
      const stats = await disk.fstat(fd);
      const read =
        stats.isFile() && stats.size >= known.bytes ? await hashTo(disk, fd, known.bytes, hash) : 0;
      if (read === known.bytes && hash.copy().digest('hex') === known.sha256) {
        await disk.ftruncate(fd, known.bytes);
        return new Part(disk, path, fd, known.bytes, hash);
      }
    } catch {
      // It cannot be used; a new one will say why, if there is a reason.
    }
    await disk.close(fd);
    return undefined;
  }

  /** Adds bytes at the end. Not to be called again before it has resolved. */
  async append(bytes: Buffer): Promise<void> {
    const writing = this.#disk.write(this.#fd, bytes, this.length);
    this.hash.update(bytes);
    await writing;
    this.length += bytes.length;
    if (this.length - this.#flushed < FLUSH_BYTES) return;
    await this.#flushing;
    this.#flushed = this.length;
    this.#flushing = this.#disk.fdatasync(this.#fd);
    this.#flushing.catch(() => undefined); // reported by whoever waits for it
  }

  /** @throws Fault `transient` when it does not hold exactly so many bytes */
  async assertSize(bytes: number): Promise<void> {
    const { size } = await this.#disk.fstat(this.#fd);
    if (size !== bytes) throw mismatch(`${size} bytes are there after ${bytes} were written`);
  }

  /** Reads it all back. @throws Fault `transient` when it is not what was written */
  async assertContent(sha256: string): Promise<void> {
    const hash = createHash('sha256');
    await hashTo(this.#disk, this.#fd, this.length, hash);
    if (hash.digest('hex') !== sha256) throw mismatch('what was read back is not what was written');
  }

  async finish(options: {
    readonly mtimeMs: number | undefined;
    readonly mode: number | undefined;
  }): Promise<void> {
    if (options.mode !== undefined) await this.#disk.fchmod(this.#fd, options.mode);
    if (options.mtimeMs !== undefined) await this.#disk.futimes(this.#fd, options.mtimeMs);
    await this.#flushing;
    await this.#disk.fsync(this.#fd);
  }

  /** @throws Fault `transient` when its name belongs to another file by now */
  async assertOurs(): Promise<void> {
    const [ours, named] = await Promise.all([this.#disk.fstat(this.#fd), this.#disk.lstat(this.path)]);
    if (ours.ino === named.ino && ours.dev === named.dev) return;
    throw mismatch('another attempt took over the temporary file');
  }

  /** Removes it, unless its name belongs to another file by now. */
  async discard(): Promise<void> {
    await this.assertOurs();
    await remove(this.#disk, this.path);
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#flushing.catch(() => undefined);
    if (this.#disk.broken === undefined) await this.#disk.close(this.#fd);
  }
}

export async function remove(disk: Disk, path: FilePath): Promise<void> {
  try {
    await disk.unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Hashes a file from its start, up to so many bytes; resolves to how many there were. */
export async function hashTo(disk: Disk, fd: number, bytes: number, hash: Hash): Promise<number> {
  let at = 0;
  while (at < bytes) {
    const block = await disk.read(fd, Math.min(BLOCK, bytes - at), at);
    if (block.length === 0) break;
    hash.update(block);
    at += block.length;
  }
  return at;
}

function mismatch(words: string): Fault {
  return new Fault('transient', words, {
    code: 'VERIFY',
    advice: 'If it repeats, check the disk and the share that it lies on.',
  });
}
