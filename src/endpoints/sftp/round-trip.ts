/** How long a request takes on a new session: whether several connections for one file would pay. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Wire } from './wire.ts';

/** A connect is a dozen round trips and more: when it took longer than this, the line is long, and not measured. */
const QUICK_CONNECT_MS = 250;
/** The quickest of so many requests: a busy host may delay any one of them. */
const TRIES = 3;
const MOST_MS = 250;

/** In ms; undefined on a long line, where finding out would take as long. Never rejects. */
export async function roundTrip(wire: Wire, connectMs: number): Promise<number | undefined> {
  if (connectMs > QUICK_CONNECT_MS) return undefined;
  const stop = new AbortController();
  const tooLong = sleep(MOST_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  try {
    return await Promise.race([quickest(wire), tooLong]);
  } finally {
    stop.abort();
  }
}

async function quickest(wire: Wire): Promise<number | undefined> {
  let bestMs: number | undefined;
  for (let n = 0; n < TRIES; n += 1) {
    const sinceMs = performance.now();
    // A refusal is an answer too; a link that broke tells whoever uses it next.
    await wire.realpath('.').catch(() => undefined);
    const tookMs = performance.now() - sinceMs;
    if (wire.link.broken === undefined) bestMs = Math.min(bestMs ?? tookMs, tookMs);
  }
  return bestMs;
}
