/** A control connection that is logged in, with what the server can do, and the data connections beside it. */

import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { Control } from './control.ts';
import { Data } from './data.ts';
import { quoted, replyFault } from './faults.ts';
import { wireOf } from './names.ts';
import { epsvPort, isGood, pasvPort, type Reply } from './reply.ts';
import type { FtpsSettings } from './settings.ts';
import { plainAddress, type Trust } from './tls.ts';
import type { Memory, Traits } from './traits.ts';

/** Servers forget a session after some minutes at the earliest (OpenSSL: 5 with TLS 1.2, 120 with 1.3): a newer one is taken well before. */
const FRESH_MS = 60_000;

export interface ConnectionParts {
  readonly name: string;
  readonly control: Control;
  readonly secured: TLSSocket;
  readonly trust: Trust;
  readonly settings: FtpsSettings;
  readonly traits: Traits;
  readonly memory: Memory;
  /** Where the login starts. */
  readonly home: FilePath;
}

export class Connection implements AsyncDisposable {
  readonly name: string;
  readonly control: Control;
  readonly settings: FtpsSettings;
  readonly traits: Traits;
  readonly memory: Memory;
  readonly home: FilePath;
  /** A data connection was opened on it already, so that the next one can be asked for together with its command. */
  proven = false;
  readonly #secured: TLSSocket;
  readonly #trust: Trust;
  readonly #address: string;
  /** For data connections. */
  #tls: ConnectionOptions | undefined;
  /** The newest session ticket: some servers take each only once. */
  #session: Buffer | undefined;
  #sessionAtMs = Number.NEGATIVE_INFINITY;
  /** The answer to an EPSV that nobody has made use of. */
  #ahead: Promise<Reply> | undefined;

  constructor(parts: ConnectionParts) {
    this.name = parts.name;
    this.control = parts.control;
    this.settings = parts.settings;
    this.traits = parts.traits;
    this.memory = parts.memory;
    this.home = parts.home;
    this.#secured = parts.secured;
    this.#trust = parts.trust;
    this.#address = plainAddress(parts.secured);
    this.#secured.on('session', this.#keep);
  }

  get broken(): Fault | undefined {
    return this.control.broken;
  }

  /** @throws Fault `permanent` for a path that cannot be sent */
  wire(path: FilePath): string {
    const { byteNames, telnet } = this.traits;
    return wireOf({ name: this.name, home: this.home, byteNames, telnet }, path);
  }

  /** @throws Fault for an error reply, and when the connection breaks */
  async demand(command: string, doing: string, path: FilePath): Promise<Reply> {
    const reply = await this.control.ask(command);
    if (!isGood(reply)) throw replyFault(reply, doing, path, this.name);
    return reply;
  }

  /** What asks for a data connection. */
  get passive(): 'EPSV' | 'PASV' {
    return this.memory.passive;
  }

  /**
   * Asks for the port of the next data connection, behind the command that uses the present one: the next transfer
   * starts a round trip sooner. Nothing where the server would answer before that command is done. Until then the server
   * holds a port of its range for it.
   */
  askAhead(): void {
    if (!this.traits.inOrder || !this.proven || this.passive !== 'EPSV') return;
    this.#ahead = this.control.ask('EPSV');
  }

  /** For whoever opens the next data connection, once. */
  takeAhead(): Promise<Reply> | undefined {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    return ahead;
  }

  /**
   * The port that the server offers. Where EPSV is unknown, or answered with something else, PASV takes its place.
   * @param first the answer to `passive`, when that was sent already
   */
  async port(first?: Promise<Reply>): Promise<number> {
    if (this.memory.passive === 'EPSV') {
      const reply = await (first ?? this.control.ask('EPSV'));
      const port = epsvPort(reply);
      if (port !== undefined) return port;
      if (reply.code >= 400 && reply.code < 500) throw noPassiveFault(this.name, reply);
      this.memory.passive = 'PASV';
    }
    const reply = await this.control.ask('PASV');
    const port = pasvPort(reply);
    if (port === undefined) throw noPassiveFault(this.name, reply);
    return port;
  }

  /** @param resume false: as a client would that does not resume the session */
  dial(port: number, resume = true): Data {
    const { settings, traits } = this;
    this.#tls ??= this.#trust.options(this.#address, this.#secured);
    const session = this.#session ?? this.#secured.getSession();
    const fresh = traits.ticketsLast && performance.now() - this.#sessionAtMs < FRESH_MS;
    return new Data({
      host: this.#address,
      port,
      bindAddress: settings.bindAddress,
      trust: this.#trust,
      tls: this.#tls,
      session: resume ? session : undefined,
      onSession: fresh ? undefined : this.#keep,
      mayPublish: traits.commitsAtClose,
      connectMs: settings.connectTimeout,
      timeoutMs: settings.timeout,
    });
  }

  readonly #keep = (session: Buffer): void => {
    this.#session = session;
    this.#sessionAtMs = performance.now();
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.control.close();
  }
}

function noPassiveFault(name: string, reply: Reply): Fault {
  return new Fault('unreachable', `${name} offers no data connection: ${quoted(reply)}`, {
    code: 'NO_DATA_PORT',
    advice:
      'The server has no passive port left, or allows no passive connections: give it a wider range of ports, or lower connections in endpoints.yaml.',
  });
}
