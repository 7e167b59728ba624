/** Free loopback ports, and waiting for one to be served. */

import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';

/** Below these no server of a test listens by its own choice, and above the passive ports of `vsftpd.ts` begin. */
const FIRST = 10_240;
const PAST_LAST = 20_000;
const EPHEMERAL = '/proc/sys/net/ipv4/ip_local_port_range';
const MOST_TRIES = 1_000;

/** Held until this process ends: each says to other processes that the TCP port of its number is taken. */
const claims = new Set<Socket>();

/**
 * A port that nobody listens on, that is given to no other test, and that no outgoing connection takes by itself: it
 * lies below those that the system gives, and whoever gets it holds the UDP port of the same number.
 */
export function freePort(): Promise<number> {
  return freePorts(1);
}

/** The first of so many in a row. */
export async function freePorts(count: number): Promise<number> {
  const pastLast = Math.min(PAST_LAST, await firstEphemeral()) - count + 1;
  if (pastLast <= FIRST) throw new Error(`${EPHEMERAL} leaves no ports for servers`);
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const first = randomInt(FIRST, pastLast);
    const ports = Array.from({ length: count }, (_, at) => first + at);
    const free = await Promise.all(ports.map(async (port) => (await claim(port)) && (await isFree(port))));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no port from ${FIRST} to ${pastLast} is free`);
}

/** Where the system does not say, they begin where IANA has them begin. */
async function firstEphemeral(): Promise<number> {
  const text = await readFile(EPHEMERAL, 'utf8').catch(() => '49152');
  return Number.parseInt(text, 10);
}

async function claim(port: number): Promise<boolean> {
  const socket = createSocket('udp4').unref();
  socket.bind({ port, address: '127.0.0.1', exclusive: true });
  try {
    await once(socket, 'listening');
  } catch {
    socket.close();
    return false;
  }
  claims.add(socket);
  return true;
}

/** On every address. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** True when something accepts connections there. */
export async function isServed(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
