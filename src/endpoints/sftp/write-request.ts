/**
 * SSH_FXP_WRITE without copying its data (draft-ietf-secsh-filexfer-02, section 6.4), over ssh2, which makes a packet
 * of head and data first and cuts that into the channel's packets. Here head and data go to the channel one after the
 * other: it is a stream, and how it is cut does not matter.
 *
 * Leans on private fields of ssh2 1.17. `WriteRequests.over` gives undefined where they are not as expected.
 */

import type { SFTPWrapper } from 'ssh2';
import { z } from 'zod';
import type { Done } from './link.ts';
import type { Handle } from './wire.ts';

const WRITE = 6;

const Inner = z.looseObject({
  outgoing: z.looseObject({
    id: z.number(),
    window: z.number(),
    packetSize: z.number().positive(),
    state: z.string(),
  }),
  _writeReqid: z.number(),
  _requests: z.record(z.string(), z.unknown()),
  _protocol: z.looseObject({ channelData: z.function() }),
});

interface Outgoing {
  readonly id: number;
  /** What the far side still takes on this channel; ssh2 keeps it. */
  window: number;
  readonly packetSize: number;
  readonly state: string;
}

/** As ssh2 has it; checked once. */
interface Sftp {
  readonly outgoing: Outgoing;
  _writeReqid: number;
  _requests: Record<number, { cb: (error: Error | null | undefined) => void }>;
  readonly _protocol: { channelData(channel: number, data: Buffer): void };
}

export class WriteRequests {
  readonly #sftp: Sftp;

  private constructor(sftp: Sftp) {
    this.#sftp = sftp;
  }

  static over(sftp: SFTPWrapper): WriteRequests | undefined {
    return Inner.safeParse(sftp).success ? new WriteRequests(sftp as unknown as Sftp) : undefined;
  }

  /**
   * Sends it, and needs `data` no more when this returns. False, and nothing sent, when the channel has no room for
   * the whole: then ssh2's own way queues it.
   */
  write(handle: Handle, data: Buffer, position: number, done: Done<void>): boolean {
    const sftp = this.#sftp;
    const { outgoing } = sftp;
    const head = headOf(handle, data.length, position);
    if (outgoing.state !== 'open' || outgoing.window <= head.length + data.length) return false;
    const id = (sftp._writeReqid + 1) >>> 0;
    sftp._writeReqid = id;
    head.writeUInt32BE(id, 5);
    sftp._requests[id] = { cb: (error) => done(error, undefined) };
    this.#send(head);
    for (let at = 0; at < data.length; at += outgoing.packetSize) {
      this.#send(data.subarray(at, at + outgoing.packetSize));
    }
    return true;
  }

  #send(bytes: Buffer): void {
    const { outgoing, _protocol } = this.#sftp;
    outgoing.window -= bytes.length;
    _protocol.channelData(outgoing.id, bytes);
  }
}

/** Length, type, id (left out), handle, offset and the length of the data. */
function headOf(handle: Handle, dataBytes: number, position: number): Buffer {
  const head = Buffer.allocUnsafe(9 + 4 + handle.length + 8 + 4);
  head.writeUInt32BE(head.length - 4 + dataBytes, 0);
  head[4] = WRITE;
  let at = head.writeUInt32BE(handle.length, 9);
  at += handle.copy(head, at);
  at = head.writeBigUInt64BE(BigInt(position), at);
  head.writeUInt32BE(dataBytes, at);
  return head;
}
