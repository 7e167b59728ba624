/** Names that are taken: writing only where there is nothing, and telling the same content from another. */

import { setTimeout as sleep } from 'node:timers/promises';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Receipt } from '../endpoint.ts';
import { isCode, isConflict, isPreconditionFailed } from './answer.ts';
import type { Bucket } from './bucket.ts';
import { type Job, receiptOf } from './job.ts';
import { candidate } from './keys.ts';
import { bareTag, type Head, lookAt } from './objects.ts';
import { readBack } from './read.ts';

/** Names tried under `conflict: rename`. */
const MOST_NAMES = 10_000;
/** Conditional writes of several to one key turn each other down for a moment (409). */
const MOST_CONFLICTS = 10;
const CONFLICT_DELAY_MS = 100;

/** What is to be sent, as far as it has to be known. */
export interface Content {
  /** Lower-case hex, of the whole. */
  sha256(): Promise<string>;
  md5(): Promise<string>;
}

/** Header of a write that is to happen only where there is nothing. */
export type Condition = { readonly IfNoneMatch?: '*' };

/** The names that a file may get, in order: only its own, or under `conflict: rename` the next ones too. */
export function* namesFor({ bucket, path, options }: Job): Generator<FilePath> {
  if (options.conflict !== 'rename') {
    yield path;
    return;
  }
  for (let n = 0; n < MOST_NAMES; n += 1) yield candidate(bucket.settings.prefix, path, n);
  throw new Fault('permanent', `${bucket.name}: ${MOST_NAMES} names like ${printable(path)} are taken`, {
    code: 'EEXIST',
    advice: 'Clear that folder of the bucket, or choose another `conflict` for the job.',
  });
}

/**
 * Writes where nothing is: resolves to `taken` where something is.
 * @param bare without a condition, and without looking: `conflict: replace`
 */
export async function write<T>(
  job: Job,
  target: FilePath,
  bare: boolean,
  put: (condition: Condition) => Promise<T>,
): Promise<T | 'taken'> {
  if (bare) return await put({});
  const { bucket, options } = job;
  return await bucket.memory.names.take(bucket.at(target).Key, async () => {
    // Others than S3 may take the condition and not heed it.
    const heeded = bucket.client.isAws && bucket.memory.conditions;
    if (!heeded && (await lookAt(bucket, target, options.signal)) !== undefined) return 'taken';
    return await writeConditionally(job, put);
  });
}

async function writeConditionally<T>(
  { bucket, options }: Job,
  put: (condition: Condition) => Promise<T>,
): Promise<T | 'taken'> {
  for (let conflicts = 1; ; conflicts += 1) {
    throwIfAborted(options.signal);
    try {
      return await put(bucket.memory.conditions ? { IfNoneMatch: '*' } : {});
    } catch (error) {
      if (isPreconditionFailed(error)) return 'taken';
      if (bucket.memory.conditions && isCode(error, 'NotImplemented')) forgetConditions(bucket);
      else if (isConflict(error) && conflicts < MOST_CONFLICTS) await sleep(CONFLICT_DELAY_MS * conflicts);
      else throw error;
    }
  }
}

function forgetConditions({ name, memory }: Bucket): void {
  memory.conditions = false;
  memory.warnOnce(
    `${name} knows no conditional writes (If-None-Match): two writers who want one name at the same moment may replace each other's file`,
  );
}

/** What becomes of a file whose name is taken: a receipt where it is there already, undefined where another name is to be tried. */
export async function whenTaken(
  job: Job,
  target: FilePath,
  head: Head | undefined,
  content: Content,
): Promise<Receipt | undefined> {
  const { bucket, path, options } = job;
  if (head !== undefined && (await isSame(job, target, head, content))) {
    await job.reader.recheck(options.signal, content.sha256);
    options.progress(job.sizeBytes);
    const sha256 = await content.sha256();
    return receiptOf(job, target, head, { sha256, verified: 'checksum', alreadyThere: true });
  }
  if (options.conflict === 'rename') return undefined;
  if (options.conflict === 'skip') {
    throw new Fault('skipped', `${bucket.name} has another ${printable(path)}; left alone (conflict: skip)`, {
      code: 'EEXIST',
    });
  }
  throw new Fault('permanent', `${bucket.name} has another ${printable(path)} already`, {
    code: 'EEXIST',
    advice:
      'Remove or rename the object there, or set conflict to replace, skip or rename; then ferry retry.',
  });
}

async function isSame(job: Job, target: FilePath, head: Head, content: Content): Promise<boolean> {
  const { bucket, sizeBytes, options } = job;
  if ((head.ContentLength ?? 0) !== sizeBytes) return false;
  const { ChecksumSHA256: checksum } = head;
  // One that ends in -N is of the checksums of N parts.
  if (checksum !== undefined && !checksum.includes('-')) {
    return checksum === Buffer.from(await content.sha256(), 'hex').toString('base64');
  }
  const tag = bareTag(head.ETag);
  // Without KMS, an object that came in one piece has its MD5 as its ETag; metadata may be older than the content.
  if (/^[0-9a-f]{32}$/.test(tag) && tag === (await content.md5())) return true;
  try {
    const range = { path: target, tag, start: 0, end: sizeBytes };
    return (await readBack(bucket, range, options.signal)) === (await content.sha256());
  } catch (error) {
    if (error instanceof Fault && error.kind !== 'permanent') throw error;
    return false; // it may not be read: as good as another
  }
}
