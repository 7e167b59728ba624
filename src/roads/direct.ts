/**
 * The direct road: a TCP connection, also over VPN, Direct Connect or a network load balancer.
 *
 * A name with several addresses (one for each zone of a load balancer, or IPv4 and IPv6) is tried address by
 * address. Nagle's algorithm is off: what travels here are small requests that wait for answers.
 */

import { lookup } from 'node:dns';
import { connect, isIP, isIPv6, type LookupFunction, type Socket } from 'node:net';
import { codeOf, Fault, messageOf, throwIfAborted } from '../sync/errors.ts';
import { abortFault, hostPort, type Passed, type Road } from './road.ts';

export interface DirectOptions {
  readonly host: string;
  readonly port: number;
  /** Local address to connect from. */
  readonly bindAddress?: string;
  /** Only addresses of this kind; default: both. */
  readonly family?: 4 | 6;
  /** For name, addresses and handshake together. */
  readonly timeoutMs: number;
  /** TCP keep-alive probes start after so much silence. */
  readonly keepAliveMs: number;
  /** Default: the system's resolver. */
  readonly lookup?: LookupFunction;
}

/** How long one of several addresses may take before the next is tried as well. */
const NEXT_ADDRESS_MS = 2_500;

export interface DirectRoad extends Road {
  open(signal: AbortSignal, passed?: Passed): Promise<Socket>;
}

export function directRoad(options: DirectOptions): DirectRoad {
  const where = hostPort(options.host, options.port);
  const openAny = options.bindAddress === undefined || isIP(options.host) !== 0 ? open : openFrom;
  return {
    description: where,
    open: async (signal, passed) => await openAny(options, where, signal, passed),
  };
}

/** `net` tries one address after the other only where it may choose from where. */
async function openFrom(
  options: DirectOptions,
  where: string,
  signal: AbortSignal,
  passed?: Passed,
): Promise<Socket> {
  const deadlineMs = performance.now() + options.timeoutMs;
  const addresses = await addressesOf(options, where, signal);
  for (const [index, host] of addresses.entries()) {
    const last = index === addresses.length - 1;
    const leftMs = Math.max(1, deadlineMs - performance.now());
    try {
      const timeoutMs = last ? leftMs : Math.min(NEXT_ADDRESS_MS, leftMs);
      return await open({ ...options, host, timeoutMs }, where, signal, passed);
    } catch (error) {
      if (last || signal.aborted) throw error;
    }
  }
  throw connectFault({ code: 'ENOTFOUND' }, where, [], options);
}

/** Those of a name that can be reached from the address that is given. */
function addressesOf(options: DirectOptions, where: string, signal: AbortSignal): Promise<readonly string[]> {
  const { bindAddress = '', host, timeoutMs } = options;
  throwIfAborted(signal);
  return new Promise((resolve, reject) => {
    const end = (how: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      how();
    };
    const onAbort = (): void => end(() => reject(abortFault(signal)));
    const timer = setTimeout(() => end(() => reject(silence(where, [], options))), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    (options.lookup ?? lookup)(host, { all: true, family: isIP(bindAddress) }, (error, found) => {
      if (error) end(() => reject(connectFault(error, where, [], options)));
      else end(() => resolve([found].flat().map((each) => (typeof each === 'string' ? each : each.address))));
    });
  });
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
      ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
      ...(options.family === undefined ? {} : { family: options.family }),
    });
    const named = (): void => {
      if (addresses.length > 0) passed?.('name', addresses.join(', '));
    };
    const fail = (fault: unknown): void => {
      named();
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
      named();
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
      ...NO_NAME_SERVER,
    });
  }
  return new Fault(
    'unreachable',
    `${where} did not answer within ${seconds} s (tried ${addresses.join(', ')})`,
    {
      code: 'ETIMEDOUT',
      means:
        'Packets are dropped on the way: by a security group, a network ACL or the on-prem firewall, for want of a ' +
        'route there or back (VPN, Direct Connect, subnet), or by a load balancer whose targets are unhealthy.',
      advice: `Let this host in on port ${options.port} in the security group, then look at the route tables and the health of the target.`,
    },
  );
}

/** What usually lies behind an error, and what to do next. */
interface Diagnosis {
  readonly means?: string;
  readonly advice: string;
}

const NO_NAME_SERVER: Diagnosis = {
  means: 'The name server does not answer.',
  advice: 'Look at /etc/resolv.conf, and at the VPN if the name is a private one.',
};

const DIAGNOSES: Readonly<Record<string, Diagnosis>> = {
  ENOTFOUND: {
    means:
      'A typing error, or the name of a private hosted zone, which resolves only inside its VPC or over a Route 53 resolver endpoint.',
    advice: 'Look the name up here (getent hosts NAME) and inside the VPC; an address serves as host, too.',
  },
  EAI_AGAIN: NO_NAME_SERVER,
  ECONNREFUSED: {
    means:
      'The host answers, so that route and security group are right, but nothing listens on that port; a load balancer refuses when it has no listener on it.',
    advice: 'Is sshd running there, and is the port right?',
  },
  ECONNRESET: {
    means:
      'Something on the way ended the connection at once: a firewall, or a load balancer without a healthy target.',
    advice: 'Look at the health of the targets, and at the firewall.',
  },
  EHOSTUNREACH: {
    means: 'There is no route to that host.',
    advice: 'Look at the VPN, the routing table and the subnet.',
  },
  ENETUNREACH: {
    means: 'There is no route to that network.',
    advice: 'Look at the VPN, the routing table, and whether this host has IPv6.',
  },
  EADDRNOTAVAIL: { advice: 'bindAddress must be an address of this host.' },
  EINVAL: { advice: 'bindAddress must be an address of the same family (IPv4 or IPv6) as the host.' },
};

const OF_THE_SETTINGS: readonly string[] = ['EADDRNOTAVAIL', 'EINVAL'];

function connectFault(
  error: unknown,
  where: string,
  addresses: readonly string[],
  options: DirectOptions,
): Fault {
  const code = codeOf(error) ?? 'ECONNECT';
  if (code === 'ETIMEDOUT')
    return silence(where, addresses.length === 0 ? [options.host] : addresses, options);
  const kind = OF_THE_SETTINGS.includes(code) ? 'rejected' : 'unreachable';
  return new Fault(kind, say(error, code, where, options), {
    code,
    cause: error,
    ...DIAGNOSES[code],
  });
}

function say(error: unknown, code: string, where: string, options: DirectOptions): string {
  const { bindAddress } = options;
  if (code === 'ENOTFOUND' && bindAddress !== undefined) {
    return `the name ${options.host} does not exist, or has no IPv${isIPv6(bindAddress) ? 6 : 4} address to reach from ${bindAddress}`;
  }
  if (code === 'ENOTFOUND') return `the name ${options.host} does not exist`;
  if (code === 'EAI_AGAIN') return `the name ${options.host} could not be resolved`;
  if (code === 'ECONNREFUSED') return `${where} refused the connection`;
  if (code === 'ECONNRESET') return `${where} reset the connection`;
  if (OF_THE_SETTINGS.includes(code))
    return `cannot connect to ${where} from ${bindAddress ?? 'this address'}`;
  return `cannot connect to ${where}: ${messageOf(error) || code}`;
}
