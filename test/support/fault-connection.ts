/** One connection through the fault proxy: two links, and the troubles that befall them. */

import { connect, type Socket } from 'node:net';
import { Link } from './fault-link.ts';
import type { Cut, Direction, Target, Trouble } from './fault-proxy.ts';

/** What a connection shares with the others of its proxy. */
export interface Shared {
  /** Connections go to these in turn. */
  targets: readonly Target[];
  trouble: Trouble;
  /** Cuts that fired since the trouble was set. */
  cutsFired: number;
  /** Bytes given since the trouble was set, over all connections. */
  readonly sinceSet: Record<Direction, number>;
  readonly total: Record<Direction, number>;
  expired: number;
  cut: number;
}

export class ProxiedConnection {
  /** 1 for the first connection that the proxy accepted. */
  readonly number: number;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #shared: Shared;
  readonly #links: Readonly<Record<Direction, Link>>;
  #idleTimer: NodeJS.Timeout | undefined;
  #expired = false;

  constructor(number: number, client: Socket, shared: Shared, onClose: () => void) {
    this.number = number;
    this.#client = client;
    this.#shared = shared;
    const target = shared.targets[(number - 1) % shared.targets.length];
    if (target === undefined) throw new Error('a proxy needs a target');
    this.#server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    this.#links = { up: this.#link('up'), down: this.#link('down') };
    this.#endTogether(client, this.#server);
    this.#endTogether(this.#server, client);
    let open = 2;
    for (const socket of [client, this.#server]) {
      socket.once('close', () => {
        open -= 1;
        if (open > 0) return;
        clearTimeout(this.#idleTimer);
        onClose();
      });
    }
    this.applyTrouble();
  }

  get bytes(): Readonly<Record<Direction, number>> {
    return { up: this.#links.up.delivered, down: this.#links.down.delivered };
  }

  /** The proxy's trouble has changed. */
  applyTrouble(): void {
    const { latencyMs = 0, bytesPerSecond = 0 } = this.#shared.trouble;
    for (const direction of ['up', 'down'] as const) {
      const link = this.#links[direction];
      link.options = { latencyMs, bytesPerSecond };
      link.held = this.#blackHoleFrom(direction) <= link.delivered;
    }
    this.#alive();
  }

  end(by: Cut['by']): void {
    this.#links.up.close();
    this.#links.down.close();
    for (const socket of [this.#client, this.#server]) {
      if (by === 'rst') reset(socket);
      else socket.end(() => socket.destroy());
    }
  }

  #link(direction: Direction): Link {
    const [from, to] = direction === 'up' ? [this.#client, this.#server] : [this.#server, this.#client];
    const options = { latencyMs: 0, bytesPerSecond: 0 };
    return new Link(from, to, options, {
      arrived: () => {
        if (this.#expired) {
          if (this.#shared.trouble.idle?.how !== 'nothing') reset(from);
          return false;
        }
        this.#alive();
        return true;
      },
      allow: (bytes) => {
        const left = Math.min(this.#leftToCut(direction), this.#leftToHole(direction));
        const allowed = Math.min(bytes, left);
        this.#shared.total[direction] += allowed;
        this.#shared.sinceSet[direction] += allowed;
        return { bytes: allowed, hold: allowed === left };
      },
      heldBack: () => {
        const { cut } = this.#shared.trouble;
        if (cut === undefined || this.#leftToCut(direction) > 0) return; // a black hole: stays held
        this.#shared.cutsFired += 1;
        this.#shared.cut += 1;
        this.end(cut.by);
      },
    });
  }

  #leftToCut(direction: Direction): number {
    const { trouble, cutsFired, sinceSet } = this.#shared;
    const { cut } = trouble;
    if (cut === undefined || cut.direction !== direction || cutsFired >= (cut.times ?? Infinity))
      return Infinity;
    if (cut.connection !== undefined && cut.connection !== this.number) return Infinity;
    const passed = cut.counting === 'all' ? sinceSet[direction] : this.#links[direction].delivered;
    return Math.max(0, cut.afterBytes - passed);
  }

  #leftToHole(direction: Direction): number {
    return Math.max(0, this.#blackHoleFrom(direction) - this.#links[direction].delivered);
  }

  #blackHoleFrom(direction: Direction): number {
    const hole = this.#shared.trouble.blackHole;
    if (hole === undefined) return Infinity;
    if (hole.direction !== undefined && hole.direction !== direction) return Infinity;
    if (hole.connection !== undefined && hole.connection !== this.number) return Infinity;
    return hole.afterBytes ?? 0;
  }

  /** Something moved: an idle time begins anew. */
  #alive(): void {
    const { idle } = this.#shared.trouble;
    clearTimeout(this.#idleTimer);
    if (idle === undefined || this.#expired) return;
    this.#idleTimer = setTimeout(() => {
      this.#shared.expired += 1;
      if (idle.how === 'fin') this.end('fin');
      else this.#expired = true;
    }, idle.ms);
  }

  /** A reset of one side reaches the other after the latency. */
  #endTogether(socket: Socket, other: Socket): void {
    socket.on('error', () => {
      if (this.#expired) return;
      setTimeout(() => reset(other), this.#shared.trouble.latencyMs ?? 0);
    });
  }
}

/** A socket whose FIN is on its way cannot be reset: libuv refuses, and Node would never close it (24.21). */
function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}
