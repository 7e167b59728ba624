/**
 * What SFTP requests do to the files in a jail. One instance a channel; its handles end with it.
 *
 * Calls the system without leaving its thread for others: it runs in a thread of its own. So requests are done,
 * and answered, in their order, which Ferry's SFTP endpoint makes use of, as with OpenSSH.
 */

import fs, { constants } from 'node:fs';
import { type FilePath, fromBytes } from '../../sync/names.ts';
import { type Jail, native } from './jail.ts';
import { type FileAttributes, MOST_DATA_BYTES, type NameAnswer, type SentAttributes } from './packet.ts';

/** pflags of OPEN. */
const FLAG = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);
const MOST_HANDLES = 1024;
const NAMES_AT_ONCE = 100;

type Handle =
  | { readonly kind: 'file'; readonly fd: number; readonly append: boolean }
  | { readonly kind: 'folder'; readonly path: string | Buffer; readonly names: FilePath[] };

export class Operations implements Disposable {
  readonly jail: Jail;
  readonly #handles = new Map<number, Handle>();
  #count = 0;

  constructor(jail: Jail) {
    this.jail = jail;
  }

  static readonly mostHandles = MOST_HANDLES;

  open(path: FilePath, flags: number, attributes: SentAttributes): Buffer {
    const write = (flags & FLAG.write) !== 0;
    const access = !write ? constants.O_RDONLY : flags & FLAG.read ? constants.O_RDWR : constants.O_WRONLY;
    const append = (flags & FLAG.append) !== 0;
    const asked =
      (append ? constants.O_APPEND : 0) |
      (flags & FLAG.create ? constants.O_CREAT : 0) |
      (flags & FLAG.truncate ? constants.O_TRUNC : 0) |
      (flags & FLAG.exclusive ? constants.O_EXCL : 0);
    this.#assertRoom();
    // A pipe or a device would hold up everyone: not waited for, and turned away.
    const safe = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
    const fd = fs.openSync(this.jail.at(path), access | asked | safe, attributes.mode ?? 0o666);
    if (!fs.fstatSync(fd).isFile()) {
      fs.closeSync(fd);
      throw new Error('not a file');
    }
    return this.#keep({ kind: 'file', fd, append });
  }

  close(handle: Buffer): void {
    const id = idOf(handle);
    const held = this.#handles.get(id);
    if (held === undefined) throw badHandle();
    this.#handles.delete(id);
    if (held.kind === 'file') fs.closeSync(held.fd);
  }

  /** Undefined at the end of the file. */
  read(handle: Buffer, position: number, length: number): Buffer | undefined {
    const buffer = Buffer.allocUnsafe(Math.min(length, MOST_DATA_BYTES));
    const count = fs.readSync(this.#file(handle).fd, buffer, 0, buffer.length, position);
    return count === 0 ? undefined : buffer.subarray(0, count);
  }

  write(handle: Buffer, position: number, data: Buffer): void {
    const { fd, append } = this.#file(handle);
    for (let at = 0; at < data.length; ) {
      at += fs.writeSync(fd, data, at, data.length - at, append ? null : position + at);
    }
  }

  lstat(path: FilePath): FileAttributes {
    return fs.lstatSync(this.jail.at(path, 'link'));
  }

  /** No link is followed here, so a link cannot be asked for what is behind it. */
  stat(path: FilePath): FileAttributes {
    return fs.lstatSync(this.jail.at(path));
  }

  fstat(handle: Buffer): FileAttributes {
    return fs.fstatSync(this.#file(handle).fd);
  }

  setstat(path: FilePath, attributes: SentAttributes): void {
    const access = attributes.sizeBytes === undefined ? constants.O_RDONLY : constants.O_RDWR;
    const fd = fs.openSync(this.jail.at(path), access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      this.#set(fd, attributes);
    } finally {
      fs.closeSync(fd);
    }
  }

  fsetstat(handle: Buffer, attributes: SentAttributes): void {
    this.#set(this.#file(handle).fd, attributes);
  }

  fsync(handle: Buffer): void {
    fs.fsyncSync(this.#file(handle).fd);
  }

  opendir(path: FilePath): Buffer {
    this.#assertRoom();
    const at = this.jail.at(path);
    return this.#keep({ kind: 'folder', path: at, names: fs.readdirSync(at, 'buffer').map(fromBytes) });
  }

  /** The next names; undefined at the end. */
  readdir(handle: Buffer): readonly NameAnswer[] | undefined {
    const folder = this.#handles.get(idOf(handle));
    if (folder?.kind !== 'folder') throw badHandle();
    while (folder.names.length > 0) {
      const some = folder.names.splice(0, NAMES_AT_ONCE).flatMap((name) => this.#named(folder.path, name));
      if (some.length > 0) return some;
    }
    return undefined;
  }

  remove(path: FilePath): void {
    fs.unlinkSync(this.jail.at(path, 'link'));
  }

  mkdir(path: FilePath, attributes: SentAttributes): void {
    fs.mkdirSync(this.jail.at(path), { mode: attributes.mode ?? 0o777 });
  }

  rmdir(path: FilePath): void {
    fs.rmdirSync(this.jail.at(path));
  }

  /** SSH_FXP_RENAME: never over what is there. */
  rename(from: FilePath, to: FilePath): void {
    const [old, next] = [this.jail.at(from, 'link'), this.jail.at(to, 'link')];
    if (fs.lstatSync(old).isFile() && linked(old, next)) {
      fs.unlinkSync(old);
      return;
    }
    if (fs.lstatSync(next, { throwIfNoEntry: false }) !== undefined) throw new Error('the name is taken');
    fs.renameSync(old, next);
  }

  posixRename(from: FilePath, to: FilePath): void {
    fs.renameSync(this.jail.at(from, 'link'), this.jail.at(to, 'link'));
  }

  /** As the answer to statvfs@openssh.com has it (PROTOCOL, section 4.4). */
  statvfs(path: FilePath): readonly bigint[] {
    const s = fs.statfsSync(this.jail.at(path), { bigint: true });
    return [s.bsize, s.bsize, s.blocks, s.bfree, s.bavail, s.files, s.ffree, s.ffree, 0n, 0n, 255n];
  }

  [Symbol.dispose](): void {
    for (const handle of this.#handles.values()) if (handle.kind === 'file') fs.closeSync(handle.fd);
    this.#handles.clear();
  }

  #set(fd: number, { sizeBytes, owned, mode, times }: SentAttributes): void {
    if (owned) throw Object.assign(new Error('owners stay as they are'), { code: 'EPERM' });
    if (sizeBytes !== undefined) fs.ftruncateSync(fd, sizeBytes);
    if (mode !== undefined) fs.fchmodSync(fd, mode);
    if (times !== undefined) fs.futimesSync(fd, times.atime, times.mtime);
  }

  #named(folder: string | Buffer, name: FilePath): readonly NameAnswer[] {
    const path = `${typeof folder === 'string' ? folder : fromBytes(folder)}/${name}`;
    const attributes = fs.lstatSync(native(path), { throwIfNoEntry: false });
    return attributes === undefined ? [] : [{ name, attributes }];
  }

  #assertRoom(): void {
    if (this.#handles.size >= MOST_HANDLES) throw new Error('too many open handles');
  }

  #keep(handle: Handle): Buffer {
    this.#count += 1;
    this.#handles.set(this.#count, handle);
    const id = Buffer.alloc(4);
    id.writeUInt32BE(this.#count >>> 0);
    return id;
  }

  #file(handle: Buffer): Extract<Handle, { kind: 'file' }> {
    const held = this.#handles.get(idOf(handle));
    if (held?.kind !== 'file') throw badHandle();
    return held;
  }
}

/** False where the file system has no hard links. */
function linked(old: string | Buffer, next: string | Buffer): boolean {
  try {
    fs.linkSync(old, next);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && NO_LINKS.has(String(error.code))) return false;
    throw error;
  }
}

function idOf(handle: Buffer): number {
  return handle.length === 4 ? handle.readUInt32BE(0) : 0;
}

function badHandle(): Error {
  return Object.assign(new Error('no such handle'), { code: 'EBADF' });
}
