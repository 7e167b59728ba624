/**
 * SFTP version 3 on the wire (draft-ietf-secsh-filexfer-02), as a server needs it: packets cut from a stream,
 * requests read, answers written. Names are bytes (sync/names.ts). Knows no SSH and no file system.
 */

import { type FilePath, fromBytes, toBytes } from '../../sync/names.ts';

export const REQUEST = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  extended: 200,
} as const;

const ANSWER = {
  version: 2,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 201,
} as const;

export const STATUS = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const;

const VERSION = 3;
/** As OpenSSH: a WRITE of 255 KiB with its header, and some. */
export const MOST_PACKET_BYTES = 262_144;
export const MOST_DATA_BYTES = 261_120;

/** Year 9999: what is later does not fit into four digits. */
const MOST_DATE_MS = 253_402_300_799_000;

const HAS = { size: 0x1, owner: 0x2, mode: 0x4, times: 0x8, extended: 0x8000_0000 } as const;

/** As far as they were sent. */
export interface SentAttributes {
  readonly sizeBytes?: number;
  readonly owned: boolean;
  readonly mode?: number;
  /** Seconds since the epoch. */
  readonly times?: { readonly atime: number; readonly mtime: number };
}

export interface FileAttributes {
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
}

/** The client does not keep to the protocol: the channel ends. */
export class BadPacket extends Error {}

/** Cuts a stream into packets (type and what follows). */
export class PacketReader {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** @throws BadPacket */
  *take(chunk: Buffer): Generator<Buffer> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= 4) {
      const length = this.#peekLength();
      if (length === 0 || length > MOST_PACKET_BYTES) throw new BadPacket(`a packet of ${length} bytes`);
      if (this.#bytes < 4 + length) return;
      const all = this.#joined();
      yield all.subarray(4, 4 + length);
      this.#chunks = [all.subarray(4 + length)];
      this.#bytes = all.length - 4 - length;
    }
  }

  #peekLength(): number {
    const [first] = this.#chunks;
    return (first !== undefined && first.length >= 4 ? first : this.#joined()).readUInt32BE(0);
  }

  #joined(): Buffer {
    const [first] = this.#chunks;
    if (this.#chunks.length === 1 && first !== undefined) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}

/** Reads a request from front to back. @throws BadPacket when it is too short */
export class RequestReader {
  readonly type: number;
  readonly #packet: Buffer;
  #at = 1;

  constructor(packet: Buffer) {
    this.#packet = packet;
    this.type = packet[0] ?? 0;
  }

  get more(): boolean {
    return this.#at < this.#packet.length;
  }

  uint32(): number {
    const at = this.#advance(4);
    return this.#packet.readUInt32BE(at);
  }

  uint64(): number {
    const at = this.#advance(8);
    return Number(this.#packet.readBigUInt64BE(at));
  }

  bytes(): Buffer {
    const length = this.uint32();
    const at = this.#advance(length);
    return this.#packet.subarray(at, at + length);
  }

  path(): FilePath {
    return fromBytes(this.bytes());
  }

  text(): string {
    return this.bytes().toString('utf8');
  }

  attributes(): SentAttributes {
    if (!this.more) return { owned: false };
    const has = this.uint32();
    const size = has & HAS.size ? { sizeBytes: this.uint64() } : {};
    const owned = (has & HAS.owner) !== 0;
    if (owned) this.#advance(8);
    const mode = has & HAS.mode ? { mode: this.uint32() & 0o7777 } : {};
    const times = has & HAS.times ? { times: { atime: this.uint32(), mtime: this.uint32() } } : {};
    return { ...size, owned, ...mode, ...times };
  }

  #advance(length: number): number {
    const at = this.#at;
    this.#at += length;
    if (this.#at > this.#packet.length) throw new BadPacket('a request that ends early');
    return at;
  }
}

type Part = number | bigint | Buffer;

/** Numbers become uint32, bigints uint64, buffers go as they are. */
function packet(type: number, ...parts: readonly Part[]): Buffer {
  let length = 5;
  for (const part of parts)
    length += typeof part === 'number' ? 4 : typeof part === 'bigint' ? 8 : part.length;
  const out = Buffer.allocUnsafe(length);
  out.writeUInt32BE(length - 4, 0);
  out[4] = type;
  let at = 5;
  for (const part of parts) {
    if (typeof part === 'number') at = out.writeUInt32BE(part >>> 0, at);
    else if (typeof part === 'bigint') at = out.writeBigUInt64BE(part, at);
    else at += part.copy(out, at);
  }
  return out;
}

function string(bytes: Buffer | string): readonly [number, Buffer] {
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes;
  return [content.length, content];
}

export function versionAnswer(extensions: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(extensions).flatMap(([name, data]) => [...string(name), ...string(data)]);
  return packet(ANSWER.version, VERSION, ...pairs);
}

export function statusAnswer(id: number, status: number, message: string): Buffer {
  return packet(ANSWER.status, id, status, ...string(message), ...string(''));
}

export function handleAnswer(id: number, handle: Buffer): Buffer {
  return packet(ANSWER.handle, id, ...string(handle));
}

export function dataAnswer(id: number, data: Buffer): Buffer {
  return packet(ANSWER.data, id, ...string(data));
}

export function attributesAnswer(id: number, attributes: FileAttributes): Buffer {
  return packet(ANSWER.attrs, id, ...attributesOf(attributes));
}

export interface NameAnswer {
  readonly name: FilePath;
  readonly attributes: FileAttributes | undefined;
}

export function namesAnswer(id: number, names: readonly NameAnswer[]): Buffer {
  const parts = names.flatMap(({ name, attributes }) => [
    ...string(toBytes(name)),
    ...string(attributes === undefined ? toBytes(name) : longName(name, attributes)),
    ...(attributes === undefined ? [0] : attributesOf(attributes)),
  ]);
  return packet(ANSWER.name, id, names.length, ...parts);
}

/** An extended reply made of uint64s. */
export function numbersAnswer(id: number, numbers: readonly bigint[]): Buffer {
  return packet(ANSWER.extended, id, ...numbers);
}

function attributesOf({ size, uid, gid, mode, atimeMs, mtimeMs }: FileAttributes): readonly Part[] {
  const seconds = (ms: number): number => Math.min(Math.max(Math.floor(ms / 1000), 0), 0xffff_ffff);
  return [
    HAS.size | HAS.owner | HAS.mode | HAS.times,
    BigInt(size),
    uid,
    gid,
    mode,
    seconds(atimeMs),
    seconds(mtimeMs),
  ];
}

/** As `ls -l` would show it: what some clients show to people. */
function longName(name: FilePath, { size, uid, gid, mode, mtimeMs }: FileAttributes): Buffer {
  const type = (mode & 0o170000) === 0o040000 ? 'd' : (mode & 0o170000) === 0o120000 ? 'l' : '-';
  const bits = [...'rwxrwxrwx'].map((letter, index) => (mode & (0o400 >> index) ? letter : '-')).join('');
  const date = new Date(Math.min(Math.max(mtimeMs, 0), MOST_DATE_MS))
    .toISOString()
    .slice(0, 16)
    .replace('T', ' ');
  return Buffer.concat([Buffer.from(`${type}${bits} 1 ${uid} ${gid} ${size} ${date} `), toBytes(name)]);
}
