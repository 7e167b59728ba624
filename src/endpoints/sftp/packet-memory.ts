/**
 * The memory of the SSH packets that leave on one connection, used again and again.
 *
 * ssh2 allocates every packet anew. At hundreds of MB a second V8 then collects garbage all the time, since it counts
 * the bytes of buffers: half of the processor time of a large upload, as much as all the rest. So packets are cut from
 * a few slabs, which are used again once the socket has written all that was cut from them: it owns a packet until then.
 *
 * Leans on private fields of ssh2 1.17 (`_protocol._cipher`); where they are not as expected, or another cipher is at
 * work, packets are allocated as ever. A slab that were used too early could do no harm in silence: the far side
 * would find the packet's tag wrong and close the connection.
 */

import { randomFillSync } from 'node:crypto';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';

const SLAB_BYTES = 1024 * 1024;
/** Slabs that are kept although nothing needs them now. */
const SPARE_SLABS = 4;
/** Of a packet before its payload (RFC 4253, section 6): its length, the length of its padding. */
const HEAD_BYTES = 5;
const LENGTH_BYTES = 4;
const BLOCK_BYTES = 16;
const LEAST_PADDING = 4;
/** The tag of AES-GCM (RFC 5647, section 6.3). */
const TAG_BYTES = 16;
const RANDOM_BYTES = 16 * 1024;

/** Called before the connection is made; takes effect with each key exchange. */
export function reusePacketMemory(client: Client, sock: Duplex): void {
  // Other streams may call a write done while they still hold what was written.
  if (!(sock instanceof Socket)) return;
  const memory = new PacketMemory(() => sock.writableLength);
  client.on('handshake', () => {
    const cipher = cipherOf(client);
    if (cipher !== undefined) Reflect.set(cipher, 'allocPacket', (bytes: number) => memory.packet(bytes));
  });
}

/** Of what is sent, when it is AES-GCM by the native addon: it encrypts packets in place. */
function cipherOf(client: Client): object | undefined {
  const protocol: unknown = Reflect.get(client, '_protocol');
  if (typeof protocol !== 'object' || protocol === null) return undefined;
  const cipher: unknown = Reflect.get(protocol, '_cipher');
  const known = typeof cipher === 'object' && cipher?.constructor.name === 'AESGCMCipherBinding';
  return known && typeof Reflect.get(cipher, 'allocPacket') === 'function' ? cipher : undefined;
}

interface Slab {
  readonly bytes: Buffer<ArrayBuffer>;
  /** How many bytes had been cut from all slabs when this one was full. */
  readonly until: number;
}

export class PacketMemory {
  readonly #unwritten: () => number;
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #used = 0;
  /** From all slabs. */
  #cut = 0;
  /** Full, the oldest first; the socket may still hold packets of them. */
  #full: Slab[] = [];
  readonly #random = Buffer.allocUnsafeSlow(RANDOM_BYTES);
  #randomUsed = RANDOM_BYTES;

  /** @param unwritten bytes that have not left yet, of all that was given to the socket */
  constructor(unwritten: () => number) {
    this.#unwritten = unwritten;
  }

  /** Room for a packet of AES-GCM with so many bytes of payload; its head and its padding are there. */
  packet(payloadBytes: number): Buffer {
    const unpadded = HEAD_BYTES + payloadBytes;
    let padding = BLOCK_BYTES - ((unpadded - LENGTH_BYTES) % BLOCK_BYTES);
    if (padding < LEAST_PADDING) padding += BLOCK_BYTES;
    const packet = this.#take(unpadded + padding + TAG_BYTES);
    packet.writeUInt32BE(unpadded + padding - LENGTH_BYTES, 0);
    packet[LENGTH_BYTES] = padding;
    this.#pad(packet, unpadded, padding);
    return packet;
  }

  #take(bytes: number): Buffer {
    if (bytes > SLAB_BYTES) return Buffer.allocUnsafeSlow(bytes);
    if (this.#used + bytes > SLAB_BYTES) this.#next();
    const start = this.#used;
    this.#used += bytes;
    this.#cut += bytes;
    return this.#slab.subarray(start, this.#used);
  }

  #next(): void {
    // Packets leave in order: what has not left yet are the last bytes that were cut.
    const written = this.#cut - this.#unwritten();
    this.#full.push({ bytes: this.#slab, until: this.#cut });
    const free = this.#full.findIndex(({ until }) => until > written);
    const reusable = this.#full.splice(0, free === -1 ? this.#full.length : free);
    const [next, ...spare] = reusable;
    this.#full.unshift(...spare.slice(0, SPARE_SLABS));
    this.#slab = next?.bytes ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#used = 0;
  }

  #pad(packet: Buffer, start: number, bytes: number): void {
    if (this.#randomUsed + bytes > RANDOM_BYTES) {
      randomFillSync(this.#random);
      this.#randomUsed = 0;
    }
    this.#random.copy(packet, start, this.#randomUsed, this.#randomUsed + bytes);
    this.#randomUsed += bytes;
  }
}
