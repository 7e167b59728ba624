/**
 * A TCP proxy on loopback through which a test does to a connection what networks do: delay, throttle, cut, swallow,
 * forget. Without trouble it passes everything on, both halves of a connection separately.
 *
 * `up` is from client to server. TCP keep-alive probes do not reach a proxy, so its idle times see only data.
 */

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { ProxiedConnection, type Shared } from './fault-connection.ts';
import { freePort } from './ports.ts';
import { until } from './until.ts';

export type Direction = 'up' | 'down';

export interface Cut {
  /** The connection ends when exactly so many bytes were given on. (An RST may overtake what its receiver has not read.) */
  readonly afterBytes: number;
  readonly direction: Direction;
  readonly by: 'rst' | 'fin';
  /** Bytes of each connection by itself (default), or of all together since the trouble was set. */
  readonly counting?: 'connection' | 'all';
  /** Only the nth connection that the proxy accepted (from 1). */
  readonly connection?: number;
  /** Fires so often; default without end. */
  readonly times?: number;
}

export interface Trouble {
  /** In each direction: a round trip takes twice as long. */
  readonly latencyMs?: number;
  /** In each direction. */
  readonly bytesPerSecond?: number;
  readonly cut?: Cut;
  /** Nothing is read or given from that byte of a connection on; it goes on when the trouble is lifted. */
  readonly blackHole?: {
    readonly afterBytes?: number;
    readonly direction?: Direction;
    readonly connection?: number;
  };
  /**
   * After so long without a byte in either direction: `rst` forgets the connection in silence and answers the next
   * packet of either side with RST (NLB); `nothing` forgets it and never answers (firewall); `fin` closes (CLB).
   */
  readonly idle?: { readonly ms: number; readonly how: 'rst' | 'nothing' | 'fin' };
  /** What a new connection meets: RST, FIN, or silence for ever (the server is not asked). */
  readonly accept?: 'rst' | 'fin' | 'hang';
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly trouble: Trouble;
  /** Replaces the trouble, for open connections too; `{}` lifts it. Counts of bytes since start anew. */
  setTrouble(trouble: Trouble): void;
  /** New connections go to these, in turn. */
  setTargets(targets: readonly Target[]): void;
  /** Ends every open connection, now. */
  cutAll(by: Cut['by']): void;
  /** Stops listening (connects are refused); open connections stay. */
  down(): Promise<void>;
  /** Listens again, on the same port. */
  up(): Promise<void>;
  readonly counts: {
    readonly accepted: number;
    readonly open: number;
    readonly cut: number;
    readonly expired: number;
    readonly bytesUp: number;
    readonly bytesDown: number;
  };
  /** Of each connection that is open: its number and the bytes given so far. */
  readonly connections: readonly { readonly number: number; readonly up: number; readonly down: number }[];
}

export interface FaultProxyOptions {
  /** Of the server behind; default loopback. */
  readonly host?: string;
  readonly port: number;
  /** Where the proxy itself listens; default: any free port of loopback. */
  readonly listen?: number;
  readonly listenHost?: string;
  readonly trouble?: Trouble;
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const shared: Shared = {
    targets: [{ host: options.host ?? '127.0.0.1', port: options.port }],
    trouble: options.trouble ?? {},
    cutsFired: 0,
    sinceSet: { up: 0, down: 0 },
    total: { up: 0, down: 0 },
    expired: 0,
    cut: 0,
  };
  const open = new Set<ProxiedConnection>();
  const turnedAway = new Set<Socket>();
  let accepted = 0;

  const accept = (client: Socket): void => {
    accepted += 1;
    const manner = shared.trouble.accept;
    if (manner === undefined) {
      const connection = new ProxiedConnection(accepted, client, shared, () => open.delete(connection));
      open.add(connection);
      return;
    }
    turnedAway.add(client);
    client.on('error', () => undefined).once('close', () => turnedAway.delete(client));
    if (manner === 'rst') client.resetAndDestroy();
    else if (manner === 'fin') client.end(() => client.destroy());
  };

  const host = options.listenHost ?? '127.0.0.1';
  const server = createServer({ allowHalfOpen: true }, accept);
  const listen = async (port: number): Promise<number> => {
    server.listen(port, host);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port was given');
    return address.port;
  };
  const port = await listen(options.listen ?? (await freePort()));
  const down = async (): Promise<void> => {
    if (server.listening) server.close();
  };
  const cutAll = (by: Cut['by']): void => {
    for (const connection of open) connection.end(by);
  };

  return {
    host,
    port,
    get trouble() {
      return shared.trouble;
    },
    setTrouble: (trouble) => {
      shared.trouble = trouble;
      shared.cutsFired = 0;
      shared.sinceSet.up = 0;
      shared.sinceSet.down = 0;
      for (const connection of open) connection.applyTrouble();
    },
    setTargets: (targets) => {
      shared.targets = targets;
    },
    cutAll,
    down,
    up: async () => {
      if (!server.listening) await listen(port);
    },
    get counts() {
      const { cut, expired, total } = shared;
      return { accepted, open: open.size, cut, expired, bytesUp: total.up, bytesDown: total.down };
    },
    get connections() {
      return [...open].map((connection) => ({ number: connection.number, ...connection.bytes }));
    },
    [Symbol.asyncDispose]: async () => {
      await down();
      for (const client of turnedAway) client.destroy();
      cutAll('rst');
      await until('the proxy to close', () => open.size === 0 && turnedAway.size === 0);
    },
  };
}
