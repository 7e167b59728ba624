/** The road through a SOCKS5 or an HTTP proxy, as on-prem hosts often have nothing else. */

import type { Duplex } from 'node:stream';
import { Fault } from '../sync/errors.ts';
import { type DirectOptions, directRoad } from './direct.ts';
import { type Handshake, shakeHands } from './handshake.ts';
import { connectByHttp } from './http-connect.ts';
import type { ProxyAddress } from './proxy-address.ts';
import { hostPort, type Road } from './road.ts';
import { connectBySocks5 } from './socks5.ts';

export interface ProxyOptions {
  readonly proxy: ProxyAddress;
  /** What lies behind it; a name is resolved by the proxy. */
  readonly host: string;
  readonly port: number;
  /** The way to the proxy itself; `timeoutMs` is for all of it. */
  readonly direct: Omit<DirectOptions, 'host' | 'port'>;
}

/** What the handshakes with both kinds of proxy need. */
export interface Target {
  readonly proxy: ProxyAddress;
  readonly host: string;
  readonly port: number;
  /** For messages: `the proxy 10.0.0.9:3128`. */
  readonly name: string;
  /** For messages: `10.0.1.5:22`. */
  readonly where: string;
}

export function proxyRoad({ proxy, host, port, direct }: ProxyOptions): Road {
  const name = `the ${proxy.scheme === 'http' ? 'HTTP' : 'SOCKS'} proxy ${hostPort(proxy.host, proxy.port)}`;
  const where = hostPort(host, port);
  const target = { proxy, host, port, name, where };
  const connect = proxy.scheme === 'http' ? connectByHttp : connectBySocks5;
  return {
    description: `${where} through ${name}`,
    open: async (signal, passed) => {
      const deadlineMs = performance.now() + direct.timeoutMs;
      const socket = await toProxy(target, direct, signal);
      passed?.('proxy', `connected to ${name}`);
      const talk = (handshake: Handshake): Promise<void> => connect(handshake, target);
      const timeoutMs = Math.max(0, deadlineMs - performance.now());
      await shakeHands(socket, { signal, timeoutMs, name, where }, talk);
      passed?.('tunnel', `it leads to ${where}`);
      return socket;
    },
  };
}

async function toProxy(
  { proxy, name }: Target,
  direct: ProxyOptions['direct'],
  signal: AbortSignal,
): Promise<Duplex> {
  try {
    return await directRoad({ ...direct, host: proxy.host, port: proxy.port }).open(signal);
  } catch (error) {
    if (!(error instanceof Fault) || error.kind === 'aborted') throw error;
    const { kind, message, code } = error;
    throw new Fault(kind, `${name} cannot be reached: ${message}`, {
      code: 'PROXY_CONNECT',
      cause: error,
      advice: adviceFor(code, error.advice),
    });
  }
}

/** What the direct road says is about an SSH server, where it is not about the network. */
function adviceFor(code: string | undefined, advice = 'Look at the network.'): string {
  if (code === 'ECONNREFUSED')
    return 'Is the proxy running, and is its port right? Correct `proxy` in endpoints.yaml.';
  if (code === 'ETIMEDOUT')
    return 'A firewall on the way drops the packets, or `proxy` in endpoints.yaml names the wrong host.';
  return advice;
}
