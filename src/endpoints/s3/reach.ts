/** Whether a bucket can be reached at all, in the words of whoever refuses. */

import { Fault } from '../../sync/errors.ts';
import { answerOf } from './answer.ts';
import type { Bucket } from './bucket.ts';

/**
 * Asks the bucket for one name: credentials, bucket, region and clock are right then. A listing tells in words what is
 * wrong, which HeadBucket cannot. Who may write but not list is let in.
 */
export async function reach(bucket: Bucket, signal: AbortSignal): Promise<'lists' | 'lists not'> {
  const doing = { verb: 'reach', action: 's3:ListBucket' };
  const { bucket: Bucket, prefix: Prefix } = bucket.settings;
  try {
    await bucket.call(doing, signal, (s3, http) => s3.listObjectsV2({ Bucket, Prefix, MaxKeys: 1 }, http));
    return 'lists';
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (answerOf(error).code === 'AccessDenied') return 'lists not';
    // Whatever else is said to so simple a request concerns every file.
    if (error.kind === 'unreachable' || error.kind === 'rejected' || error.kind === 'aborted') throw error;
    throw new Fault('rejected', error.message, {
      ...(error.code === undefined ? {} : { code: error.code }),
      ...(error.advice === undefined ? {} : { advice: error.advice }),
      cause: error.cause,
    });
  }
}
