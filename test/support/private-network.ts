/**
 * An on-prem host, load balancers, a bastion, and two OpenSSH servers in a private subnet that nobody reaches but
 * through a balancer or the bastion. In network namespaces where these may be made; on loopback, with the fault proxy
 * as balancer, where not: `instead` says why.
 */

import { readFile } from 'node:fs/promises';
import { type Balancer, type BalancerOptions, proxyBalancer, relayBalancer } from './balancer.ts';
import { temporaryFolder } from './files.ts';
import { KernelBalancers } from './kernel-balancer.ts';
import { connectHosts, type Host, makeHost } from './netns.ts';
import { type Sshd, type SshdOptions, startSshd } from './sshd.ts';

export interface PrivateNetwork extends AsyncDisposable {
  /** Why it is not made of namespaces; undefined where it is. */
  readonly instead: string | undefined;
  /** One line for people. */
  readonly description: string;
  /** What a command line begins with to run on the on-prem host; undefined on loopback. */
  readonly onPrem: readonly string[] | undefined;
  /** Two servers with different host keys, and one folder. */
  readonly targets: readonly [Sshd, Sshd];
  /** Files of both. */
  readonly folder: string;
  readonly bastion: Sshd;
  /** A balancer before the targets, or those given. */
  balancer(options: Partial<BalancerOptions>): Promise<Balancer>;
  /** Bytes a second that leave the on-prem host; undefined: as many as there are. On loopback it is the next balancer that is slow. */
  uplink(bytesPerSecond: number | undefined): Promise<void>;
}

export interface NetworkOptions {
  /** Of all balancers. */
  readonly limitSeconds: number;
  readonly server?: SshdOptions;
}

const ADDRESS = {
  onPrem: '10.77.1.2',
  balancer: '10.77.1.1',
  balancerInside: '10.77.2.1',
  targets: ['10.77.2.2', '10.77.2.3'],
  targetNet: '10.77.2.0/24',
  onPremToBastion: '10.77.3.2',
  bastion: '10.77.3.1',
  bastionInside: '10.77.4.1',
  targetToBastion: '10.77.4.2',
} as const;

const FIRST_PORT = 2_200;

export async function privateNetwork(options: NetworkOptions): Promise<PrivateNetwork> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await temporaryFolder('private'));
  let made: Made;
  try {
    made = await fromNamespaces(options, folder.path);
  } catch (error) {
    made = await onLoopback(options, folder.path, error instanceof Error ? error.message : String(error));
  }
  undo.use(made);
  const owned = undo.move();
  return {
    ...made,
    folder: folder.path,
    description:
      made.instead === undefined
        ? 'in network namespaces, with the kernel as load balancer'
        : `through the fault proxy on loopback, since network namespaces cannot be made here: ${made.instead}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type Made = Omit<PrivateNetwork, 'description' | 'folder'>;

async function fromNamespaces(options: NetworkOptions, folder: string): Promise<Made> {
  await using undo = new AsyncDisposableStack();
  const host = async (name: string): Promise<Host> => undo.use(await makeHost(name));
  const [onPrem, balancer, bastion, inside] = [
    await host('onprem'),
    await host('balancer'),
    await host('bastion'),
    await host('private'),
  ];
  await connectHosts([onPrem, `${ADDRESS.onPrem}/24`], [balancer, `${ADDRESS.balancer}/24`]);
  await connectHosts([balancer, `${ADDRESS.balancerInside}/24`], [inside, `${ADDRESS.targets[0]}/24`]);
  await connectHosts([onPrem, `${ADDRESS.onPremToBastion}/24`], [bastion, `${ADDRESS.bastion}/24`]);
  await connectHosts([bastion, `${ADDRESS.bastionInside}/24`], [inside, `${ADDRESS.targetToBastion}/24`]);
  await bastion.run(`ip route add ${ADDRESS.targetNet} via ${ADDRESS.targetToBastion}`);
  await inside.run(`ip address add ${ADDRESS.targets[1]}/24 dev to-balancer`);
  // Whoever tries the private addresses themselves gets as far as the balancer, as behind a security group.
  await onPrem.run(`ip route add default via ${ADDRESS.balancer}\n${slowly(1e9)}\n${slowly(undefined)}`);
  const sides = { clients: 'to-onprem', servers: 'to-private', address: ADDRESS.balancer };
  const kernel = await KernelBalancers.on(balancer, sides, options.limitSeconds);
  const server = { ...options.server, port: 22, folder, within: inside.inside };
  const one = undo.use(await startSshd({ ...server, host: ADDRESS.targets[0] }));
  const other = undo.use(await startSshd({ ...server, host: ADDRESS.targets[1], ...(await sameLogin(one)) }));
  const jump = undo.use(
    await startSshd({ ...JUMP_HOST, port: 22, host: ADDRESS.bastion, within: bastion.inside }),
  );
  let port = FIRST_PORT;
  const owned = undo.move();
  return {
    instead: undefined,
    onPrem: onPrem.within,
    targets: [one, other],
    bastion: jump,
    balancer: async (given) => {
      port += 1;
      const all = {
        targets: [one, other],
        limitMs: options.limitSeconds * 1_000,
        how: 'rst',
        ...given,
      } as const;
      if (all.how !== 'fin') return await kernel.listen(port, all);
      return await relayBalancer(balancer, { host: ADDRESS.balancer, port }, all);
    },
    uplink: async (bytesPerSecond) => void (await onPrem.run(slowly(bytesPerSecond))),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function slowly(bytesPerSecond: number | undefined): string {
  if (bytesPerSecond === undefined) return 'tc qdisc del dev to-balancer root';
  return `tc qdisc replace dev to-balancer root tbf rate ${Math.round(bytesPerSecond)}bps burst 64kb limit 256kb`;
}

async function onLoopback(options: NetworkOptions, folder: string, why: string): Promise<Made> {
  await using undo = new AsyncDisposableStack();
  const one = undo.use(await startSshd({ ...options.server, folder }));
  const other = undo.use(await startSshd({ ...options.server, folder, ...(await sameLogin(one)) }));
  const bastion = undo.use(await startSshd(JUMP_HOST));
  let speed: number | undefined;
  const owned = undo.move();
  return {
    instead: why.split('\n')[0] ?? '',
    onPrem: undefined,
    targets: [one, other],
    bastion,
    balancer: (given) =>
      proxyBalancer({
        targets: [one, other],
        limitMs: options.limitSeconds * 1_000,
        how: 'rst',
        ...(speed === undefined ? {} : { bytesPerSecond: speed }),
        ...given,
      }),
    uplink: async (bytesPerSecond) => {
      speed = bytesPerSecond;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** No shell and no SFTP: all that it allows is forwarding. */
const JUMP_HOST: SshdOptions = { sftp: false, config: ['ForceCommand /bin/false', 'MaxSessions 0'] };

/** One client key for both. */
async function sameLogin(server: Sshd): Promise<SshdOptions> {
  return { authorized: [await readFile(`${server.keyFile}.pub`, 'utf8')] };
}
