/** Waits for a condition, with a deadline whose message says what was waited for. */

import { setTimeout as sleep } from 'node:timers/promises';

/** Long, since a busy machine may take as long: what waits for it in vain has failed anyway. */
const DEFAULT_MS = 60_000;

export interface UntilOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

type Truthy<T> = Exclude<T, false | undefined | null>;

/** Resolves to the first value that is not false, undefined or null. @throws Error after the deadline */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Truthy<T>> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_MS;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (isTruthy(value)) return value;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(options.everyMs ?? 20);
  }
}

function isTruthy<T>(value: T): value is Truthy<T> {
  return value !== false && value !== undefined && value !== null;
}

/** The value of the promise, or an error when it takes longer: for calls that must end in bounded time. */
export async function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: timer.signal, ref: true }).then(() => {
    throw new Error(`${what} took longer than ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}
