/**
 * Which calls into the system are made in place. On a local disk a call takes some microseconds, and its way through
 * the thread pool twenty times as long: with small files, more than anything else that is done for them.
 *
 * In place is only what cannot hang: the file system of the file's folder must be known as a local one (like the
 * one under the ledger, whose calls are made in place too), and that is asked again all the time, since another may be
 * mounted there. And only what does not wait: after a call that did (a cold disk that has to seek), the pool has its turn.
 */

import fs from 'node:fs';
import { throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import { type Disk, type FileCalls, native } from './disk.ts';

/** `f_type` of statfs(2): ext2 to ext4, XFS, Btrfs, F2FS, ZFS, tmpfs. */
const LOCAL = new Set([0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0x01021994]);
/** What is known of a folder holds for so long. */
const KNOWN_MS = 1_000;
const MOST_FOLDERS = 1_000;
/** A call that takes longer has waited for the disk. */
const WAITED_MS = 3;
/** So many times as long as it waited, nothing is done in place then. */
const PAUSE_TIMES = 20;

export class Prompt {
  readonly #disk: Disk;
  readonly #now: () => number;
  readonly #calls: FileCalls = {
    open: async (path, flags) => this.#timed(() => fs.openSync(native(path), flags)),
    close: async (fd) => this.#timed(() => fs.closeSync(fd)),
    fstat: async (fd) => this.#timed(() => fs.fstatSync(fd)),
    lstat: async (path) => this.#timed(() => fs.lstatSync(native(path))),
    read: async (fd, length, position) => this.#timed(() => readSync(fd, length, position)),
  };
  /** Local folders, and until when that is taken for granted. */
  readonly #local = new Map<FilePath, number>();
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  /** `now`: a clock in ms that never goes back. */
  constructor(disk: Disk, now: () => number = () => performance.now()) {
    this.#disk = disk;
    this.#now = now;
  }

  /** Work on a file in this folder, in place where that may be; else as `Disk.bounded`. */
  async within<T>(folder: FilePath, signal: AbortSignal, work: (calls: FileCalls) => Promise<T>): Promise<T> {
    const calls = this.calls(folder);
    if (calls === this.#disk) return await this.#disk.bounded(signal, () => work(calls));
    throwIfAborted(signal);
    if (this.#disk.broken !== undefined) throw this.#disk.broken;
    return await work(calls);
  }

  /** In place, or the disk's own. */
  calls(folder: FilePath): FileCalls {
    const untilMs = this.#local.get(folder);
    if (untilMs === undefined) return this.#disk;
    const nowMs = this.#now();
    return nowMs < untilMs && nowMs >= this.#pausedUntilMs ? this.#calls : this.#disk;
  }

  /** Asks the system what the folder lies on, unless that is known. Never rejects. */
  async learn(folder: FilePath): Promise<void> {
    if (process.platform !== 'linux') return;
    if (this.#now() < (this.#local.get(folder) ?? Number.NEGATIVE_INFINITY)) return;
    this.#local.delete(folder);
    try {
      const { type } = await this.#disk.statfs(folder);
      if (!LOCAL.has(type >>> 0)) return;
      if (this.#local.size >= MOST_FOLDERS) this.#local.clear();
      this.#local.set(folder, this.#now() + KNOWN_MS);
    } catch {
      // whoever opens a file there is told
    }
  }

  #timed<T>(call: () => T): T {
    const startMs = this.#now();
    try {
      return call();
    } finally {
      const endMs = this.#now();
      const waitedMs = endMs - startMs;
      if (waitedMs > WAITED_MS) this.#pausedUntilMs = endMs + waitedMs * PAUSE_TIMES;
    }
  }
}

function readSync(fd: number, length: number, position: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const bytesRead = fs.readSync(fd, buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled === length ? buffer : buffer.subarray(0, filled);
}
