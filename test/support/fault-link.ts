/**
 * One direction of a proxied connection: takes what one socket reads and gives it to the other, late, slowly, in
 * part, or not at all. Order is kept; memory is bounded by pausing the reader.
 */

import type { Socket } from 'node:net';

export interface LinkOptions {
  /** One way. */
  readonly latencyMs: number;
  /** 0: as fast as it goes. */
  readonly bytesPerSecond: number;
}

/** What the owner of a link decides. */
export interface Gate {
  /** Something (bytes or FIN) was read. False: it is thrown away. */
  arrived(): boolean;
  /** How many of so many bytes may be given to the far socket now, and whether the link is held after them. */
  allow(bytes: number): { readonly bytes: number; readonly hold: boolean };
  /** The link is held, and what was given before is with the system. */
  heldBack(): void;
}

/** Whatever is under way within a link; more than bandwidth × delay of any test. */
const MOST_UNDERWAY = 64 * 1024 * 1024;
/** A limited link queues no more than this ahead of its bandwidth. */
const MOST_QUEUED_MS = 50;
const PIECE = 16 * 1024;

interface Parcel {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

export class Link {
  /** Bytes given to the far socket. */
  delivered = 0;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #gate: Gate;
  #options: LinkOptions;
  #parcels: Parcel[] = [];
  #next = 0;
  #underway = 0;
  /** When the link will have put its last byte on the wire. */
  #wireFreeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #held = false;
  #ended = false;
  #draining = false;

  constructor(from: Socket, to: Socket, options: LinkOptions, gate: Gate) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#gate = gate;
    from.on('data', (bytes: Buffer) => {
      if (gate.arrived()) this.#take(bytes);
    });
    from.on('end', () => {
      if (!gate.arrived()) return;
      this.#ended = true;
      this.#give();
    });
    to.on('drain', () => {
      this.#draining = false;
      this.#give();
    });
  }

  /** What is under way already keeps its time. */
  set options(options: LinkOptions) {
    this.#options = options;
    this.#flow();
  }

  /** While held, nothing is read and nothing is given; released, it goes on where it was. */
  set held(on: boolean) {
    this.#held = on;
    this.#flow();
    if (!on) this.#give();
  }

  /** Gives nothing any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#held = true;
    this.#parcels = [];
  }

  #take(bytes: Buffer): void {
    const { latencyMs, bytesPerSecond } = this.#options;
    const nowMs = performance.now();
    const piece = bytesPerSecond > 0 ? PIECE : bytes.length;
    for (let at = 0; at < bytes.length; at += piece) {
      const part = bytes.subarray(at, at + piece);
      const wireMs = bytesPerSecond > 0 ? (part.length / bytesPerSecond) * 1000 : 0;
      this.#wireFreeMs = Math.max(this.#wireFreeMs, nowMs) + wireMs;
      this.#parcels.push({ bytes: part, dueMs: this.#wireFreeMs + latencyMs });
    }
    this.#underway += bytes.length;
    this.#give();
  }

  /** Gives all that is due, and sets a timer for the rest. */
  #give(): void {
    if (this.#timer !== undefined) return;
    const nowMs = performance.now();
    while (!this.#held && !this.#draining) {
      const parcel = this.#parcels[this.#next];
      if (parcel === undefined) break;
      if (parcel.dueMs > nowMs) {
        this.#later(parcel.dueMs - nowMs);
        break;
      }
      this.#pass(parcel);
    }
    this.#compact();
    this.#flow();
    if (this.#ended && this.#parcels.length === 0 && !this.#held && this.#to.writable) this.#to.end();
  }

  #pass(parcel: Parcel): void {
    const { bytes } = parcel;
    const { bytes: count, hold } = this.#gate.allow(bytes.length);
    if (count < bytes.length)
      this.#parcels[this.#next] = { bytes: bytes.subarray(count), dueMs: parcel.dueMs };
    else this.#next += 1;
    this.#underway -= count;
    this.delivered += count;
    if (hold) this.#held = true;
    const given = hold ? () => this.#gate.heldBack() : undefined;
    if (count === 0 || !this.#to.writable) queueMicrotask(() => given?.());
    else if (!this.#to.write(bytes.subarray(0, count), given)) this.#draining = true;
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#give();
    }, ms);
  }

  #compact(): void {
    if (this.#next < 1024 && this.#next < this.#parcels.length) return;
    this.#parcels = this.#parcels.slice(this.#next);
    this.#next = 0;
  }

  #flow(): void {
    if (this.#from.destroyed) return;
    const ahead = this.#options.bytesPerSecond > 0 && this.#wireFreeMs - performance.now() > MOST_QUEUED_MS;
    const full = this.#held || this.#draining || ahead || this.#underway > MOST_UNDERWAY;
    if (full === this.#from.isPaused()) return;
    if (full) this.#from.pause();
    else this.#from.resume();
  }
}
