/** The data connections of `transfer-ftps.ts`: a port is offered, somebody comes, TLS is spoken. */

import { constants } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Certificate } from './certificates.ts';
import type { TransferOptions, TransferTrouble } from './transfer-ftps.ts';
import type { Store } from './transfer-ftps-store.ts';

/** What the connections of one server have in common. */
export interface Shared {
  readonly options: TransferOptions;
  readonly host: string;
  readonly user: string;
  readonly password: string;
  readonly store: Store;
  readonly context: SecureContext;
  readonly trouble: TransferTrouble;
  readonly commands: string[];
  stored: number;
}

export function contextOf(options: TransferOptions, { cert, key }: Certificate): SecureContext {
  return createSecureContext({
    cert,
    key,
    minVersion: 'TLSv1.2',
    maxVersion: `TLSv${options.tls ?? '1.3'}`,
    secureOptions: options.reuse === 'none' ? constants.SSL_OP_NO_TICKET : 0,
  });
}

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

export class DataChannel {
  readonly #shared: Shared;
  #passive: Server | undefined;
  #incoming: Promise<Socket> | undefined;
  readonly #sockets = new Set<Socket>();

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** A new port for the next data connection; the one before is void. */
  async offer(): Promise<number> {
    this.#passive?.close();
    const server = createServer({ pauseOnConnect: true, noDelay: true });
    this.#passive = server;
    this.#incoming = once(server, 'connection').then(([socket]) => {
      server.close();
      if (socket instanceof Socket) return socket;
      throw new Error('no socket came');
    });
    this.#incoming.catch(() => undefined);
    server.listen(this.#shared.options.passivePort ?? 0, this.#shared.host);
    await once(server, 'listening');
    return this.#shared.trouble.dataPort ?? portOf(server);
  }

  /** Whoever comes to the port that was offered last, once; undefined when none was. */
  incoming(): Promise<Socket> | undefined {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    return incoming;
  }

  /** Undefined when the handshake fails. */
  async secure(raw: Socket): Promise<TLSSocket | undefined> {
    const { context, options, trouble } = this.#shared;
    const secureContext =
      trouble.dataCertificate === undefined ? context : contextOf(options, trouble.dataCertificate);
    const data = new TLSSocket(raw, { isServer: true, secureContext });
    // Node tells of a broken record only so, on a socket that belongs to no tls.Server.
    data.on('_tlsError', (error: Error) => data.destroy(error));
    this.#sockets.add(data);
    data.once('close', () => this.#sockets.delete(data));
    raw.on('error', () => undefined);
    raw.resume();
    try {
      await once(data, 'secure');
    } catch {
      return undefined;
    } finally {
      data.on('error', () => undefined);
    }
    return data;
  }

  end(): void {
    this.#passive?.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
