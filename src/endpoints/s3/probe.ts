/**
 * `ferry check`: does everything once with the bucket that deliveries do, each step with what was seen, until one
 * breaks. What only some jobs need (listing, reading, deleting) is a warning where it is not allowed. Leaves nothing
 * behind, except where deleting is not allowed, and says so.
 */

import { asFault } from '../../sync/errors.ts';
import { type FilePath, joinPath, OWN_PREFIX } from '../../sync/names.ts';
import { failedStep, type ProbeOptions, type ProbeStep } from '../endpoint.ts';
import type { Bucket } from './bucket.ts';
import type { S3Endpoint } from './endpoint.ts';
import {
  CONTENT,
  checked,
  conditional,
  credentials,
  deleted,
  listed,
  mayList,
  multipart,
  type Put,
  reached,
  readBack,
  readFirst,
  type Seen,
  SHA256,
  written,
} from './probe-steps.ts';

type Step = readonly [name: string, look: (bucket: Bucket) => Promise<Seen>];

/** Never throws. */
export async function* probe(
  endpoint: S3Endpoint,
  folder: FilePath,
  options: ProbeOptions,
): AsyncGenerator<ProbeStep> {
  let opened: Bucket | undefined;
  const bucket = async (): Promise<Bucket> => {
    opened ??= await endpoint.open();
    return opened;
  };
  try {
    for (const [step, look] of stepsFor(folder, options)) {
      const sinceMs = performance.now();
      try {
        const seen = await look(await bucket());
        yield { step, ok: true, ...seen, ms: performance.now() - sinceMs };
      } catch (error) {
        yield { ...failedStep(step, asFault(error, options.signal)), ms: performance.now() - sinceMs };
        return;
      }
    }
  } finally {
    opened?.client[Symbol.dispose]();
  }
}

function stepsFor(folder: FilePath, { use, signal }: ProbeOptions): readonly Step[] {
  const reaching: readonly Step[] = [
    ['credentials', (bucket) => credentials(bucket)],
    ['bucket', (bucket) => reached(bucket, signal)],
  ];
  if (use === 'read') {
    return [
      ...reaching,
      ['list', (bucket) => listed(bucket, folder, signal)],
      ['read', (bucket) => readFirst(bucket, folder, signal)],
    ];
  }
  const path = joinPath(folder, `${OWN_PREFIX}check`);
  const put: Put = (bucket, more) => {
    const input = { ...bucket.at(path), ...bucket.storing, Body: CONTENT, ChecksumSHA256: SHA256, ...more };
    return bucket.call({ verb: 'write', action: 's3:PutObject', path }, signal, (s3, http) =>
      s3.putObject(input, http),
    );
  };
  return [
    ...reaching,
    ['list', (bucket) => mayList(bucket, folder, signal)],
    ['write', (bucket) => written(bucket, put)],
    ['read', (bucket) => readBack(bucket, path, signal)],
    ['checksum', (bucket) => checked(bucket, put)],
    ['conditions', (bucket) => conditional(bucket, put)],
    ['multipart', (bucket) => multipart(bucket, path, signal)],
    ['delete', (bucket) => deleted(bucket, path, signal)],
  ];
}
