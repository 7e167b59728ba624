/** Where Ferry's own pages are served: `host:port`, or nowhere. Without a token only on this machine. */

import { isIP } from 'node:net';
import { Fault } from '../sync/errors.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly loopback: boolean;
}

/** Shorter ones are guessed. */
const SHORTEST_TOKEN = 16;

/**
 * @param text of FERRY_HTTP: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `off`
 * @returns undefined for `off`
 * @throws Fault `permanent` HTTP_ADDRESS for what is no address, HTTP_TOKEN for one that others reach without a good token
 */
export function parseAddress(text: string, token: string | undefined): Address | undefined {
  if (text === 'off') return undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port <= 65_535) || (match?.[1] !== undefined && isIP(host) !== 6)) {
    throw new Fault('permanent', `FERRY_HTTP is "${text}", which is not host:port`, {
      code: 'HTTP_ADDRESS',
      advice: 'Write an address and a port like 127.0.0.1:8080 or [::1]:8080, or "off".',
    });
  }
  const loopback = isLoopback(host);
  if (token === undefined && !loopback) {
    throw new Fault(
      'permanent',
      `FERRY_HTTP is ${text}, which other machines can reach, and there is no FERRY_HTTP_TOKEN`,
      {
        code: 'HTTP_TOKEN',
        advice: 'Set FERRY_HTTP_TOKEN to a long random text (`openssl rand -hex 24`), or serve on 127.0.0.1.',
      },
    );
  }
  if (token !== undefined && token.length < SHORTEST_TOKEN) {
    throw new Fault(
      'permanent',
      `FERRY_HTTP_TOKEN has ${token.length} characters, and needs ${SHORTEST_TOKEN}`,
      {
        code: 'HTTP_TOKEN',
        advice: 'Make a long random one: `openssl rand -hex 24`.',
      },
    );
  }
  return { host, port, loopback };
}

/** An address, or a name, that never leaves this machine. Names other than `localhost` may mean anything. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^::ffff:/, '');
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}
