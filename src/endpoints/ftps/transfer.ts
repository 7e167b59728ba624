/**
 * A command with a data connection beside it: STOR, RETR, MLSD, LIST.
 *
 * It is done when the data went through and the control connection has said so. When one of the two fails, the other
 * is asked what it knows: a server that refuses says why in its reply, while the data connection only breaks. After
 * anything that leaves the two out of step, or that shows that the way between is cut, the control connection is
 * broken, and nobody uses it again.
 */

import { Fault, throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { Connection } from './connection.ts';
import type { Pending } from './control.ts';
import type { Data } from './data.ts';
import { replyFault, reuseFault } from './faults.ts';
import { isGood, type Reply } from './reply.ts';

/** How long a server may take to say what became of a data connection that broke. */
const REASON_MS = 5_000;
/** And to close its side of one that ended well, so that its last session ticket is not lost. */
const CLOSE_MS = 500;

export interface TransferOptions {
  /** With its argument. */
  readonly command: string;
  /** For messages: `write`, `read`, `list`, and what. */
  readonly doing: string;
  readonly path: FilePath;
  /** Where in the file to start; more than 0 only where the server can. */
  readonly start?: number;
  /** The command may leave together with the request for a data connection, which saves a round trip. */
  readonly together: boolean;
  /** Another transfer comes next: its data connection may be asked for behind the command. Default: none does. */
  readonly awaited?: (() => boolean) | undefined;
  /** Commands about what was transferred, which leave with it: only where the server is `inOrder`. */
  readonly after?: readonly string[];
  /** The final reply may take so long after the data is through; default: as any reply. */
  readonly finalMs?: number;
  /** False: as a client would that does not resume TLS sessions. */
  readonly resume?: boolean;
  readonly signal: AbortSignal;
}

/** `unconfirmed`: all data went through, but the control connection was lost before it said so. */
export type Transferred =
  | {
      readonly state: 'done';
      readonly reused: boolean;
      /** To the commands that left with it. */
      readonly after: Promise<readonly Reply[]>;
    }
  | { readonly state: 'unconfirmed'; readonly fault: Fault };

/** Thrown by `use` to end a transfer early, when all that was wanted has come. */
export class Enough extends Error {}

/**
 * @param use works on the data connection, which is ready; an upload ends it
 * @throws Fault of the reply or of a connection, or whatever `use` throws
 */
export async function transfer(
  connection: Connection,
  options: TransferOptions,
  use: (data: Data) => Promise<void>,
): Promise<Transferred> {
  throwIfAborted(options.signal);
  const running = new Running(connection, options);
  return await running.run(use);
}

class Running {
  readonly #connection: Connection;
  readonly #options: TransferOptions;
  #data: Data | undefined;
  #final: Pending | undefined;
  #after: Promise<readonly Reply[]> = Promise.resolve([]);
  #using: Promise<void> | undefined;
  /** All data went through; only the reply is missing. */
  #through = false;

  constructor(connection: Connection, options: TransferOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  async run(use: (data: Data) => Promise<void>): Promise<Transferred> {
    const { signal } = this.#options;
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => undefined);
    const onAbort = (): void => {
      this.#data?.reset();
      aborted.reject(signal.reason);
    };
    const unhook = this.#connection.control.onBroken(() => {
      if (!this.#through) this.#data?.reset();
    });
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const { data, final } = await this.#begin();
      throwIfAborted(signal);
      this.#using = data.ready.then(() => use(data));
      await Promise.race([this.#using, this.#refusal(final)]);
      this.#through = true;
      final.limit(this.#options.finalMs ?? this.#connection.settings.timeout);
      return await Promise.race([this.#conclude(data, final), aborted.promise]);
    } catch (error) {
      const cut = this.#data?.failure; // before it is reset
      this.#data?.reset();
      await this.#using?.catch(() => undefined);
      const reply = await this.#last(cut);
      if (error instanceof Enough) return this.#done();
      throwIfAborted(signal);
      throw this.#verdict(error, cut, reply);
    } finally {
      this.#data?.destroy();
      unhook();
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #begin(): Promise<{ readonly data: Data; readonly final: Pending }> {
    const { control, proven, passive } = this.#connection;
    const { start = 0, together, resume } = this.#options;
    let first = this.#connection.takeAhead();
    if (together && proven && passive === 'EPSV' && start === 0) {
      control.together(() => {
        first ??= control.ask('EPSV');
        this.#final = this.#command();
      });
    }
    const port = await this.#connection.port(first);
    const data = this.#connection.dial(port, resume);
    this.#data = data;
    if (start > 0) await this.#restart(start);
    this.#final ??= control.together(() => this.#command());
    return { data, final: this.#final };
  }

  #command(): Pending {
    const { control } = this.#connection;
    const { command, after = [] } = this.#options;
    const pending = control.send(command, Number.POSITIVE_INFINITY);
    this.#after = Promise.all(after.map((next) => control.ask(next)));
    this.#after.catch(() => undefined); // nobody asks for them when the transfer fails
    if (this.#options.together && this.#options.awaited?.() === true) this.#connection.askAhead();
    return pending;
  }

  async #restart(start: number): Promise<void> {
    const reply = await this.#connection.control.ask(`REST ${start}`);
    if (reply.code !== 350) throw this.#refused(reply);
  }

  /** Rejects with the refusal of the command, or with what broke the control connection; else it never settles. */
  #refusal(final: Pending): Promise<never> {
    const { promise, reject } = Promise.withResolvers<never>();
    final.reply.then((reply) => {
      if (!isGood(reply)) reject(this.#refused(reply));
    }, reject);
    return promise;
  }

  async #conclude(data: Data, final: Pending): Promise<Transferred> {
    let reply: Reply;
    try {
      reply = await final.reply;
    } catch (error) {
      if (error instanceof Fault) return { state: 'unconfirmed', fault: error };
      throw error;
    }
    if (!isGood(reply)) throw this.#refused(reply);
    await this.#closed(data);
    this.#connection.proven = true;
    return this.#done();
  }

  #done(): Transferred {
    return { state: 'done', reused: this.#data?.reused ?? false, after: this.#after };
  }

  /** A server that turns out not to close its side is not waited for again. */
  async #closed(data: Data): Promise<void> {
    const { memory } = this.#connection;
    if (data.isClosed || !memory.closesData) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        memory.closesData = false;
        resolve();
      }, CLOSE_MS);
    });
    await Promise.race([data.closed, late]);
    clearTimeout(timer);
  }

  /** The reply to the command, which brings the two connections back into step; without it, they are broken. */
  async #last(cut: Fault | undefined): Promise<Reply | undefined> {
    const { control } = this.#connection;
    if (cut?.code === 'DATA_PORT_BLOCKED') control.break(cut); // the server may wait a minute for us to come
    if (control.broken !== undefined || this.#final === undefined) return undefined;
    this.#final.limit(REASON_MS);
    return await this.#final.reply.catch(() => undefined);
  }

  /** Whose error it was: a refusal tells more than the data connection that broke with it. */
  #verdict(error: unknown, cut: Fault | undefined, reply: Reply | undefined): unknown {
    const { control } = this.#connection;
    if (cut !== undefined && (error === cut || this.#data?.failure === error)) {
      if (control.broken !== undefined && reply === undefined) return this.#preferred(cut, control.broken);
      const refused = reply === undefined || isGood(reply) ? undefined : this.#refused(reply);
      if (refused !== undefined && refused.kind !== 'unreachable') return refused;
      control.break(cut);
      return cut;
    }
    if (error instanceof Fault && error.code === 'DATA_CONNECTION') control.break(error); // it was cut on the way
    return error;
  }

  #preferred(cut: Fault, broken: Fault): Fault {
    return cut.code === 'DATA_PORT_BLOCKED' || cut.kind === 'rejected' ? cut : broken;
  }

  #refused(reply: Reply): Fault {
    const { doing, path } = this.#options;
    const { name } = this.#connection;
    // ProFTPD's word for a session that was not resumed: no data connection, although there was one.
    if (reply.code === 425 && this.#data?.reused === false) return reuseFault(name, reply);
    return replyFault(reply, doing, path, name);
  }
}
