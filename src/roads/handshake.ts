/** What is said with a proxy before it is a mere line: its answers are read byte for byte, what follows them stays unread. */

import type { Duplex } from 'node:stream';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { Fault, messageOf } from '../sync/errors.ts';
import { abortFault } from './road.ts';

export interface Handshake {
  write(bytes: Uint8Array | string): void;
  /** @throws Fault when the far side ends first */
  exactly(count: number): Promise<Buffer>;
  /** Up to and including the first `end`. @throws Fault when there is none within `most` bytes, or the far side ends first */
  until(end: string, most: number): Promise<Buffer>;
  /** What still comes, for as long as a person would not notice; its end is no fault. */
  rest(most: number): Promise<Buffer>;
}

const REST_MS = 500;

interface State {
  /** What was received and not taken yet. */
  unread: Buffer;
  /** The far side has nothing more to say. */
  ended: (why?: string) => void;
}

export interface HandshakeOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** For messages: who is talked to, and about what. */
  readonly name: string;
  readonly where: string;
}

/** Destroys the socket when it fails. @throws Fault */
export async function shakeHands(
  socket: Duplex,
  options: HandshakeOptions,
  talk: (handshake: Handshake) => Promise<void>,
): Promise<void> {
  const { signal, timeoutMs, name, where } = options;
  let fail: (fault: Fault) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  const onAbort = (): void => fail(abortFault(signal));
  const state: State = {
    ended: (why = 'it closed the connection') =>
      fail(isAnswer(state.unread) ? lost(options, why) : notAProxy(name, state.unread)),
    unread: Buffer.alloc(0),
  };
  const onEnd = (): void => state.ended();
  const onError = (error: unknown): void => state.ended(messageOf(error));
  const timer = setTimeout(() => {
    fail(
      new Fault('unreachable', `${name} did not open the way to ${where} in time`, {
        code: 'PROXY_TIMEOUT',
        advice: `Either it is overloaded, or it waits for ${where}: may it go there, and is that host up?`,
      }),
    );
  }, timeoutMs);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.on('end', onEnd).on('close', onEnd).on('error', onError);
  if (signal.aborted) onAbort();
  try {
    await Promise.race([failed, talk(over(socket, failed, options, state))]);
    if (state.unread.length > 0) socket.unshift(state.unread);
    await turn(); // until the socket has forgotten that it was read by hand, so that it may flow
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    socket.off('end', onEnd).off('close', onEnd).off('error', onError);
  }
}

function over(socket: Duplex, failed: Promise<never>, { name }: HandshakeOptions, state: State): Handshake {
  /** Takes from what was received, as soon as enough of it was. */
  const ask = async <T>(take: () => T | undefined): Promise<T> => {
    for (;;) {
      const chunk: unknown = socket.read();
      if (Buffer.isBuffer(chunk)) state.unread = Buffer.concat([state.unread, chunk]);
      const found = take();
      if (found !== undefined) return found;
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.once('readable', resolve);
      try {
        await Promise.race([failed, promise]);
      } finally {
        socket.off('readable', resolve);
      }
    }
  };
  const cut = (count: number): Buffer => {
    const bytes = state.unread.subarray(0, count);
    state.unread = state.unread.subarray(count);
    return bytes;
  };
  return {
    write: (bytes) => void socket.write(bytes),
    exactly: (count) => ask(() => (state.unread.length < count ? undefined : cut(count))),
    until: (end, most) =>
      ask(() => {
        const at = state.unread.indexOf(end);
        if (at >= 0) return cut(at + end.length);
        if (state.unread.length > most) throw notAProxy(name, state.unread);
        return undefined;
      }),
    rest: async (most) => {
      const over = new Promise<void>((resolve) => {
        state.ended = () => resolve();
      });
      const enough = ask(() => (state.unread.length < most ? undefined : true));
      enough.catch(() => undefined);
      await Promise.race([sleep(REST_MS), over, enough]);
      return cut(most);
    },
  };
}

/** Whether it may be the beginning of what a proxy says, be it nothing yet. */
function isAnswer(bytes: Buffer): boolean {
  const [first = 5] = bytes;
  return first === 5 || first === 1 || bytes.toString('latin1', 0, 5) === 'HTTP/';
}

function lost({ name, where }: HandshakeOptions, why: string): Fault {
  return new Fault('unreachable', `${name} did not open the way to ${where}: ${why}`, {
    code: 'PROXY_LOST',
    advice:
      'Is it a proxy of that kind (socks5:// or http://), and does it let this host in? Its log may say more.',
  });
}

/** @param said what it answered */
export function notAProxy(name: string, said: Buffer): Fault {
  const words = /^[\x20-\x7e]{3,60}/.exec(said.toString('latin1'))?.[0];
  return new Fault('rejected', `${name} answers as no such proxy${words === undefined ? '' : `: ${words}`}`, {
    code: 'PROXY_ANSWER',
    advice:
      'Correct `proxy` in endpoints.yaml: is it a SOCKS proxy (socks5://) or an HTTP one (http://), and is the port right?',
  });
}
