/**
 * Names that are not UTF-8, over ssh2, which knows only UTF-8.
 *
 * Requests: ssh2 is asked for a harmless one (RMDIR) whose packet has just the right length, while it believes that
 * the channel's window is full; so the packet waits in ssh2's queue, is written over with what is meant, and is let
 * go. Answers: the packet that ssh2 parsed last is kept, so that a NAME answer can be read again as bytes.
 *
 * Both lean on private fields of ssh2 1.17. `ByteNames.over` gives undefined where they are not as expected, and
 * only names that need it come this way.
 */

import type { SFTPWrapper } from 'ssh2';
import { z } from 'zod';
import { type FilePath, fromBytes, toBytes } from '../../sync/names.ts';
import type { Done } from './link.ts';

/** Request types (draft-ietf-secsh-filexfer-02, section 3). */
export const REQUEST = {
  open: 3,
  lstat: 7,
  setstat: 9,
  opendir: 11,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  stat: 17,
  rename: 18,
  extended: 200,
} as const;

const NAME_ANSWER = 104;
/** length, type, id, length of the path */
const OVERHEAD = 13;

const Inner = z.looseObject({
  outgoing: z.looseObject({ window: z.number() }),
  _buffer: z.array(z.instanceof(Buffer)),
});

export type Field = FilePath | number;

export class ByteNames {
  readonly #sftp: SFTPWrapper;
  #answer: Buffer | undefined;

  private constructor(sftp: SFTPWrapper) {
    this.#sftp = sftp;
    let packet: unknown;
    Object.defineProperty(sftp, '_pkt', {
      configurable: true,
      get: () => packet,
      set: (value: unknown) => {
        packet = value;
        if (value instanceof Buffer) this.#answer = value;
      },
    });
  }

  static over(sftp: SFTPWrapper): ByteNames | undefined {
    return Inner.safeParse(sftp).success && '_pkt' in sftp ? new ByteNames(sftp) : undefined;
  }

  /** Sends a request made of paths (as SSH strings) and numbers (as uint32), in order. */
  request<T>(type: number, fields: readonly Field[], done: Done<T>): void {
    const parts = fields.map((field) =>
      typeof field === 'number' ? uint32(field) : sshString(toBytes(field)),
    );
    const body = Buffer.concat(parts);
    const sftp = this.#sftp;
    const outgoing: unknown = Reflect.get(sftp, 'outgoing');
    if (typeof outgoing !== 'object' || outgoing === null) throw new Error('ssh2 has changed');
    const window: unknown = Reflect.get(outgoing, 'window');
    Reflect.set(outgoing, 'window', 0);
    try {
      const answered = (...args: readonly unknown[]): void => Reflect.apply(done, undefined, args);
      Reflect.apply(sftp.rmdir, sftp, ['x'.repeat(body.length - 4), answered]);
    } finally {
      Reflect.set(outgoing, 'window', window);
    }
    const { _buffer: queue } = Inner.parse(sftp);
    const packet = queue.at(-1);
    if (packet === undefined || packet.length !== body.length + OVERHEAD - 4)
      throw new Error('ssh2 has changed');
    packet[4] = type;
    body.copy(packet, OVERHEAD - 4);
    if (window !== 0) this.#letGo();
  }

  /** The names of the NAME answer whose callback is running, as they are on the server. */
  names(): readonly FilePath[] {
    const packet = this.#answer;
    if (packet === undefined || packet[0] !== NAME_ANSWER) throw new Error('ssh2 has changed');
    const names: FilePath[] = [];
    let at = 9;
    const string = (): Buffer => {
      const length = packet.readUInt32BE(at);
      at += 4 + length;
      return packet.subarray(at - length, at);
    };
    for (let left = packet.readUInt32BE(5); left > 0; left -= 1) {
      names.push(fromBytes(Buffer.from(string())));
      string(); // the long name
      at = afterAttributes(packet, at);
    }
    return names;
  }

  #letGo(): void {
    const drain: unknown = Reflect.get(this.#sftp, '_chunkcb');
    if (typeof drain !== 'function') throw new Error('ssh2 has changed');
    Reflect.apply(drain, this.#sftp, []);
  }
}

/** Where the attributes that start at `at` end (section 5 of the draft). */
function afterAttributes(packet: Buffer, at: number): number {
  const flags = packet.readUInt32BE(at);
  let end = at + 4;
  if (flags & 0x1) end += 8;
  if (flags & 0x2) end += 8;
  if (flags & 0x4) end += 4;
  if (flags & 0x8) end += 8;
  if (flags & 0x80000000) {
    let strings = 2 * packet.readUInt32BE(end);
    for (end += 4; strings > 0; strings -= 1) end += 4 + packet.readUInt32BE(end);
  }
  return end;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

function sshString(bytes: Buffer): Buffer {
  return Buffer.concat([uint32(bytes.length), bytes]);
}
