/**
 * A road: how a connection reaches an endpoint. It yields a Duplex and knows nothing of what travels on it.
 *
 * Whatever goes wrong while it opens is a Fault with advice. Once open, the Duplex belongs to the caller, who
 * destroys it; destroying it takes everything down that the road had started. An error that it emits later may
 * be a Fault that says more than the socket could (what a proxy command wrote to its stderr).
 */

import type { Duplex } from 'node:stream';
import { Fault } from '../sync/errors.ts';

/**
 * Told of each part of the way that was passed, for `ferry check`: `name`, `tcp`, `proxy`, `tunnel`, `hop`, `proxy command`.
 * @param host the jump host whose part it was; absent: the host's that the road leads to
 */
export type Passed = (step: string, saw: string, host?: string) => void;

export interface Road {
  /** For people, to be read after "over" or "to": `10.0.0.7:22`, `bastion to 10.0.0.7:22`. */
  readonly description: string;
  /** @throws Fault `unreachable` | `rejected` | `aborted` within a bounded time */
  open(signal: AbortSignal, passed?: Passed): Promise<Duplex>;
}

/** `host:port`, with brackets where the host is an IPv6 address. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What to throw once a signal has fired: the fault that it carries, if any. */
export function abortFault(signal: AbortSignal): Fault {
  return signal.reason instanceof Fault ? signal.reason : new Fault('aborted', 'stopped before it was done');
}

/** The value of a promise that belongs to somebody else, or the abort. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortFault(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
