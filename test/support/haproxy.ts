/** A real haproxy on loopback in front of a server, which insists on the PROXY protocol, as a load balancer may. */

import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from './files.ts';
import { freePort, isServed } from './ports.ts';
import { killTree } from './processes.ts';
import { until } from './until.ts';

export interface Haproxy extends AsyncDisposable {
  /** On 127.0.0.1 and on ::1. */
  readonly port: number;
  /** `address:port` of each client, as the header said, of connections that have ended. */
  clients(): readonly string[];
}

/** @param target port on loopback of the server behind */
export async function startHaproxy(target: number): Promise<Haproxy> {
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await temporaryFolder('haproxy'));
  const port = await freePort();
  const config = [
    'global',
    '  log stdout format raw daemon',
    'defaults',
    '  mode tcp',
    '  log global',
    '  timeout connect 10s',
    '  timeout client 1h',
    '  timeout server 1h',
    'listen ssh',
    `  bind 127.0.0.1:${port} accept-proxy`,
    `  bind [::1]:${port} accept-proxy`,
    '  log-format client=%ci:%cp',
    `  server ssh 127.0.0.1:${target}`,
  ];
  const file = join(home.path, 'haproxy.cfg');
  await writeFile(file, `${config.join('\n')}\n`);
  const child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  undo.defer(() => killTree(child));
  let log = '';
  let failure: unknown;
  child.once('error', (error) => {
    failure = error;
  });
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  }
  await until('haproxy to listen', () => {
    if (failure !== undefined || child.exitCode !== null)
      throw new Error(`haproxy did not start: ${log}`, { cause: failure });
    return isServed(port);
  });
  const owned = undo.move();
  return {
    port,
    clients: () => [...log.matchAll(/client=(\S+)/g)].map((match) => match[1] ?? ''),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
