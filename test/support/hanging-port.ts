/**
 * A loopback port on which a TCP connect neither succeeds nor fails, as behind a firewall that drops packets: a
 * listener that never accepts and whose backlog is full. Linux only.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { killTree } from './processes.ts';

export interface HangingPort extends AsyncDisposable {
  readonly port: number;
}

const LISTENER = `
  const server = require('node:net').createServer();
  const [host, port] = process.argv.slice(-2);
  server.listen({ port: Number(port), host, backlog: 1 }, () => process.stdout.write(server.address().port + '\\n'));
`;

export async function hangingPort(host = '127.0.0.1', port = 0): Promise<HangingPort> {
  const child = spawn(process.execPath, ['-e', LISTENER, host, `${port}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const fillers: Socket[] = [];
  const stop = async (): Promise<void> => {
    for (const socket of fillers) socket.destroy();
    await killTree(child);
  };
  try {
    const [text] = await Promise.race([once(child.stdout, 'data'), ended(child)]);
    const port = Number(String(text));
    child.kill('SIGSTOP'); // it listens, and will never accept
    while (await connects(host, port, fillers)) {
      if (fillers.length > 64) throw new Error('the backlog never filled up');
    }
    return { port, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function ended(child: ChildProcess): Promise<never> {
  const [code] = await once(child, 'exit');
  throw new Error(`the listener ended with exit code ${code}`);
}

/** Adds a connection; false when it hangs. */
async function connects(host: string, port: number, fillers: Socket[]): Promise<boolean> {
  const socket = connect(port, host).on('error', () => undefined);
  fillers.push(socket);
  // A connect on loopback is over at once; but on a busy machine we may hear of it only after the timer.
  for (const waitMs of [300, 0, 0]) {
    await sleep(waitMs);
    if (!socket.connecting) return true;
  }
  return false;
}
