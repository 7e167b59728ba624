/**
 * The way to a control connection that works: name, TCP, greeting, TLS, login, protection of the data connections,
 * and what the server can do. Nothing is sent before the server has proved who it is; all of it has one deadline.
 */

import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { directRoad } from '../../roads/direct.ts';
import { hostPort, type Passed } from '../../roads/road.ts';
import { codeOf, Fault, throwIfAborted } from '../../sync/errors.ts';
import { toBytes } from '../../sync/names.ts';
import {
  greetingFault,
  loginFault,
  noGreetingFault,
  noProtectionFault,
  noTlsFault,
  strangerFault,
} from './connect-faults.ts';
import { Connection } from './connection.ts';
import { Control } from './control.ts';
import { lostFault, quoted } from './faults.ts';
import { sayingOfWire } from './names.ts';
import { featuresIn, isGood, pathIn, type Reply, saying } from './reply.ts';
import type { FtpsSettings } from './settings.ts';
import { secure, shownBy, Trust } from './tls.ts';
import { type Memory, pipelines, traitsOf } from './traits.ts';

const COMMANDS_LOST = 'COMMANDS_LOST';
const MOST_KEEP_ALIVE_MS = 60_000;
/** First bytes that tell what kind of server it is. */
const SNIFFED_BYTES = 256;
/** A server that takes longer for one of several commands that came together has lost it. */
const LOST_MS = 5_000;

export interface ConnectPlan {
  readonly name: string;
  readonly settings: FtpsSettings;
  readonly memory: Memory;
}

/** @throws Fault `unreachable` | `rejected` | `aborted` within connectTimeout, or twice that where commands are lost */
export async function connect(plan: ConnectPlan, signal: AbortSignal, passed?: Passed): Promise<Connection> {
  const { memory, name } = plan;
  const told = new Set<string>();
  try {
    return await connectOnce(plan, memory.pipelines, signal, (step, saw) => {
      told.add(step);
      passed?.(step, saw);
    });
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== COMMANDS_LOST) throw error;
  }
  const connection = await connectOnce(plan, false, signal, (step, saw) => {
    if (!told.has(step)) passed?.(step, saw);
  });
  memory.pipelines = false;
  memory.warn(
    `${name} loses commands that it gets before it has answered the one before: it gets them one by one, which takes longer`,
  );
  return connection;
}

/** @param pipelining commands may be sent before the one before is answered, unless the greeting tells of a server that loses them */
async function connectOnce(
  plan: ConnectPlan,
  pipelining: boolean,
  signal: AbortSignal,
  passed: Passed,
): Promise<Connection> {
  throwIfAborted(signal);
  const { settings, name } = plan;
  const { host, port, connectTimeout: timeoutMs, bindAddress } = settings;
  const startedMs = performance.now();
  const trust = await Trust.load(name, settings);
  const keepAliveMs = settings.keepAlive ?? Math.min(MOST_KEEP_ALIVE_MS, settings.idleTimeout / 3);
  const road = directRoad({
    host,
    port,
    timeoutMs,
    keepAliveMs,
    ...(bindAddress === undefined ? {} : { bindAddress }),
  });
  const socket = await road.open(signal, passed);
  if (!(socket instanceof Socket)) throw lostFault(name, new Error('the road is no socket'));
  const way = new Way(plan, trust, socket, { keepAliveMs, timeoutMs, pipelining }, passed);
  const leftMs = Math.max(1, timeoutMs - (performance.now() - startedMs));
  return await way.within(leftMs, signal);
}

interface Given {
  readonly keepAliveMs: number;
  readonly timeoutMs: number;
  readonly pipelining: boolean;
}

class Way {
  readonly #plan: ConnectPlan;
  readonly #trust: Trust;
  readonly #raw: Socket;
  readonly #given: Given;
  readonly #pass: Passed;
  #control: Control | undefined;
  #doing = 'greeting';
  #sniffed = Buffer.alloc(0);

  constructor(plan: ConnectPlan, trust: Trust, raw: Socket, given: Given, passed: Passed) {
    this.#plan = plan;
    this.#trust = trust;
    this.#raw = raw;
    this.#given = given;
    this.#pass = passed;
  }

  /** A handshake that hangs is not heard of any more: so the whole way is raced against its deadline. */
  async within(leftMs: number, signal: AbortSignal): Promise<Connection> {
    const ended = Promise.withResolvers<never>();
    const onAbort = (): void => ended.reject(abortOf(signal));
    const timer = setTimeout(() => ended.reject(this.#late()), leftMs);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const going = this.#go();
    going.catch(() => undefined); // when the deadline was first
    try {
      return await Promise.race([going, ended.promise]);
    } catch (error) {
      const fault = error instanceof Fault ? error : lostFault(this.#plan.name, error);
      this.#control?.break(fault);
      this.#raw.destroy();
      throw fault;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #go(): Promise<Connection> {
    const { settings } = this.#plan;
    let secured: TLSSocket | undefined;
    if (settings.implicit) {
      this.#doing = 'tls';
      secured = await secure(this.#raw, this.#trust);
      this.#pass('tls', describeTls(secured));
      this.#doing = 'greeting';
    }
    const greeting = await this.#greeting(secured ?? this.#raw);
    const control = this.#started();
    control.pipelining = this.#given.pipelining && pipelines(greeting.text);
    this.#pass('greeting', quoted(greeting));
    if (secured === undefined) {
      this.#doing = 'tls';
      secured = await this.#upgrade(control);
      this.#pass('tls', describeTls(secured));
    }
    this.#doing = 'login';
    await this.#login(control);
    this.#doing = 'protection';
    return await this.#settle(control, secured, greeting);
  }

  async #greeting(socket: Socket | TLSSocket): Promise<Reply> {
    const { name } = this.#plan;
    const { keepAliveMs } = this.#given;
    const control = new Control(socket, { name, timeoutMs: this.#plan.settings.timeout, keepAliveMs });
    this.#control = control;
    const sniff = (chunk: Buffer | string): void => {
      if (this.#sniffed.length >= SNIFFED_BYTES) return;
      this.#sniffed = Buffer.concat([this.#sniffed, Buffer.from(chunk.toString('latin1'), 'latin1')]);
      const stranger = strangerFault(name, this.#where(), this.#sniffed);
      if (stranger !== undefined) control.break(stranger);
    };
    socket.on('data', sniff);
    try {
      const reply = await control.greeting();
      if (reply.code !== 220) throw greetingFault(name, this.#where(), reply);
      return reply;
    } finally {
      socket.off('data', sniff);
    }
  }

  async #upgrade(control: Control): Promise<TLSSocket> {
    const reply = await control.ask('AUTH TLS');
    if (reply.code !== 234) throw noTlsFault(this.#plan.name, reply);
    const secured = await secure(this.#raw, this.#trust);
    if (control.broken !== undefined) throw control.broken; // something came in the clear after the 234
    control.secured(secured);
    return secured;
  }

  async #login(control: Control): Promise<void> {
    const { name, settings } = this.#plan;
    const { user, password } = settings;
    if (/[\r\n\0]/.test(user + password)) {
      throw new Fault(
        'rejected',
        `${name}: the user or the password holds a line break, which FTP cannot carry`,
        {
          code: 'LOGIN_REFUSED',
          advice: 'A secret read from a file may end in one: remove it there.',
        },
      );
    }
    let reply = await control.ask(`USER ${toBytes(user).toString('latin1')}`);
    if (reply.code === 331) {
      reply = await control.ask(`PASS ${toBytes(password).toString('latin1')}`);
      if (!isGood(reply) || reply.code >= 300) throw loginFault(name, user, reply, 'password');
    } else if (!isGood(reply) || reply.code >= 300) throw loginFault(name, user, reply, 'user');
    this.#pass('login', `as ${user}: ${sayingOfWire(saying(reply))}`);
  }

  /** PROT P, and what the server is and can. */
  async #settle(control: Control, secured: TLSSocket, greeting: Reply): Promise<Connection> {
    const { name, settings, memory } = this.#plan;
    const { pipelining } = control;
    const limitMs = pipelining ? Math.min(LOST_MS, this.#given.timeoutMs / 3) : settings.timeout;
    const ask = (command: string): Promise<Reply> => control.ask(command, limitMs);
    const answers = control.together(() =>
      Promise.all([
        ask('PBSZ 0'),
        ask('PROT P'),
        ask('OPTS UTF8 ON'),
        ask('TYPE I'),
        ask('SYST'),
        ask('FEAT'),
        ask('PWD'),
      ]),
    );
    const [, protection, , type, system, features, pwd] = await answers.catch((error: unknown) => {
      throw pipelining && codeOf(error) === 'ETIMEDOUT' ? lostCommandsFault(name) : error;
    });
    if (!isGood(protection)) throw noProtectionFault(name, protection);
    this.#pass('protection', 'data connections are encrypted (PROT P)');
    if (!isGood(type)) {
      throw new Fault('rejected', `${name} knows no binary transfers: ${quoted(type)}`, {
        code: 'NO_BINARY',
      });
    }
    const traits = traitsOf(settings, {
      greeting: greeting.text,
      system: system.text,
      features: featuresIn(features),
    });
    if (traits.hash) await control.ask('OPTS HASH SHA-256');
    if (traits.kind === 'aws-transfer') memory.renames = false;
    const home = pathIn(pwd) ?? '/';
    return new Connection({ name, control, secured, trust: this.#trust, settings, traits, memory, home });
  }

  #started(): Control {
    if (this.#control === undefined) throw new Error('there is no control connection yet');
    return this.#control;
  }

  #late(): Fault {
    const { name, settings } = this.#plan;
    const { timeoutMs } = this.#given;
    if (this.#doing === 'greeting') return noGreetingFault(name, this.#where(), settings.port, timeoutMs);
    const doing =
      { tls: 'the TLS handshake', login: 'logging in' }[this.#doing] ?? 'settling what is to be used';
    return new Fault(
      'unreachable',
      `${name}: ${this.#where()} did not get further than ${doing} within ${timeoutMs / 1000} s`,
      {
        code: 'ETIMEDOUT',
        advice:
          'The server is slow or the line loses packets (a path MTU too small for a VPN does just this). A longer connectTimeout may help.',
      },
    );
  }

  #where(): string {
    return hostPort(this.#plan.settings.host, this.#plan.settings.port);
  }
}

function abortOf(signal: AbortSignal): Fault {
  const { reason } = signal;
  return reason instanceof Fault
    ? reason
    : new Fault('aborted', 'stopped before it was done', { cause: reason });
}

function lostCommandsFault(name: string): Fault {
  return new Fault('unreachable', `${name} did not answer all commands that it got together`, {
    code: COMMANDS_LOST,
  });
}

function describeTls(socket: TLSSocket): string {
  const shown = shownBy(socket);
  const cipher = `${socket.getProtocol() ?? 'TLS'}, ${socket.getCipher().standardName}`;
  if (shown === undefined) return cipher;
  const vouches = shown.selfSigned ? 'vouched for by itself (it is in ca)' : `vouched for by ${shown.issuer}`;
  return `${cipher}; certificate of ${shown.subject}, valid until ${shown.validTo}, ${vouches}`;
}
