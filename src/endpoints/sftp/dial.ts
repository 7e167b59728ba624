/**
 * One connect, from the road to a session that works, inside one deadline (ssh2's own ends at the login).
 *
 * The first bytes that the far side sends are looked at, so that a web server, a TLS port or an FTP server is named
 * as what it is. The host key is verified before anything is told to the server.
 */

import type { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { Client, type ConnectConfig, type SFTPWrapper } from 'ssh2';
import SftpClient from 'ssh2-sftp-client';
import { abortFault, type Passed, type Road } from '../../roads/road.ts';
import type { Fault } from '../../sync/errors.ts';
import { type ConnectTrouble, connectFault, connectSilence, type Phase } from './connect-faults.ts';
import { FAMILIES, type HostKey, hostKeyOf } from './hostkeys.ts';
import { keepAliveOf } from './keep-alive.ts';
import type { Login } from './login.ts';
import { passwordExpired } from './login-faults.ts';
import { agreed, KEX, type Offers, OPENING_BYTES, offersIn } from './offers.ts';
import { reusePacketMemory } from './packet-memory.ts';
import { CIPHERS, type SftpSettings } from './settings.ts';
import { speaksTls } from './stranger.ts';
import { tlsFault } from './stranger-faults.ts';

export interface DialPlan {
  readonly name: string;
  readonly settings: SftpSettings;
  readonly road: Road;
  /** Families of host keys to ask for, in order of preference. */
  readonly families: readonly string[];
  /** A fault when that host key is not to be trusted. */
  readonly verify: (key: Buffer) => Fault | undefined;
  readonly login: () => Promise<Login>;
  /** A jump host needs no SFTP. */
  readonly sftp: boolean;
  /** It was seen to speak SSH before: what ends a connection without a word is no other kind of server. */
  readonly known: boolean;
}

export interface Dialled {
  readonly client: Client;
  readonly sock: Duplex;
  readonly sftp: SFTPWrapper | undefined;
  /** The server's identification without `SSH-2.0-`: `OpenSSH_9.2p1 …`. */
  readonly ident: string;
  readonly hostKey: HostKey;
  readonly cipher: string;
}

/** @throws Fault `unreachable` | `rejected` | `aborted` */
export async function dial(plan: DialPlan, signal: AbortSignal, passed?: Passed): Promise<Dialled> {
  const state = new Progress(plan);
  const { connectTimeout } = plan.settings;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(connectSilence(state, connectTimeout)), connectTimeout);
  const onAbort = (): void => {
    deadline.abort(abortFault(signal));
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  let sock: Duplex | undefined;
  try {
    sock = await plan.road.open(deadline.signal, passed);
    sock.on('error', () => undefined);
    return await converse(plan, state, sock, deadline.signal, passed);
  } catch (error) {
    sock?.destroy();
    const mute = state.phase === 'banner' && state.sniffed.length === 0 && !deadline.signal.aborted;
    if (mute && !plan.known && (await speaksTls(plan.road, deadline.signal))) throw tlsFault(state);
    throw deadline.signal.aborted ? deadline.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** How far it has come, for the fault when it goes no further. */
class Progress implements ConnectTrouble {
  error: unknown;
  phase: Phase = 'road';
  sniffed: Buffer = Buffer.alloc(0);
  tried: readonly string[] = [];
  accepts: readonly string[] = [];
  partial = false;
  hostKey: HostKey | undefined;
  cipher = '';
  readonly name: string;
  readonly user: string;
  readonly road: string;

  constructor(plan: DialPlan) {
    this.name = plan.name;
    this.user = plan.settings.user;
    this.road = plan.road.description;
  }

  get offers(): Offers | undefined {
    return offersIn(this.sniffed);
  }

  get ident(): string {
    return /^SSH-[\d.]+-([^\r\n]*)/m.exec(this.sniffed.toString('latin1'))?.[1] ?? '';
  }
}

function converse(
  plan: DialPlan,
  state: Progress,
  sock: Duplex,
  signal: AbortSignal,
  passed?: Passed,
): Promise<Dialled> {
  return new Promise((resolve, reject) => {
    const wrapper = plan.sftp ? new SftpClient(plan.name, {}) : undefined;
    const client = wrapper?.client ?? new Client();
    reusePacketMemory(client, sock);
    let settled = false;

    const fail = (error: unknown): void => {
      state.error ??= error;
      if (settled) return;
      settled = true;
      // What the far side sent last may still be in the socket: a turn later it was sniffed.
      void turn().then(() => {
        stopListening();
        client.destroy();
        sock.destroy();
        reject(connectFault(state));
      });
    };
    const succeed = (sftp: SFTPWrapper | undefined): void => {
      if (settled) return;
      if (state.hostKey === undefined) {
        fail(new Error('no host key was verified'));
        return;
      }
      settled = true;
      stopListening();
      if (sftp !== undefined) passed?.('sftp', 'SFTP started');
      const { ident, hostKey, cipher } = state;
      resolve({ client, sock, sftp, ident, hostKey, cipher });
    };
    const onAbort = (): void => fail(signal.reason);
    const onEnd = (): void => fail(new Error('the far side closed it'));
    const onSniff = (bytes: Buffer): void => sniff(state, bytes, passed);
    const stopListening = (): void => {
      signal.removeEventListener('abort', onAbort);
      sock.removeListener('data', onSniff);
    };

    // ssh2-sftp-client's own listener throws away what the error was: this one comes first.
    client.on('error', fail);
    client.on('end', onEnd);
    client.on('close', onEnd);
    client.on('handshake', (negotiated) => {
      state.cipher = negotiated.cs.cipher;
      if (state.phase === 'key exchange') state.phase = 'login';
    });
    client.on('change password', () => fail(passwordExpired(state)));
    client.on('ready', () => {
      state.phase = 'sftp';
      passed?.('login', `${state.user} is logged in`);
      if (wrapper === undefined) succeed(undefined);
    });
    signal.addEventListener('abort', onAbort, { once: true });
    state.phase = 'banner';
    const config = configOf(plan, state, sock, fail, passed);
    if (wrapper !== undefined) wrapper.connect(config).then(succeed, fail);
    else client.connect(config);
    sock.on('data', onSniff);
  });
}

function sniff(state: Progress, bytes: Buffer, passed?: Passed): void {
  if (state.phase !== 'banner' && state.phase !== 'key exchange') return;
  if (state.sniffed.length < OPENING_BYTES)
    state.sniffed = Buffer.concat([state.sniffed, bytes]).subarray(0, OPENING_BYTES);
  if (state.phase !== 'banner' || state.ident === '') return;
  state.phase = 'key exchange';
  passed?.('banner', state.ident);
}

function configOf(
  plan: DialPlan,
  state: Progress,
  sock: Duplex,
  fail: (error: unknown) => void,
  passed?: Passed,
): ConnectConfig {
  const { settings } = plan;
  return {
    sock,
    username: settings.user,
    readyTimeout: 0, // the deadline round all of it is ours
    // Pings make a living peer heard; who is dead is decided by Link, which also sees bytes move.
    keepaliveInterval: keepAliveOf(settings),
    keepaliveCountMax: Number.MAX_SAFE_INTEGER,
    algorithms: {
      kex: [...KEX],
      cipher: [...(settings.ciphers ?? CIPHERS)],
      compress: ['none'],
      serverHostKey: plan.families.flatMap((family) => FAMILIES[family] ?? []),
    },
    hostVerifier: (key: Buffer) => {
      passed?.('key exchange', agreed(KEX, state.offers?.kex ?? []) ?? 'done');
      const refusal = plan.verify(key);
      if (refusal !== undefined) {
        fail(refusal);
        return false;
      }
      state.hostKey = hostKeyOf(key);
      passed?.('host key', `${state.hostKey.type} ${state.hostKey.fingerprint}`);
      return true;
    },
    authHandler: authenticator(plan, state, fail),
  };
}

type Authenticator = Extract<ConnectConfig['authHandler'], (...args: never) => void>;

/** Tries one way after the other, leaving out what the server does not take. */
function authenticator(plan: DialPlan, state: Progress, fail: (error: unknown) => void): Authenticator {
  let next = 0;
  return (accepts, partial, tryWith) => {
    if (Array.isArray(accepts)) state.accepts = accepts;
    if (partial) state.partial = true;
    plan.login().then(({ methods, tried }) => {
      state.tried = tried;
      for (;;) {
        const method = methods[next];
        next += 1;
        if (method === undefined) return fail(new Error('All configured authentication methods failed'));
        const asked = method.type === 'agent' ? 'publickey' : method.type;
        if (state.accepts.length === 0 || state.accepts.includes(asked)) return tryWith(method);
      }
    }, fail);
  };
}
