/**
 * The PROXY protocol (haproxy's proxy-protocol.txt, versions 1 and 2): before anything else a header says where the
 * connection comes from. For load balancers and TCP proxies that insist on it, and close what begins otherwise.
 */

import { isIPv6, type Socket } from 'node:net';
import type { DirectRoad } from './direct.ts';
import { bytesOf } from './ip.ts';
import type { Road } from './road.ts';

export type ProxyProtocol = 'v1' | 'v2';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Version 2, command PROXY. */
const VERSION_AND_COMMAND = 0x21;
const STREAM = { ipv4: 0x11, ipv6: 0x21 } as const;

export function announced(road: DirectRoad, version: ProxyProtocol): Road {
  return {
    description: `${road.description} (PROXY protocol ${version})`,
    open: async (signal, passed) => {
      const socket = await road.open(signal, passed);
      socket.write(header(socket, version));
      return socket;
    },
  };
}

type Ends = Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>;

/** @param ends what the socket says of both ends; a socket that is closed by now says nothing */
export function header(ends: Ends, version: ProxyProtocol): Buffer {
  const {
    localAddress: from = '0.0.0.0',
    localPort = 0,
    remoteAddress: to = '0.0.0.0',
    remotePort = 0,
  } = ends;
  const v6 = isIPv6(from) && isIPv6(to);
  if (version === 'v1') {
    return Buffer.from(`PROXY TCP${v6 ? 6 : 4} ${bare(from)} ${bare(to)} ${localPort} ${remotePort}\r\n`);
  }
  const rest = Buffer.concat([bytesOf(from), bytesOf(to), word(localPort), word(remotePort)]);
  const kind = Buffer.of(VERSION_AND_COMMAND, v6 ? STREAM.ipv6 : STREAM.ipv4);
  return Buffer.concat([SIGNATURE, kind, word(rest.length), rest]);
}

function bare(address: string): string {
  return address.replace(/%.*/, '');
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
