/**
 * What the SDK may try again by itself: a connection that was closed while it idled, a single 500 or 503, a clock that
 * the SDK has just set right. Little and quickly, since the queue decides about everything that lasts.
 */

import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { answerOf } from './answer.ts';

/** The SDK's `RetryStrategyV2`. */
type Strategy = Extract<
  NonNullable<S3ClientConfig['retryStrategy']>,
  { acquireInitialRetryToken(scope: string): unknown }
>;
type Token = Awaited<ReturnType<Strategy['acquireInitialRetryToken']>>;
type Trouble = Parameters<Strategy['refreshRetryTokenForRetry']>[1];

const MOST_RETRIES = 2;
const FIRST_DELAY_MS = 100;
const THROTTLED_DELAY_MS = 500;
/** A server that asks for more patience than this gets it from the queue. */
const MOST_DELAY_MS = 5_000;

/** @param random 0 ≤ x < 1 */
export function quickRetries(random: () => number): Strategy {
  return {
    acquireInitialRetryToken: async () => token(0, 0),
    refreshRetryTokenForRetry: async (used, trouble) => {
      const count = used.getRetryCount() + 1;
      if (count > MOST_RETRIES || !isPassing(trouble))
        throw trouble.error ?? new Error('not to be tried again');
      const first = trouble.errorType === 'THROTTLING' ? THROTTLED_DELAY_MS : FIRST_DELAY_MS;
      const asked = (trouble.retryAfterHint?.getTime() ?? 0) - Date.now();
      const delayMs = first * 2 ** (count - 1) * (0.5 + random() / 2);
      return token(count, Math.min(MOST_DELAY_MS, Math.max(delayMs, asked)));
    },
    recordSuccess: () => undefined,
  };
}

function token(count: number, delayMs: number): Token {
  return { getRetryCount: () => count, getRetryDelay: () => delayMs };
}

/** A request that met silence has used up the time that one attempt may take; a 501 stays one. */
function isPassing({ errorType, error }: Trouble): boolean {
  return errorType !== 'CLIENT_ERROR' && !isSilence(error) && answerOf(error).status !== 501;
}

export function isSilence(error: unknown): boolean {
  const { code } = answerOf(error);
  // The SDK calls a reset connection a TimeoutError too, but leaves it its errno.
  return code === 'TimeoutError' || code === 'ETIMEDOUT';
}
