/**
 * Ferry's own pages: health, metrics, queues, and a status page. On this machine for everybody, elsewhere for
 * who knows the token; to look at, not to steer with.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { codeOf, Fault, messageOf } from '../sync/errors.ts';
import { parseAddress } from './address.ts';
import { Board, type BoardQueue } from './board.ts';
import { Guard, protect } from './guard.ts';
import type { Health } from './health.ts';
import type { Overview } from './overview.ts';
import { statusPage } from './page.ts';

const ANSWER_MS = 15_000;
const CLOSE_MS = 3_000;

export interface WebOptions {
  /** `host:port`, or `off`. */
  readonly address: string;
  /** Needed for any address that is not this machine's alone; where it is set it is always asked for. */
  readonly token: string | undefined;
  readonly health: () => Health;
  readonly metrics: { readonly contentType: string; page(): Promise<string> };
  readonly queues: () => readonly BoardQueue[];
  readonly overview: () => Overview;
  /** Told of requests that could not be answered. */
  readonly warn: (message: string) => void;
}

export interface Web extends AsyncDisposable {
  /** `http://127.0.0.1:8080/`: for people, with the port that it got. */
  readonly url: string;
}

/**
 * Serves until disposed. Undefined for `off`.
 * @throws Fault `permanent` HTTP_ADDRESS, HTTP_TOKEN, EADDRINUSE, …: it cannot be served there
 */
export async function startWeb(options: WebOptions): Promise<Web | undefined> {
  const address = parseAddress(options.address, options.token);
  if (address === undefined) return undefined;
  const { fastify } = await import('fastify');
  const app = fastify({
    handlerTimeout: ANSWER_MS,
    requestTimeout: ANSWER_MS,
    bodyLimit: 1024,
    forceCloseConnections: true,
  });
  const board = new Board(options.queues);
  route(app, board, options);
  try {
    await app.listen({ host: address.host, port: address.port });
  } catch (error) {
    await app.close();
    throw cannotListen(options.address, error);
  }
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    url: `http://${host}:${port}/`,
    async [Symbol.asyncDispose]() {
      const closed = Promise.all([app.close(), board[Symbol.asyncDispose]()]);
      await Promise.race([closed, sleep(CLOSE_MS, undefined, { ref: false })]);
    },
  };
}

function route(
  app: FastifyInstance,
  board: Board,
  { health, metrics, overview, token, warn }: WebOptions,
): void {
  const guard = new Guard(token);
  app.addHook('onRequest', async (request, reply) => {
    protect(reply.raw);
    const path = request.url.split('?', 1)[0] ?? '';
    const refused = guard.refuse(request.raw, path === '/healthz' || path === '/healthz/live');
    if (refused === undefined) return;
    if (refused.status === 401) reply.header('www-authenticate', 'Basic realm="Ferry", charset="UTF-8"');
    if (refused.status === 405) reply.header('allow', 'GET, HEAD');
    return reply.code(refused.status).type('text/plain; charset=utf-8').send(`${refused.message}\n`);
  });
  app.setErrorHandler((error, request, reply) => {
    warn(`${request.method} ${request.url.split('?', 1)[0]}: ${messageOf(error)}`);
    return reply.code(500).type('text/plain; charset=utf-8').send('That went wrong; the log says why.\n');
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).type('text/plain; charset=utf-8').send('There are /, /healthz, /metrics and /queues/.\n'),
  );
  app.get('/', (_request, reply) => reply.type('text/html; charset=utf-8').send(statusPage(overview())));
  app.get('/healthz', (request, reply) => {
    const { live, ready, reasons } = health();
    const shown = guard.knows(request.raw) ? { live, ready, reasons } : { live, ready };
    return reply.code(live && ready ? 200 : 503).send(shown);
  });
  app.get('/healthz/live', (_request, reply) => {
    const { live } = health();
    return reply.code(live ? 200 : 503).send({ live });
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.page()));
  for (const url of ['/queues', '/queues/*']) {
    app.get(url, async (request, reply) => {
      const answer = await board.open();
      reply.hijack();
      answer(request.raw, reply.raw);
    });
  }
}

function cannotListen(address: string, error: unknown): Fault {
  const code = codeOf(error) ?? 'UNKNOWN';
  const advice =
    code === 'EADDRINUSE'
      ? 'Is another Ferry running? Set FERRY_HTTP to another port, or to "off".'
      : code === 'EACCES'
        ? 'Ports below 1024 are for privileged users; set FERRY_HTTP to a higher one.'
        : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
          ? 'This machine has no such address; set FERRY_HTTP to one that it has.'
          : 'Set FERRY_HTTP to another address and port, or to "off".';
  const what = code === 'EADDRINUSE' ? 'another program listens there' : messageOf(error);
  return new Fault('permanent', `cannot serve pages on ${address}: ${what}`, { code, advice, cause: error });
}
