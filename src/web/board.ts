/**
 * Bull Board, to look into the queues. It is loaded when somebody asks for it first: it takes some 15 MB, and
 * most never do. Read-only twice: in its own mode, and because nothing but GET gets here.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { FastifyInstance } from 'fastify';

/** A BullMQ queue, on whatever it is stored. */
export type BoardQueue = ConstructorParameters<typeof BullMQAdapter>[0];

/** A queue whose store is away answers nothing for longer than anybody waits. */
const ANSWER_MS = 10_000;

/** Its own files, and styles that it sets itself; no fonts from elsewhere. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

export class Board implements AsyncDisposable {
  readonly #queues: () => readonly BoardQueue[];
  #app: Promise<{ readonly app: FastifyInstance; readonly show: () => void }> | undefined;

  constructor(queues: () => readonly BoardQueue[]) {
    this.#queues = queues;
  }

  /** Resolves to what answers a request, loaded and up to date. */
  async open(): Promise<(request: IncomingMessage, response: ServerResponse) => void> {
    this.#app ??= this.#load().catch((error: unknown) => {
      this.#app = undefined;
      throw error;
    });
    const { app, show } = await this.#app;
    show();
    return (request, response) => {
      response.setHeader('content-security-policy', POLICY);
      app.routing(request, response);
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const loaded = await this.#app?.catch(() => undefined);
    await loaded?.app.close();
  }

  async #load() {
    const [{ createBullBoard }, { BullMQAdapter }, { FastifyAdapter }, { fastify }] = await Promise.all([
      import('@bull-board/api'),
      import('@bull-board/api/bullMQAdapter'),
      import('@bull-board/fastify'),
      import('fastify'),
    ]);
    const server = new FastifyAdapter().setBasePath('/queues');
    const board = createBullBoard({
      queues: [],
      serverAdapter: server,
      options: { uiConfig: { boardTitle: 'Ferry queues', hideRedisDetails: true } },
    });
    const app = fastify({ handlerTimeout: ANSWER_MS });
    await app.register(server.registerPlugin(), { prefix: '/queues' });
    await app.ready();
    let shown: readonly BoardQueue[] = [];
    /** The configuration may have changed which queues there are. */
    const show = (): void => {
      const queues = this.#queues();
      if (queues.length === shown.length && queues.every((queue, at) => queue === shown[at])) return;
      shown = [...queues];
      board.replaceQueues(queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })));
    };
    return { app, show };
  }
}
