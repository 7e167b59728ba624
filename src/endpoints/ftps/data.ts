/**
 * One data connection: dialled to the host of the control connection, whatever address the server names, encrypted,
 * and resuming the TLS session of the control connection.
 *
 * Nothing is written before the handshake is done and verified. (On a resumed session Node knows the cipher before
 * that; basic-ftp 6.2 takes it for the end of the handshake, which is why empty uploads break on it.) `end` says
 * goodbye in TLS, so that the server can tell a whole file from a cut one; `reset` makes sure that it cannot mistake
 * one for the other.
 */

import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { hostPort } from '../../roads/road.ts';
import type { Fault } from '../../sync/errors.ts';
import { type Shown, tlsFault } from './connect-faults.ts';
import { cutFault, lateFault, stalledFault, unopenedFault } from './data-faults.ts';
import { shownBy, type Trust } from './tls.ts';

/** A TLS record of application data, as it is written on the wire, with zeros where the content should be. */
const NO_RECORD = Buffer.alloc(64);
NO_RECORD.set([0x17, 0x03, 0x03, 0x00, 59]);
/** How long a server may take to notice that an upload was given up. */
const NOTICE_MS = 1_000;

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly bindAddress: string | undefined;
  readonly trust: Trust;
  /** With the certificates and the name that count; see `Trust.options`. */
  readonly tls: ConnectionOptions;
  /** To resume; undefined: a new session, as a client would that does not resume. */
  readonly session: Buffer | undefined;
  /** Told of each session that the server offers; undefined: nobody asks, which saves putting it into bytes. */
  readonly onSession: ((session: Buffer) => void) | undefined;
  /** `upload` may be told that its end publishes the file. */
  readonly mayPublish: boolean;
  /** For TCP and TLS. */
  readonly connectMs: number;
  /** Without progress for so long, it is given up. */
  readonly timeoutMs: number;
}

export class Data {
  /** Encrypted and verified. @throws Fault */
  readonly ready: Promise<void>;
  /** Resolves when it is closed, well or not. */
  readonly closed: Promise<void>;
  readonly #options: DialOptions;
  /** The connection below TLS, where something may have to be written past it. */
  readonly #raw: Socket | undefined;
  readonly #socket: TLSSocket;
  readonly #ready = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #failure: Fault | undefined;
  #isGivenUp = false;
  #connected = false;
  #isReady = false;
  #reused: boolean | undefined;
  #uploads: 'publishes' | 'stores' | undefined;
  #shown: Shown | undefined;
  /** Plain bytes written, and those of them that the system has taken. */
  #given = 0;
  #taken = 0;
  #wake: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DialOptions) {
    this.#options = options;
    this.ready = this.#ready.promise;
    this.closed = this.#closed.promise;
    this.ready.catch(() => undefined); // it may fail before anybody asks
    const { host, port, bindAddress, session, mayPublish } = options;
    const local = bindAddress === undefined ? {} : { localAddress: bindAddress };
    const way = { host, port, autoSelectFamily: false, ...local };
    const tls = { ...options.tls, ...(session === undefined ? {} : { session }) };
    // A socket that TLS makes for itself is one object less, with all that goes through it.
    this.#raw = mayPublish ? connectTcp(way) : undefined;
    this.#socket = connectTls(this.#raw === undefined ? { ...tls, ...way } : { ...tls, socket: this.#raw });
    (this.#raw ?? this.#socket).setNoDelay(true);
    this.#listen();
    this.#allow(options.connectMs);
  }

  get port(): number {
    return this.#options.port;
  }

  /** Whether the session was resumed; undefined until it is ready. */
  get reused(): boolean | undefined {
    return this.#reused;
  }

  get isClosed(): boolean {
    return this.#socket.closed;
  }

  /** What ended it before its time. */
  get failure(): Fault | undefined {
    return this.#failure;
  }

  /** Plain bytes that the system has taken. */
  get written(): number {
    return this.#taken;
  }

  /**
   * Once it is ready. Resolves when it is handed over, which is not before the system has taken the chunk before:
   * chunks that had to wait in the stream would be copied together there.
   * @param taken told when the system has it, and its memory is the caller's again
   * @throws Fault
   */
  async write(chunk: Buffer, taken?: () => void): Promise<void> {
    if (this.#given > this.#taken) await this.#allTaken();
    if (this.#failure !== undefined) throw this.#failure;
    this.#given += chunk.length;
    if (this.#timer === undefined) this.#allow(this.#options.timeoutMs);
    this.#socket.write(chunk, (error) => {
      if (error) return; // told of by 'error' or 'close'
      this.#taken += chunk.length;
      this.#progressed();
      this.#wake();
      taken?.();
    });
  }

  /** The rest, and the goodbye. Resolves when all of it is with the system. @throws Fault */
  async end(rest?: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#given += rest?.length ?? 0;
    this.#allow(this.#options.timeoutMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    if (rest === undefined || rest.length === 0) this.#socket.end(resolve);
    else this.#socket.end(rest, resolve);
    await Promise.race([promise, this.closed]);
    clearTimeout(this.#timer);
    if (this.#failure !== undefined) throw this.#failure;
    this.#taken = this.#given;
  }

  /** What comes, until the server ends it. @throws Fault */
  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    await this.ready;
    const chunks = this.#socket.iterator({ destroyOnReturn: false });
    try {
      for (;;) {
        this.#allow(this.#options.timeoutMs);
        const next = await chunks.next();
        clearTimeout(this.#timer);
        if (next.done === true) break;
        yield next.value;
      }
    } catch (error) {
      throw this.#failure ?? this.#lost(error);
    } finally {
      clearTimeout(this.#timer);
      await chunks.return?.();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * It is for an upload: what the server sends beside it (session tickets) is taken in.
   * @param publishes its end is what makes the file appear under its final name
   */
  upload(publishes: boolean): void {
    this.#uploads = publishes ? 'publishes' : 'stores';
    this.#socket.resume();
  }

  /**
   * Gives it up, so that the control connection stays in step if that can be.
   *
   * vsftpd hangs up on a data connection that breaks while it takes it, so an upload of which nothing is on its way
   * ends as a whole one would: it went to a temporary, which is removed. But where the end of the data publishes the
   * file, it must not look like one, and servers take any end of a TCP connection for that, unless they are strict
   * (Java's are not by default): they get a record that no TLS accepts. (Node cannot send an RST here: resetting the
   * socket under a TLSSocket crashes it, seen with 24.21.)
   */
  reset(): void {
    if (this.#isGivenUp) return; // what says so may still be on its way behind the data
    this.#isGivenUp = true;
    if (this.#failure === undefined && this.#uploads !== undefined && this.#isReady) {
      const onItsWay = this.#given > this.#taken;
      if (this.#uploads === 'publishes') this.#raw?.write(NO_RECORD);
      else if (onItsWay) this.#socket.destroy();
      else this.#socket.end();
      this.#allow(NOTICE_MS);
    } else this.#socket.destroy();
    this.#failure ??= this.#lost(new Error('given up'));
    this.#ready.reject(this.#failure);
    this.#wake();
  }

  /** After a transfer that ended well. */
  destroy(): void {
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }

  #listen(): void {
    const { trust, onSession } = this.#options;
    const { name, expected, ownCa } = trust;
    (this.#raw ?? this.#socket).once('connect', () => {
      this.#connected = true;
    });
    this.#raw?.on('error', (error) => this.#fail(error));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.once('close', () => {
      this.#fail(new Error('closed by the server'));
      this.#closed.resolve();
    });
    if (onSession !== undefined) this.#socket.on('session', onSession);
    this.#socket.prependOnceListener('secure', () => {
      if (!this.#socket.isSessionReused()) this.#shown = shownBy(this.#socket);
    });
    this.#socket.once('secureConnect', () => {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if (!this.#socket.authorized) {
        const { authorizationError: error } = this.#socket;
        this.#fail(tlsFault(error, { name, of: 'data connection', expected, ownCa, shown: this.#shown }));
        return;
      }
      this.#isReady = true;
      this.#reused = this.#socket.isSessionReused();
      this.#ready.resolve();
    });
  }

  /** Only the first one counts. A close after it was ready is the server's end of it, which may be a good one. */
  #fail(error: unknown): void {
    clearTimeout(this.#timer);
    const { trust } = this.#options;
    if (!this.#isReady) {
      const { name, expected, ownCa } = trust;
      const trouble = { name, of: 'data connection', expected, ownCa, shown: this.#shown };
      this.#failure ??= this.#connected
        ? tlsFault(error, trouble)
        : unopenedFault(trust.name, this.#where(), this.port, error);
      this.#ready.reject(this.#failure);
      this.#socket.destroy();
    } else if (!(error instanceof Error) || error.message !== 'closed by the server' || this.#unfinished()) {
      this.#failure ??= this.#lost(error);
      this.#socket.destroy();
    }
    this.#wake();
  }

  /** Bytes were written that the system did not take. */
  #unfinished(): boolean {
    return this.#given > this.#taken && !this.#socket.writableFinished;
  }

  #lost(error: unknown): Fault {
    return cutFault(this.#where(), error);
  }

  #where(): string {
    return hostPort(this.#options.host, this.port);
  }

  /** The time until the next progress. */
  #allow(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#late(ms), ms);
  }

  #progressed(): void {
    if (this.#given > this.#taken) this.#timer?.refresh();
    else {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  #late(ms: number): void {
    const { trust } = this.#options;
    const fault = this.#connected
      ? stalledFault(this.#where(), ms)
      : lateFault(trust.name, this.#where(), this.port, ms);
    this.#failure ??= fault;
    this.#socket.destroy();
    this.#fail(fault);
  }

  async #allTaken(): Promise<void> {
    while (this.#failure === undefined && this.#given > this.#taken && !this.#socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    // It may be destroyed and not have said so yet.
    if (this.#socket.destroyed) this.#failure ??= this.#lost(new Error('closed'));
    if (this.#failure !== undefined) throw this.#failure;
  }
}
