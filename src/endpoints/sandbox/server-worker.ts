/**
 * The sandbox's SSH server, in a thread of its own: on loopback, for one user with one password, serving SFTP from
 * one folder and nothing else (no shell, no exec, no forwarding). Tells its parent the port it listens on.
 */

import { timingSafeEqual } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import ssh2, { type AuthContext, type Connection } from 'ssh2';
import { z } from 'zod';
import { serveSftp } from './channel.ts';
import { Jail } from './jail.ts';

const LOGIN_MS = 20_000;
const MOST_TRIES = 3;

const given = z
  .object({
    folder: z.string(),
    port: z.number(),
    hostKey: z.string(),
    user: z.string(),
    password: z.string(),
  })
  .parse(workerData);

const jail = new Jail(given.folder);
const server = new ssh2.Server({ hostKeys: [given.hostKey], ident: 'FerrySandbox' }, welcome);
const listener = createServer({ noDelay: true }, (socket: Socket) => {
  socket.on('error', () => undefined);
  server.injectSocket(socket);
});
listener.on('error', (error: NodeJS.ErrnoException) =>
  parentPort?.postMessage({ error: error.code ?? error.message }),
);
listener.listen(given.port, '127.0.0.1', () => {
  const address = listener.address();
  if (address !== null && typeof address === 'object') parentPort?.postMessage({ port: address.port });
});

function welcome(connection: Connection): void {
  let tries = 0;
  const late = setTimeout(() => connection.end(), LOGIN_MS);
  connection.on('error', () => connection.end());
  connection.once('close', () => clearTimeout(late));
  connection.on('authentication', (context: AuthContext) => {
    if (context.method === 'password' && isOurs(context.username, context.password)) {
      clearTimeout(late);
      context.accept();
      return;
    }
    if (context.method === 'password') tries += 1;
    if (tries >= MOST_TRIES) connection.end();
    else context.reject(['password']);
  });
  connection.on('session', (accept) => {
    const session = accept();
    // ssh2's own SFTP server offers no extensions and decodes names; so it is a plain channel to it.
    session.on('subsystem', (acceptChannel, reject, info) => {
      if (info.name === 'sftp') serveSftp(acceptChannel(), jail);
      else reject();
    });
  });
}

function isOurs(user: string, password: string): boolean {
  const [mine, theirs] = [Buffer.alloc(256), Buffer.alloc(256)];
  mine.write(`${given.user}:${given.password}`);
  theirs.write(`${user}:${password}`);
  return timingSafeEqual(mine, theirs);
}
