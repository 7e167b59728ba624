/**
 * What an attempt's fault means: for the delivery in the ledger, for its entry in the queue, and for the endpoint.
 * A pure function: the whole of Ferry's retry policy is here.
 */

import type { Delivery, Outcome } from '../sync/delivery.ts';
import { type Fault, faultWithNext, isEndpointFault } from '../sync/errors.ts';
import { isUnmounted } from '../sync/mounts.ts';

export interface RetrySettings {
  /** Attempts that count, the first included. */
  readonly attempts: number;
  readonly delayMs: number;
  readonly maxDelayMs: number;
}

export interface Circumstances {
  readonly fault: Fault;
  /** As it was claimed. */
  readonly delivery: Pick<Delivery, 'attempts' | 'cuts' | 'endpoint'>;
  readonly retry: RetrySettings;
  /** A checkpoint was written during this attempt: more of the file is there than before. */
  readonly progressed: boolean;
  /** No more entries can wait in the queue: later tries wait in the ledger. */
  readonly full: boolean;
  readonly nowMs: number;
  /** 0 ≤ x < 1 */
  readonly random: () => number;
}

export interface Verdict {
  readonly outcome: Exclude<Outcome, { state: 'delivered' } | { state: 'pending' }>;
  /** `drop`: done with it; `retry`: a failed try, once more later; `postpone`: later, and no try was made; `bury`: shown as failed. */
  readonly entry: 'drop' | 'retry' | 'postpone' | 'bury';
  /** `doubt`: see whether it can be reached; `hold`: it cannot; `stop`: a person is needed. */
  readonly endpoint: 'doubt' | 'hold' | 'stop' | undefined;
  /** The source is another version than the one that was owed, or is not mounted: look at that path again. */
  readonly rescan: boolean;
}

/** So often a file may be cut without getting any further, while the endpoint can be reached, before that counts against the file. */
export const FREE_CUTS = 10;
/** A file that was cut goes again after about so long (the endpoint's gate is what really waits). */
const CUT_DELAY_MS = 500;
const MAX_CUT_DELAY_MS = 10_000;
const HOW_IT_GOES_ON = '`ferry retry` sends it again when that is mended.';
/** A source that cannot be reached is asked again after about so long. */
const SOURCE_DELAY_MS = 5_000;
/** What was aborted while nobody stops Ferry (a lost lock, a job that is gone) is not taken again at once. */
const ABORTED_DELAY_MS = 1_000;

export function judge(circumstances: Circumstances): Verdict {
  const { fault, delivery, nowMs } = circumstances;
  if (isEndpointFault(fault) && fault.endpoint !== undefined && fault.endpoint !== delivery.endpoint) {
    return elsewhere(circumstances);
  }
  switch (fault.kind) {
    case 'transient':
      return tryAgain(circumstances, undefined);
    case 'unreachable': {
      const endpoint = fault.during === 'connect' ? 'hold' : 'doubt';
      const counts = endpoint === 'doubt' && delivery.cuts >= FREE_CUTS && !circumstances.progressed;
      return counts ? tryAgain(circumstances, endpoint) : cut(circumstances, endpoint);
    }
    case 'rejected':
      return {
        outcome: { state: 'due', fault, counts: false, nextAtMs: nowMs },
        entry: 'drop',
        endpoint: 'stop',
        rescan: false,
      };
    case 'permanent':
      return {
        outcome: failed(fault),
        entry: 'bury',
        endpoint: undefined,
        rescan: false,
      };
    case 'changed':
    case 'vanished':
      return {
        outcome: { state: 'superseded', fault, leftover: true },
        entry: 'drop',
        endpoint: undefined,
        rescan: fault.kind === 'changed',
      };
    case 'skipped':
      return {
        // Nothing was sent, unless by an earlier attempt.
        outcome: { state: 'superseded', fault, leftover: delivery.attempts + delivery.cuts > 0 },
        entry: 'drop',
        endpoint: undefined,
        rescan: false,
      };
    case 'aborted':
      return {
        outcome: { state: 'due', fault, counts: false, nextAtMs: nowMs + ABORTED_DELAY_MS },
        entry: 'drop',
        endpoint: undefined,
        rescan: isUnmounted(fault),
      };
  }
}

/**
 * Capped exponential backoff with equal jitter: half of the delay is certain, so that a setting means what it says, and
 * half is random, so that files that failed together do not come back together.
 * @param nth 1 for the first failure
 */
export function backoffMs(nth: number, firstMs: number, maxMs: number, random: () => number): number {
  const wholeMs = Math.min(maxMs, firstMs * 2 ** Math.min(nth - 1, 40));
  return Math.round(wholeMs / 2 + (wholeMs / 2) * random());
}

function tryAgain(circumstances: Circumstances, endpoint: Verdict['endpoint']): Verdict {
  const { fault, delivery, retry, full, nowMs, random } = circumstances;
  const nth = delivery.attempts + 1;
  if (nth >= retry.attempts) return { outcome: failed(fault), entry: 'bury', endpoint, rescan: false };
  const nextAtMs = nowMs + backoffMs(nth, retry.delayMs, retry.maxDelayMs, random);
  return {
    outcome: { state: full ? 'due' : 'queued', fault, counts: true, nextAtMs },
    entry: full ? 'drop' : 'retry',
    endpoint,
    rescan: false,
  };
}

/** It waits for a person, who has to know how it goes on. */
function failed(fault: Fault): Extract<Outcome, { state: 'failed' }> {
  const isSaid = fault.advice?.includes('ferry retry') === true;
  return { state: 'failed', fault: isSaid ? fault : faultWithNext(fault, HOW_IT_GOES_ON), leftover: true };
}

/** The source's endpoint is in trouble, which its scans tell; the destination has nothing to do with it. */
function elsewhere({ fault, full, nowMs, random }: Circumstances): Verdict {
  const nextAtMs = nowMs + backoffMs(1, SOURCE_DELAY_MS, SOURCE_DELAY_MS, random);
  return {
    outcome: { state: full ? 'due' : 'queued', fault, counts: false, nextAtMs },
    entry: full ? 'drop' : 'postpone',
    endpoint: undefined,
    rescan: false,
  };
}

function cut(circumstances: Circumstances, endpoint: Verdict['endpoint']): Verdict {
  const { fault, delivery, full, nowMs, progressed, random } = circumstances;
  // One that got further need not wait longer each time.
  const nth = progressed ? 1 : delivery.cuts + 1;
  const nextAtMs = nowMs + backoffMs(nth, CUT_DELAY_MS, MAX_CUT_DELAY_MS, random);
  return {
    outcome: { state: full ? 'due' : 'queued', fault, counts: false, nextAtMs },
    entry: full ? 'drop' : 'postpone',
    endpoint,
    rescan: false,
  };
}
