/**
 * SFTP version 3 as promises, one method a request: over ssh2's SFTP handle, answered or refused with the link.
 *
 * Paths are byte names (sync/names.ts). Errors are the server's status (`statusOf`) or the link's Fault. Requests
 * leave in the order of the calls; OpenSSH also answers them in that order.
 */

import type { SFTPWrapper, Stats } from 'ssh2';
import { z } from 'zod';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, isUtf8, printable } from '../../sync/names.ts';
import { ByteNames, type Field, REQUEST } from './byte-names.ts';
import type { Done, Link } from './link.ts';
import { WriteRequests } from './write-request.ts';

/** pflags of OPEN. */
export const FLAG = { read: 1, write: 2, create: 8, truncate: 16, exclusive: 32 } as const;

export interface Attributes {
  readonly sizeBytes: number;
  /** Seconds since the epoch: all that version 3 has. */
  readonly mtime: number;
  readonly atime: number;
  /** With the file type, as `st_mode`; undefined where the server tells none. */
  readonly mode: number | undefined;
}

export interface Named {
  readonly name: FilePath;
  /** As `ls -l` shows it, for servers that leave the mode out. */
  readonly long: string;
  readonly attributes: Attributes;
}

export interface Room {
  readonly bytes: number;
  readonly files: number;
  readonly readOnly: boolean;
}

export type Handle = Buffer;

/** What ssh2 1.17 learned from the server and keeps to itself. */
const Learned = z.looseObject({
  _extensions: z.record(z.string(), z.string()),
  _maxReadLen: z.number().positive(),
  _maxWriteLen: z.number().positive(),
  maxOpenHandles: z.unknown(),
});

/** U+FFFD: ssh2 puts it where bytes are not UTF-8 (and a name may really hold it). */
const UNDECODED = '\ufffd';
/** From here on a copy of the data costs more than a packet of its own for what goes before it. */
const UNCOPIED_BYTES = 64 * 1024;

export class Wire {
  readonly extensions: Readonly<Record<string, string>>;
  /** Largest READ and WRITE that the server takes in one request. */
  readonly maxRead: number;
  readonly maxWrite: number;
  readonly maxHandles: number;
  readonly link: Link;
  readonly #sftp: SFTPWrapper;
  readonly #bytes: ByteNames | undefined;
  readonly #writes: WriteRequests | undefined;

  constructor(sftp: SFTPWrapper, link: Link) {
    const learned = Learned.parse(sftp);
    this.extensions = learned._extensions;
    this.maxRead = learned._maxReadLen;
    this.maxWrite = learned._maxWriteLen;
    this.maxHandles =
      typeof learned.maxOpenHandles === 'number' ? learned.maxOpenHandles : Number.POSITIVE_INFINITY;
    this.link = link;
    this.#sftp = sftp;
    this.#bytes = ByteNames.over(sftp);
    this.#writes = WriteRequests.over(sftp);
  }

  get byteNames(): boolean {
    return this.#bytes !== undefined;
  }

  open(path: FilePath, flags: number, mode?: number): Promise<Handle> {
    const attributes = mode === undefined ? {} : { mode };
    if (isUtf8(path)) return this.#ask((done) => this.#sftp.open(path, flags, attributes, done));
    return this.#raw(path, REQUEST.open, [path, flags, ...(mode === undefined ? [0] : [4, mode])]);
  }

  close(handle: Handle): Promise<void> {
    return this.#ask((done) => this.#sftp.close(handle, only(done)));
  }

  /** At most `maxWrite` bytes, which are the caller's again when this returns. */
  write(handle: Handle, data: Buffer, position: number): Promise<void> {
    return this.#ask((done) => {
      const sent = data.length >= UNCOPIED_BYTES && this.#writes?.write(handle, data, position, done);
      if (!sent) this.#sftp.write(handle, data, 0, data.length, position, only(done));
    });
  }

  /** Up to `length` bytes (at most `maxRead`), fewer at the end of the file or when the server pleases; none at the end. */
  read(handle: Handle, length: number, position: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length);
    return this.#ask((done) => {
      this.#sftp.read(handle, buffer, 0, length, position, (error, count) => {
        done(error, error === undefined ? buffer.subarray(0, count) : buffer);
      });
    });
  }

  async fstat(handle: Handle): Promise<Attributes> {
    return attributesOf(await this.#ask<Stats>((done) => this.#sftp.fstat(handle, done)));
  }

  /** Sets what is given; times in seconds. */
  fsetstat(
    handle: Handle,
    set: { readonly atime?: number; readonly mtime?: number; readonly mode?: number },
  ): Promise<void> {
    return this.#ask((done) => this.#sftp.fsetstat(handle, { ...set }, only(done)));
  }

  async lstat(path: FilePath): Promise<Attributes> {
    if (!isUtf8(path)) return attributesOf(await this.#raw<Stats>(path, REQUEST.lstat, [path]));
    return attributesOf(await this.#ask<Stats>((done) => this.#sftp.lstat(path, done)));
  }

  async stat(path: FilePath): Promise<Attributes> {
    if (!isUtf8(path)) return attributesOf(await this.#raw<Stats>(path, REQUEST.stat, [path]));
    return attributesOf(await this.#ask<Stats>((done) => this.#sftp.stat(path, done)));
  }

  remove(path: FilePath): Promise<void> {
    if (isUtf8(path)) return this.#ask((done) => this.#sftp.unlink(path, only(done)));
    return this.#raw(path, REQUEST.remove, [path]);
  }

  mkdir(path: FilePath): Promise<void> {
    if (isUtf8(path)) return this.#ask((done) => this.#sftp.mkdir(path, only(done)));
    return this.#raw(path, REQUEST.mkdir, [path, 0]);
  }

  /** SSH_FXP_RENAME: refused where the target exists, by OpenSSH without a race. */
  rename(from: FilePath, to: FilePath): Promise<void> {
    if (isUtf8(from) && isUtf8(to)) return this.#ask((done) => this.#sftp.rename(from, to, only(done)));
    return this.#raw(to, REQUEST.rename, [from, to]);
  }

  /** posix-rename@openssh.com: replaces the target in one step. */
  posixRename(from: FilePath, to: FilePath): Promise<void> {
    if (isUtf8(from) && isUtf8(to))
      return this.#ask((done) => this.#sftp.ext_openssh_rename(from, to, only(done)));
    return this.#raw(to, REQUEST.extended, ['posix-rename@openssh.com', from, to]);
  }

  /** fsync@openssh.com */
  fsync(handle: Handle): Promise<void> {
    return this.#ask((done) => this.#sftp.ext_openssh_fsync(handle, only(done)));
  }

  realpath(path: FilePath): Promise<FilePath> {
    return this.#ask((done) => this.#sftp.realpath(path, done));
  }

  /** What may still be written below a folder (statvfs@openssh.com); undefined where that is not known. */
  async room(folder: FilePath): Promise<Room | undefined> {
    if (!isUtf8(folder) || this.extensions['statvfs@openssh.com'] !== '2') return undefined;
    const answer = await this.#ask<unknown>((done) => this.#sftp.ext_openssh_statvfs(folder, done));
    const { f_frsize, f_bavail, f_files, f_favail, f_flag } = Volume.parse(answer);
    // Some file systems count no files at all.
    const files = f_files === 0 ? Number.POSITIVE_INFINITY : f_favail;
    return { bytes: f_frsize * f_bavail, files, readOnly: (f_flag & 1) !== 0 };
  }

  opendir(path: FilePath): Promise<Handle> {
    if (isUtf8(path)) return this.#ask((done) => this.#sftp.opendir(path, done));
    return this.#raw(path, REQUEST.opendir, [path]);
  }

  /** The next entries without `.` and `..`; undefined at the end. */
  async readdir(handle: Handle): Promise<readonly Named[] | undefined> {
    try {
      return await this.#ask<readonly Named[]>((done) => {
        this.#sftp.readdir(handle, (error, list) => done(error, error ? [] : this.#named(list)));
      });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 1) return undefined;
      throw error;
    }
  }

  /** Called within the callback of a NAME answer, where its bytes can still be had. ssh2 leaves out `.` and `..`. */
  #named(list: readonly { filename: string; longname: string; attrs: Stats }[]): readonly Named[] {
    const undecoded = list.some((entry) => entry.filename.includes(UNDECODED));
    const names = undecoded
      ? this.#bytes?.names().filter((name) => name !== '.' && name !== '..')
      : undefined;
    return list.map((entry, index) => ({
      name: names?.[index] ?? entry.filename,
      long: entry.longname,
      attributes: attributesOf(entry.attrs),
    }));
  }

  #ask<T>(send: (done: Done<T>) => void): Promise<T> {
    return this.link.ask(send);
  }

  #raw<T>(path: FilePath, type: number, fields: readonly Field[]): Promise<T> {
    const bytes = this.#bytes;
    if (bytes === undefined) return Promise.reject(notUtf8(path, this.link.name));
    return this.#ask((done) => bytes.request(type, fields, done));
  }
}

const Volume = z.looseObject({
  f_frsize: z.number(),
  f_bavail: z.number(),
  f_files: z.number(),
  f_favail: z.number(),
  f_flag: z.number(),
});

export function notUtf8(path: FilePath, endpoint: string): Fault {
  return new Fault(
    'permanent',
    `${endpoint}: the name ${printable(path)} is not UTF-8 and cannot be sent there`,
    {
      code: 'NAME_NOT_UTF8',
      advice: 'Rename the file at the source (convmv turns whole folders into UTF-8).',
    },
  );
}

function attributesOf(stats: Stats): Attributes {
  // A server may leave out any of them; the types of ssh2 do not say so.
  const {
    size,
    mtime,
    atime,
    mode,
  }: { readonly [Key in 'size' | 'mtime' | 'atime' | 'mode']: number | undefined } = stats;
  return { sizeBytes: size ?? 0, mtime: mtime ?? 0, atime: atime ?? 0, mode };
}

/** For requests that are answered with a status only. */
function only(done: Done<void>): (error: Error | null | undefined) => void {
  return (error) => done(error, undefined);
}
