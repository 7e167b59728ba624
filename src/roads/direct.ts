/**
 * The direct road: a TCP connection, also over VPN, Direct Connect or a network load balancer.
 *
 * A name with several addresses (one for each zone of a load balancer, or IPv4 and IPv6) is tried address by
 * address. Nagle's algorithm is off: what travels here are small requests that wait for answers.
 */

import { connect, type Socket } from 'node:net';
import { codeOf, Fault, messageOf, throwIfAborted } from '../sync/errors.ts';
import { abortFault, hostPort, type Passed, type Road } from './road.ts';

export interface DirectOptions {
  readonly host: string;
  readonly port: number;
  /** Local address to connect from. */
  readonly bindAddress?: string;
  /** For name, addresses and handshake together. */
  readonly timeoutMs: number;
  /** TCP keep-alive probes start after so much silence. */
  readonly keepAliveMs: number;
}

/** How long one of several addresses may take before the next is tried as well. */
const NEXT_ADDRESS_MS = 2_500;

export function directRoad(options: DirectOptions): Road {
  const where = hostPort(options.host, options.port);
  return { description: where, open: async (signal, passed) => await open(options, where, signal, passed) };
}

function open(options: DirectOptions, where: string, signal: AbortSignal, passed?: Passed): Promise<Socket> {
  throwIfAborted(signal);
  return new Promise((resolve, reject) => {
    const addresses: string[] = [];
    const socket = connect({
      host: options.host,
      port: options.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: options.keepAliveMs,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
      ...(options.bindAddress === undefined ? {} : { localAddress: options.bindAddress }),
    });
    const fail = (fault: unknown): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(fault);
    };
    const onAbort = (): void => {
      fail(abortFault(signal));
    };
    const timer = setTimeout(() => fail(silence(where, addresses, options)), options.timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('connectionAttempt', (address: string) => addresses.push(address));
    socket.on('error', (error) => fail(connectFault(error, where, addresses, options)));
    socket.once('connect', () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      passed?.('name', addresses.length === 0 ? options.host : addresses.join(', '));
      passed?.('tcp', `connected to ${hostPort(socket.remoteAddress ?? options.host, options.port)}`);
      resolve(socket);
    });
  });
}

function silence(where: string, addresses: readonly string[], options: DirectOptions): Fault {
  const seconds = options.timeoutMs / 1000;
  if (addresses.length === 0) {
    return new Fault('unreachable', `${options.host} was not resolved within ${seconds} s`, {
      code: 'EAI_AGAIN',
      advice:
        'The name server does not answer: look at /etc/resolv.conf, and at the VPN if the name is a private one.',
    });
  }
  return new Fault(
    'unreachable',
    `${where} did not answer within ${seconds} s (tried ${addresses.join(', ')})`,
    {
      code: 'ETIMEDOUT',
      advice:
        'Packets are dropped on the way: the security group, network ACL or on-prem firewall must let this host in on ' +
        `port ${options.port}, the route (VPN, Direct Connect, subnet) must lead there and back, and behind a load ` +
        'balancer the target must be healthy.',
    },
  );
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOTFOUND:
    'No such name: look for a typing error; names of a private hosted zone resolve only inside their VPC, or with a Route 53 resolver endpoint.',
  EAI_AGAIN:
    'The name server does not answer: look at /etc/resolv.conf, and at the VPN if the name is a private one.',
  ECONNREFUSED:
    'The host answers, but nothing listens on that port: is sshd running there, and is the port right? A load balancer refuses when it has no listener on it.',
  ECONNRESET:
    'Something on the way ended the connection at once: a firewall, or a load balancer without a healthy target.',
  EHOSTUNREACH: 'There is no route to that host: look at the VPN, the routing table and the subnet.',
  ENETUNREACH:
    'There is no route to that network: look at the VPN, the routing table, and whether this host has IPv6.',
  EADDRNOTAVAIL: 'bindAddress must be an address of this host.',
};

function connectFault(
  error: unknown,
  where: string,
  addresses: readonly string[],
  options: DirectOptions,
): Fault {
  const code = codeOf(error) ?? 'ECONNECT';
  if (code === 'ETIMEDOUT')
    return silence(where, addresses.length === 0 ? [options.host] : addresses, options);
  const advice = ADVICE[code];
  return new Fault(code === 'EADDRNOTAVAIL' ? 'rejected' : 'unreachable', say(error, code, where, options), {
    code,
    cause: error,
    ...(advice === undefined ? {} : { advice }),
  });
}

function say(error: unknown, code: string, where: string, options: DirectOptions): string {
  if (code === 'ENOTFOUND') return `the name ${options.host} does not exist`;
  if (code === 'EAI_AGAIN') return `the name ${options.host} could not be resolved`;
  if (code === 'ECONNREFUSED') return `${where} refused the connection`;
  if (code === 'ECONNRESET') return `${where} reset the connection`;
  if (code === 'EADDRNOTAVAIL') return `cannot connect from ${options.bindAddress ?? 'this address'}`;
  return `cannot connect to ${where}: ${messageOf(error) || code}`;
}
