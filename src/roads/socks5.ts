/**
 * SOCKS version 5 (RFC 1928), with or without user and password (RFC 1929). Names go to the proxy as they are, for on
 * an on-prem host only the proxy may know them.
 *
 * By hand rather than by the package `socks`, whose errors carry the password and say in text what is a number.
 */

import { isIP } from 'node:net';
import { Fault } from '../sync/errors.ts';
import { type Handshake, notAProxy } from './handshake.ts';
import { bytesOf } from './ip.ts';
import type { Target } from './proxy.ts';

const VERSION = 5;
const METHOD = { none: 0, password: 2, refused: 0xff } as const;
const CONNECT = 1;
const ADDRESS = { ipv4: 1, name: 3, ipv6: 4 } as const;

/** @throws Fault `unreachable` | `rejected` */
export async function connectBySocks5(handshake: Handshake, target: Target): Promise<void> {
  await logIn(handshake, target);
  const port = Buffer.alloc(2);
  port.writeUInt16BE(target.port);
  handshake.write(Buffer.concat([Buffer.of(VERSION, CONNECT, 0), addressOf(target), port]));
  const head = await handshake.exactly(4);
  const [version, reply = 0, , kind] = head;
  if (version !== VERSION) throw notAProxy(target.name, head);
  if (reply !== 0) throw refused(reply, target);
  // The address that it connects from, which is of no use here.
  if (kind === ADDRESS.name) await handshake.exactly(((await handshake.exactly(1))[0] ?? 0) + 2);
  else await handshake.exactly((kind === ADDRESS.ipv6 ? 16 : 4) + 2);
}

async function logIn(handshake: Handshake, { proxy, name }: Target): Promise<void> {
  const { login } = proxy;
  const methods = login === undefined ? [METHOD.none] : [METHOD.none, METHOD.password];
  handshake.write(Buffer.of(VERSION, methods.length, ...methods));
  const answer = await handshake.exactly(2);
  const [version, method] = answer;
  if (version !== VERSION) throw notAProxy(name, answer);
  if (method === METHOD.none) return;
  if (method !== METHOD.password || login === undefined) {
    throw loginFault(
      login === undefined
        ? `${name} asks for a login`
        : `${name} takes no login by user and password (nor any without)`,
      login === undefined
        ? 'Write proxy: socks5://user:password@host:port, with the password by reference.'
        : 'It may ask for GSSAPI, which Ferry does not speak: let it take a user and a password from this host, or none.',
    );
  }
  const user = Buffer.from(login.user);
  const password = Buffer.from(login.password);
  handshake.write(Buffer.concat([Buffer.of(1, user.length), user, Buffer.of(password.length), password]));
  const [, status] = await handshake.exactly(2);
  if (status !== 0) {
    throw loginFault(
      `${name} refused the login of ${login.user}`,
      'Wrong user or password: correct `proxy` in endpoints.yaml.',
    );
  }
}

function loginFault(message: string, advice: string): Fault {
  return new Fault('rejected', message, { code: 'PROXY_LOGIN', advice });
}

function addressOf({ host }: Target): Buffer {
  const family = isIP(host);
  if (family !== 0) return Buffer.of(family === 4 ? ADDRESS.ipv4 : ADDRESS.ipv6, ...bytesOf(host));
  const name = Buffer.from(host);
  if (name.length > 255)
    throw new Fault('rejected', 'the name of the server is too long for a SOCKS proxy', {
      code: 'PROXY_TARGET',
    });
  return Buffer.concat([Buffer.of(ADDRESS.name, name.length), name]);
}

/** RFC 1928, section 6. */
const REPLIES: Readonly<Record<number, string>> = {
  1: 'general failure',
  2: 'not allowed by its rules',
  3: 'network unreachable',
  4: 'host unreachable (or the name is unknown there)',
  5: 'connection refused',
  6: 'time to live expired',
  7: 'it knows no CONNECT',
  8: 'it knows no such kind of address',
};

function refused(reply: number, { name, host, where }: Target): Fault {
  const why = REPLIES[reply] ?? `reply ${reply}`;
  if (reply === 2) {
    return new Fault('rejected', `${name} does not let us go to ${where}: ${why}`, {
      code: 'PROXY_FORBIDDEN',
      advice: `Its rules must allow connections from this host to ${where}.`,
    });
  }
  return new Fault('unreachable', `${name} could not reach ${where}: ${why}`, {
    code: 'PROXY_TARGET',
    advice: `Seen from the proxy: does the name resolve, does the security group of ${host} let it in, does sshd run there?`,
  });
}
