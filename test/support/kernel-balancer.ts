/**
 * A network load balancer made of the kernel's own connection tracking: it passes flows on to its targets, forgets
 * those that were idle for too long without telling anybody, and answers what comes later with RST. Linux, nftables.
 */

import type { Balancer, BalancerOptions } from './balancer.ts';
import type { Target } from './fault-proxy.ts';
import type { Host } from './netns.ts';

/** The ends of the cables, and the address on the clients' side. */
export interface Sides {
  readonly clients: string;
  readonly servers: string;
  readonly address: string;
}

interface Listener {
  readonly port: number;
  readonly how: BalancerOptions['how'];
  targets: readonly Target[];
  hole: boolean;
}

export class KernelBalancers {
  readonly #host: Host;
  readonly #sides: Sides;
  readonly #listeners = new Map<number, Listener>();
  #last: Promise<unknown> = Promise.resolve();

  private constructor(host: Host, sides: Sides) {
    this.#host = host;
    this.#sides = sides;
  }

  /** @param limitSeconds flows are forgotten after; the same for all listeners */
  static async on(host: Host, sides: Sides, limitSeconds: number): Promise<KernelBalancers> {
    const settings = {
      'ipv4/ip_forward': 1,
      'netfilter/nf_conntrack_tcp_timeout_established': limitSeconds,
      // A packet of an unknown flow does not begin one, and one out of order is no reason to doubt.
      'netfilter/nf_conntrack_tcp_loose': 0,
      'netfilter/nf_conntrack_tcp_be_liberal': 1,
    };
    const lines = Object.entries(settings).map(([name, value]) => `echo ${value} > /proc/sys/net/${name}`);
    await host.run(lines.join('\n'));
    const made = new KernelBalancers(host, sides);
    await made.#apply();
    return made;
  }

  async listen(port: number, { targets, how }: BalancerOptions): Promise<Balancer> {
    const listener: Listener = { port, how, targets, hole: false };
    this.#listeners.set(port, listener);
    await this.#apply();
    return {
      host: this.#sides.address,
      port,
      toTargets: async (next) => {
        listener.targets = next;
        await this.#apply();
      },
      blackHole: async (on) => {
        listener.hole = on;
        await this.#apply();
      },
      forgotten: async () => {
        const shown = await this.#host.run(`nft list counter ip balancer forgotten-${port}`);
        return Number(/packets (\d+)/.exec(shown)?.[1] ?? Number.NaN);
      },
      [Symbol.asyncDispose]: async () => {
        this.#listeners.delete(port);
        await this.#apply();
      },
    };
  }

  /** All rules anew, in one step; flows that are open stay, and counters count on. */
  #apply(): Promise<unknown> {
    const rules = this.#rules();
    this.#last = this.#last.then(() => this.#host.run(`nft -f - <<'END'\n${rules}\nEND`));
    return this.#last;
  }

  #rules(): string {
    const { clients, servers } = this.#sides;
    const listeners = [...this.#listeners.values()];
    const chain = (name: string, hook: string, more = ''): string =>
      `add chain ip balancer ${name} { type ${hook}; ${more} }`;
    const rule = (to: string, text: string): string => `add rule ip balancer ${to} ${text}`;
    return [
      'add table ip balancer',
      ...listeners.map(({ port }) => `add counter ip balancer forgotten-${port}`),
      'flush table ip balancer',
      chain('early', 'filter hook prerouting priority -300'),
      chain('targets', 'nat hook prerouting priority -100'),
      chain('source', 'nat hook postrouting priority 100'),
      chain('unknown', 'filter hook input priority 0'),
      chain('passing', 'filter hook forward priority 0', 'policy drop;'),
      ...listeners
        .filter(({ hole }) => hole)
        .flatMap(({ port }) => [
          rule('early', `iifname ${clients} tcp dport ${port} drop`),
          rule('passing', `meta l4proto tcp ct original proto-dst ${port} drop`),
        ]),
      ...listeners.flatMap(({ port, targets }) =>
        targets.map((target, index) => {
          const share = index === targets.length - 1 ? '' : `numgen inc mod ${targets.length - index} 0 `;
          return rule(
            'targets',
            `iifname ${clients} tcp dport ${port} ${share}dnat to ${target.host}:${target.port}`,
          );
        }),
      ),
      rule('source', `oifname ${servers} masquerade`),
      ...listeners.map(({ port, how }) =>
        rule(
          'unknown',
          `iifname ${clients} tcp dport ${port} ct state invalid counter name forgotten-${port} ${how === 'rst' ? 'reject with tcp reset' : 'drop'}`,
        ),
      ),
      rule('unknown', `iifname ${servers} meta l4proto tcp ct state invalid reject with tcp reset`),
      // Nothing gets to the servers but what a listener has sent there.
      rule('passing', 'ct status dnat accept'),
    ].join('\n');
  }
}
