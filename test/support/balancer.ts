/** Load balancers that forget: what the tests ask of one, whether the kernel plays it or the fault proxy. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import {
  type FaultProxy,
  type FaultProxyOptions,
  startFaultProxy,
  type Target,
  type Trouble,
} from './fault-proxy.ts';
import type { Host } from './netns.ts';
import { within } from './until.ts';

export interface Balancer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** New connections go to these, in turn. */
  toTargets(targets: readonly Target[]): Promise<void>;
  /** Nothing passes, in either direction, and nobody is told. */
  blackHole(on: boolean): Promise<void>;
  /** How often it met a flow that it had forgotten, or closed one for being idle. */
  forgotten(): Promise<number>;
}

export interface BalancerOptions {
  readonly targets: readonly Target[];
  /** After so long without traffic a flow is forgotten. */
  readonly limitMs: number;
  /**
   * `rst`: forgets in silence, and answers what comes later with RST (NLB); `nothing`: the same, but a firewall eats
   * the RST; `fin`: closes, and only data counts as traffic (CLB).
   */
  readonly how: 'rst' | 'nothing' | 'fin';
  /** Bytes a second in each direction, where it is the balancer that is slow. */
  readonly bytesPerSecond?: number;
}

export type RelayCommand =
  | { readonly trouble: Trouble }
  | { readonly targets: readonly Target[] }
  | { readonly counts: true };

/** What the fault proxy needs to be a balancer. */
function troubleOf({ limitMs, how, bytesPerSecond }: BalancerOptions, blackHole: boolean): Trouble {
  return {
    idle: { ms: limitMs, how },
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(blackHole ? { blackHole: {}, accept: 'hang' } : {}),
  };
}

/** The fault proxy as balancer, on loopback. */
export async function proxyBalancer(options: BalancerOptions): Promise<Balancer> {
  const [first] = options.targets;
  const proxy = await startFaultProxy({ port: first?.port ?? 0, trouble: troubleOf(options, false) });
  proxy.setTargets(options.targets);
  return balancerOver(
    proxy,
    options,
    async (command) => obey(proxy, command),
    async () => {
      await proxy[Symbol.asyncDispose]();
    },
  );
}

/** The fault proxy as balancer on a host of its own, in a process there. */
export async function relayBalancer(on: Host, address: Target, options: BalancerOptions): Promise<Balancer> {
  const proxy: FaultProxyOptions = {
    listenHost: address.host,
    listen: address.port,
    ...(options.targets[0] ?? address),
    trouble: troubleOf(options, false),
  };
  const script = fileURLToPath(new URL('./balancer-relay.ts', import.meta.url));
  const [program = '', ...args] = [...on.inside, process.execPath, script, JSON.stringify(proxy)];
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ask = (command: RelayCommand): Promise<number> => answerOf(child, command);
  await within(30_000, 'the relay', once(child, 'message'));
  await ask({ targets: options.targets });
  return balancerOver(address, options, ask, async () => {
    const ended = once(child, 'exit');
    child.disconnect();
    await ended;
  });
}

/** What a relay does when it is told something. @returns how many flows it has forgotten so far */
export function obey(proxy: FaultProxy, command: RelayCommand): number {
  if ('trouble' in command) proxy.setTrouble(command.trouble);
  if ('targets' in command) proxy.setTargets(command.targets);
  return proxy.counts.expired;
}

async function answerOf(child: ChildProcess, command: RelayCommand): Promise<number> {
  const answer = once(child, 'message');
  child.send(command);
  const [count] = await within(30_000, 'the relay', answer);
  return Number(count);
}

function balancerOver(
  address: Target,
  options: BalancerOptions,
  ask: (command: RelayCommand) => Promise<number>,
  close: () => Promise<void>,
): Balancer {
  // One question at a time: the answers carry no name.
  let last: Promise<number | undefined> = Promise.resolve(undefined);
  const inTurn = (command: RelayCommand): Promise<number> => {
    const asked = last.then(() => ask(command));
    last = asked.catch(() => undefined);
    return asked;
  };
  return {
    host: address.host,
    port: address.port,
    toTargets: async (targets) => void (await inTurn({ targets })),
    blackHole: async (on) => void (await inTurn({ trouble: troubleOf(options, on) })),
    forgotten: () => inTurn({ counts: true }),
    [Symbol.asyncDispose]: close,
  };
}
