/**
 * The file system, as this endpoint uses it: names as bytes, and no call that a dead share can hang for ever.
 *
 * A call into the system cannot be taken back. So every one is watched, and when one does not come back in time, all
 * that wait for this disk are told that it is unreachable, and it is not asked again.
 */

import fs from 'node:fs';
import { realpath } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, fromBytes, isUtf8, toBytes } from '../../sync/names.ts';
import { diskFault } from './faults.ts';
import { lostBytes, namesOf } from './look.ts';

const STALL_MS = 60_000;
/** Writing out what a slow disk still has in memory may take much longer. */
const FLUSH_TIMES = 15;
const LOOK_EVERY_MS = 5_000;
/** An aborted call gets so long to end tidily by itself. */
const TIDY_MS = 5_000;

const open = promisify(fs.open);
const close = promisify(fs.close);
const read = promisify(fs.read);
const write = promisify(fs.write);
const fstat = promisify(fs.fstat);
const lstat = promisify(fs.lstat);
const stat = promisify(fs.stat);
const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);
const futimes = promisify(fs.futimes);
const fchmod = promisify(fs.fchmod);
const ftruncate = promisify(fs.ftruncate);
const rename = promisify(fs.rename);
const link = promisify(fs.link);
const unlink = promisify(fs.unlink);
const mkdir = promisify(fs.mkdir);
const rmdir = promisify(fs.rmdir);
const readdir = promisify(fs.readdir);
const statfs = promisify(fs.statfs);

/** As the system takes it. */
export function native(path: FilePath): string | Buffer {
  return isUtf8(path) ? path : toBytes(path);
}

/** What is called for a file that is read. */
export interface FileCalls {
  open(path: FilePath, flags: number): Promise<number>;
  close(fd: number): Promise<void>;
  fstat(fd: number): Promise<fs.Stats>;
  lstat(path: FilePath): Promise<fs.Stats>;
  /** As many bytes as there are, up to `length`. @param buffer of that length, to read into */
  read(fd: number, length: number, position: number, buffer?: Buffer): Promise<Buffer>;
}

export class Disk implements FileCalls, Disposable {
  /** Set once the disk has stopped answering, or its root is gone. */
  broken: Fault | undefined;
  /** When each call that is under way is late. */
  readonly #calls = new Map<number, number>();
  readonly #waiting = new Set<(fault: Fault) => void>();
  readonly #watch: NodeJS.Timeout;
  readonly #now: () => number;
  readonly #stallMs: number;
  #count = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /** `now`: a clock in ms that never goes back. */
  constructor(options: { readonly now?: () => number; readonly stallMs?: number } = {}) {
    this.#now = options.now ?? (() => performance.now());
    this.#stallMs = options.stallMs ?? STALL_MS;
    this.#watch = setInterval(() => this.#look(), Math.min(LOOK_EVERY_MS, this.#stallMs / 2)).unref();
  }

  readonly open = (path: FilePath, flags: number, mode?: number) =>
    this.#call(open(native(path), flags, mode));
  readonly close = (fd: number) => this.#call(close(fd));
  readonly fstat = (fd: number) => this.#call(fstat(fd));
  readonly lstat = (path: FilePath) => this.#call(lstat(native(path)));
  readonly stat = (path: FilePath) => this.#call(stat(native(path)));
  readonly fsync = (fd: number) => this.#call(fsync(fd), FLUSH_TIMES);
  /** As `fsync`, of the content only. */
  readonly fdatasync = (fd: number) => this.#call(fdatasync(fd), FLUSH_TIMES);
  readonly futimes = (fd: number, mtimeMs: number) => this.#call(futimes(fd, mtimeMs / 1000, mtimeMs / 1000));
  readonly fchmod = (fd: number, mode: number) => this.#call(fchmod(fd, mode));
  readonly ftruncate = (fd: number, bytes: number) => this.#call(ftruncate(fd, bytes));
  readonly rename = (from: FilePath, to: FilePath) => this.#call(rename(native(from), native(to)));
  readonly link = (from: FilePath, to: FilePath) => this.#call(link(native(from), native(to)));
  readonly unlink = (path: FilePath) => this.#call(unlink(native(path)));
  readonly mkdir = (path: FilePath) => this.#call(mkdir(native(path)));
  readonly rmdir = (path: FilePath) => this.#call(rmdir(native(path)));
  readonly statfs = (path: FilePath) => this.#call(statfs(native(path)));
  readonly realpath = async (path: FilePath) =>
    fromBytes(await this.#call(realpath(native(path), { encoding: 'buffer' })));

  /** Names in a folder, in no order. */
  async readNames(path: FilePath): Promise<readonly FilePath[]> {
    const names = await this.#call(readdir(native(path)));
    return lostBytes(names) ? namesOf(await this.#call(readdir(native(path), 'buffer'))) : names;
  }

  /** As many bytes as there are, up to `length`. @param buffer of that length, to read into */
  async read(
    fd: number,
    length: number,
    position: number,
    buffer: Buffer = Buffer.allocUnsafeSlow(length),
  ): Promise<Buffer> {
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#call(read(fd, buffer, filled, length - filled, position + filled));
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled === length ? buffer : buffer.subarray(0, filled);
  }

  async write(fd: number, bytes: Buffer, position: number): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const left = bytes.length - written;
      written += (await this.#call(write(fd, bytes, written, left, position + written))).bytesWritten;
    }
  }

  /**
   * The result of work on this disk; when the signal fires and the work does not end by itself soon after, or
   * when the disk stops answering, a fault instead.
   */
  async bounded<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    if (this.broken !== undefined) throw this.broken;
    const { promise: given, reject } = Promise.withResolvers<never>();
    let timer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      timer = setTimeout(() => reject(aborted(signal)), TIDY_MS).unref();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting.add(reject);
    try {
      return await Promise.race([work(), given]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      this.#waiting.delete(reject);
    }
  }

  /** Runs work of this kind one after another. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#watch);
  }

  /** The fault of an error of this disk; when it says that the disk is away, nobody asks it again. */
  fault(error: unknown, doing: string): Fault {
    if (error instanceof Fault) return error;
    const fault = diskFault(error, doing);
    if (fault.kind === 'unreachable') this.#break(fault);
    return fault;
  }

  #call<T>(call: Promise<T>, times = 1): Promise<T> {
    const id = this.#count++;
    this.#calls.set(id, this.#now() + this.#stallMs * times);
    return call.finally(() => this.#calls.delete(id));
  }

  #look(): void {
    const now = this.#now();
    if (![...this.#calls.values()].some((late) => late <= now)) return;
    this.#break(
      new Fault('unreachable', `the file system has not answered for ${this.#stallMs / 1000} s`, {
        code: 'ETIMEDOUT',
        advice: 'Check that the share is mounted and its server is up.',
      }),
    );
  }

  #break(fault: Fault): void {
    this.broken ??= fault;
    for (const reject of this.#waiting) reject(this.broken);
  }
}

function aborted(signal: AbortSignal): unknown {
  try {
    throwIfAborted(signal);
    return undefined;
  } catch (fault) {
    return fault;
  }
}
