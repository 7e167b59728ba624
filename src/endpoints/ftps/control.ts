/**
 * The control connection: commands out, replies in, in order, several on their way at once where the server takes
 * that. basic-ftp's FTPContext carries it; one task of it lasts as long as the connection, so that a reply finds the
 * command that it answers here.
 *
 * An error reply is a value; a promise is rejected only when the connection is broken, with the Fault that broke it.
 * A reply that nobody waits for breaks it: from then on nothing could be trusted to belong together.
 */

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { FTPContext, FTPError, type FTPResponse } from 'basic-ftp';
import { Fault } from '../../sync/errors.ts';
import { lostFault, silentFault, strayFault } from './faults.ts';
import { isPreliminary, type Reply } from './reply.ts';

/** A server that does not answer QUIT is left without. */
const QUIT_MS = 1_000;
/** ProFTPD looks at no more than 4096 bytes that came together, until something else comes. */
const MOST_AHEAD_BYTES = 4_000;

export interface ControlOptions {
  /** The endpoint's name, for messages. */
  readonly name: string;
  /** A reply takes no longer, unless the command was given more. */
  readonly timeoutMs: number;
  readonly keepAliveMs: number;
}

/** A command that waits for its final reply. */
export interface Pending {
  readonly reply: Promise<Reply>;
  /** From now on, or from when it becomes the oldest. Infinity: as long as it takes. */
  limit(ms: number): void;
}

interface Waiting {
  readonly command: string;
  readonly final: PromiseWithResolvers<Reply>;
  limitMs: number;
}

/** basic-ftp parses what a packet holds; a reply that comes in two is put together first. */
class LineContext extends FTPContext {
  #rest = '';

  protected override _onControlSocketData(chunk: string): void {
    const text = this.#rest + chunk;
    const end = text.lastIndexOf('\n') + 1;
    this.#rest = text.slice(end);
    if (this.#rest.length > 65_536) this.closeWithError(new Error('a reply without end'));
    else if (end > 0) super._onControlSocketData(text.slice(0, end));
  }

  dropRest(): void {
    this.#rest = '';
  }
}

export class Control {
  readonly name: string;
  /** Commands may be sent before the one before is answered. */
  pipelining = true;
  readonly #options: ControlOptions;
  readonly #context = new LineContext(0, 'latin1');
  readonly #waiting: Waiting[] = [];
  readonly #unsent: Waiting[] = [];
  readonly #onBroken: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #broken: Fault | undefined;

  constructor(socket: Socket, options: ControlOptions) {
    this.name = options.name;
    this.#options = options;
    this.#adopt(socket);
    this.#context
      .handle(undefined, (response) => this.#onResponse(response))
      .catch((error: unknown) => this.break(lostFault(this.name, error)));
  }

  get broken(): Fault | undefined {
    return this.#broken;
  }

  get socket(): Socket | TLSSocket {
    return this.#context.socket;
  }

  /** The connection goes on over TLS; what came in the clear before and was not complete is void. */
  secured(socket: TLSSocket): void {
    this.#context.dropRest();
    this.#adopt(socket);
  }

  /** The reply that comes without a command: the greeting. */
  greeting(): Promise<Reply> {
    return this.#expect('').reply;
  }

  /** @param command as Latin-1, without line end */
  ask(command: string, limitMs = this.#options.timeoutMs): Promise<Reply> {
    return this.send(command, limitMs).reply;
  }

  /** As `ask`, several that leave together. */
  askAll<const Commands extends readonly string[]>(
    ...commands: Commands
  ): Promise<{ [Index in keyof Commands]: Reply }>;
  async askAll(...commands: readonly string[]): Promise<readonly Reply[]> {
    return await Promise.all(this.together(() => commands.map((command) => this.ask(command))));
  }

  /** What `work` sends leaves in one packet. */
  together<T>(work: () => T): T {
    const { socket } = this.#context;
    socket.cork();
    try {
      return work();
    } finally {
      socket.uncork();
    }
  }

  send(command: string, limitMs = this.#options.timeoutMs): Pending {
    return this.#expect(command, limitMs);
  }

  /** Ends it for good; everything that waits is rejected with the fault. */
  break(fault: Fault): void {
    if (this.#broken !== undefined) return;
    this.#broken = fault;
    clearTimeout(this.#timer);
    this.#context.close();
    for (const { final } of [...this.#waiting.splice(0), ...this.#unsent.splice(0)]) final.reject(fault);
    for (const told of this.#onBroken) told();
  }

  onBroken(told: () => void): () => void {
    this.#onBroken.push(told);
    return () => {
      const at = this.#onBroken.indexOf(told);
      if (at >= 0) this.#onBroken.splice(at, 1);
    };
  }

  /** Says goodbye where that is possible. Never rejects. */
  async close(): Promise<void> {
    if (this.#broken === undefined && this.#waiting.length === 0) {
      await this.ask('QUIT', QUIT_MS).catch(() => undefined);
    }
    this.break(new Fault('unreachable', `the connection to ${this.name} was closed`, { code: 'CLOSED' }));
  }

  #adopt(socket: Socket | TLSSocket): void {
    this.#context.socket = socket;
    // basic-ftp has just switched keep-alive on without saying how often; the probes of the system take two hours.
    socket.setKeepAlive(true, this.#options.keepAliveMs);
    socket.setNoDelay(true);
  }

  #expect(command: string, limitMs = this.#options.timeoutMs): Pending {
    const waiting: Waiting = {
      command,
      final: Promise.withResolvers(),
      limitMs,
    };
    waiting.final.promise.catch(() => undefined); // it may be looked at later
    if (this.#broken !== undefined) waiting.final.reject(this.#broken);
    else {
      this.#unsent.push(waiting);
      this.#putAll();
    }
    return {
      reply: waiting.final.promise,
      limit: (ms) => {
        waiting.limitMs = ms;
        if (this.#waiting[0] === waiting) this.#watch();
      },
    };
  }

  #putAll(): void {
    for (let [next] = this.#unsent; next !== undefined && this.#mayLeave(next); [next] = this.#unsent) {
      this.#unsent.shift();
      this.#put(next);
    }
  }

  #mayLeave({ command }: Waiting): boolean {
    if (this.#waiting.length === 0) return true;
    const bytes = this.#waiting.reduce(
      (sum, waiting) => sum + waiting.command.length + 2,
      command.length + 2,
    );
    return this.pipelining && bytes <= MOST_AHEAD_BYTES;
  }

  #put(waiting: Waiting): void {
    this.#waiting.push(waiting);
    if (waiting.command !== '') this.#context.send(waiting.command);
    if (this.#waiting.length === 1) this.#watch();
  }

  #onResponse(response: Error | FTPResponse): void {
    if (response instanceof Error && !(response instanceof FTPError)) {
      this.break(lostFault(this.name, response));
      return;
    }
    const reply: Reply = { code: response.code, text: response.message };
    const [first] = this.#waiting;
    if (first === undefined || reply.code === 421) {
      this.break(strayFault(this.name, reply));
      return;
    }
    if (!isPreliminary(reply)) {
      this.#waiting.shift();
      first.final.resolve(reply);
      this.#putAll();
    }
    this.#watch();
  }

  /** The oldest command has its full time from the last sign of life on. */
  #watch(): void {
    clearTimeout(this.#timer);
    const [first] = this.#waiting;
    if (first === undefined || first.limitMs === Number.POSITIVE_INFINITY) return;
    const { limitMs } = first;
    this.#timer = setTimeout(
      () => this.break(silentFault(this.name, limitMs, first.command.split(' ', 1)[0] ?? '')),
      limitMs,
    );
  }
}
