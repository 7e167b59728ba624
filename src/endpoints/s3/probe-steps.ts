/** What `ferry check` does with a bucket, step by step. Each resolves to what it saw, and throws a Fault where it broke. */

import { hash } from 'node:crypto';
import { codeOf, Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { ProbeStep } from '../endpoint.ts';
import { answerOf, isCode, isPreconditionFailed } from './answer.ts';
import type { Bucket, Http } from './bucket.ts';
import { s3Fault } from './faults.ts';
import { prefixOf } from './keys.ts';
import { bareTag } from './objects.ts';
import { reach } from './reach.ts';
import { getObject } from './read.ts';

export const CONTENT = Buffer.from('Written by "ferry check"; it removes this again.\n');
export const SHA256 = hash('sha256', CONTENT, 'base64');
const MOST_SKEW_MS = 60_000;

/** What a step has seen. */
export type Seen = Omit<ProbeStep, 'step' | 'ok' | 'ms'>;
type Input = Parameters<Bucket['client']['s3']['putObject']>[0];
/** Puts the content, with these differences. */
export type Put = (
  bucket: Bucket,
  more: Partial<Input>,
) => Promise<{ readonly ETag?: string | undefined; readonly ChecksumSHA256?: string | undefined }>;

/** How the SDK's chain calls where it found them (`$source` of an identity). */
const SOURCES: Readonly<Record<string, string>> = {
  CREDENTIALS_ENV_VARS: 'the environment',
  CREDENTIALS_PROFILE: 'a profile',
  CREDENTIALS_PROFILE_PROCESS: "a profile's credential_process",
  CREDENTIALS_PROFILE_SSO: 'IAM Identity Center (SSO)',
  CREDENTIALS_SSO: 'IAM Identity Center (SSO)',
  CREDENTIALS_STS_ASSUME_ROLE: 'a role',
  CREDENTIALS_STS_ASSUME_ROLE_WEB_ID: 'a role by web identity',
  CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN: 'a role by web identity',
  CREDENTIALS_HTTP: "the container's role",
  CREDENTIALS_IMDS: "the instance's role",
};

export async function credentials(bucket: Bucket): Promise<Seen> {
  try {
    const { accessKeyId, expiration, ...rest } = await bucket.client.s3.config.credentials();
    const marks =
      '$source' in rest && typeof rest.$source === 'object' ? Object.keys(rest.$source ?? {}) : [];
    const from = marks.map((mark) => SOURCES[mark]).filter((words) => words !== undefined);
    const until = expiration === undefined ? '' : `, until ${expiration.toISOString()}`;
    const shown = `${accessKeyId.slice(0, 4)}…${accessKeyId.slice(-4)}`;
    return { saw: `access key ${shown}${from.length === 0 ? '' : ` from ${from.join(', ')}`}${until}` };
  } catch (error) {
    throw s3Fault(error, { verb: 'reach', action: '' }, bucket.where);
  }
}

export async function reached(bucket: Bucket, signal: AbortSignal): Promise<Seen> {
  await reach(bucket, signal);
  const { s3, host } = bucket.client;
  const saw = `${bucket.settings.bucket} in ${await s3.config.region()} at ${host}`;
  const skewMs = s3.config.systemClockOffset;
  if (Math.abs(skewMs) < MOST_SKEW_MS) return { saw };
  return {
    saw: `${saw}; the clock of this host is ${Math.round(Math.abs(skewMs) / 60_000)} minutes ${skewMs < 0 ? 'ahead' : 'behind'}`,
    warning: true,
    advice:
      'Set the clock, and have it kept right (chrony, systemd-timesyncd); Ferry allows for it meanwhile.',
  };
}

/** Where files are only brought to, it is no more than a warning when that is not allowed. */
export async function mayList(bucket: Bucket, folder: FilePath, signal: AbortSignal): Promise<Seen> {
  try {
    return await listed(bucket, folder, signal);
  } catch (error) {
    return unlessDenied(
      error,
      'A job that takes files from here needs it; one that only brings files with conflict: replace does not.',
    );
  }
}

export async function listed(bucket: Bucket, folder: FilePath, signal: AbortSignal): Promise<Seen> {
  const { found, prefix } = await firstPage(bucket, folder, signal);
  const count = found.Contents?.length ?? 0;
  const more = found.IsTruncated === true ? ' and more' : '';
  return { saw: `${count}${more} below ${prefix === '' ? 'the bucket' : prefix}` };
}

/** Reads the beginning of a file that is there. */
export async function readFirst(bucket: Bucket, folder: FilePath, signal: AbortSignal): Promise<Seen> {
  const { found } = await firstPage(bucket, folder, signal);
  const Key = found.Contents?.find((object) => (object.Size ?? 0) > 0)?.Key;
  if (Key === undefined) return { saw: 'there is nothing to read yet' };
  const path = Key.slice(bucket.settings.prefix.length);
  const input = { Bucket: bucket.settings.bucket, Key, Range: 'bytes=0-0' };
  await bucket.call({ verb: 'read', action: 's3:GetObject', path }, signal, async (s3, http) =>
    (await s3.getObject(input, http)).Body?.transformToByteArray(),
  );
  return { saw: printable(path) };
}

async function firstPage(bucket: Bucket, folder: FilePath, signal: AbortSignal) {
  const doing = { verb: 'list', action: 's3:ListBucket', path: folder === '' ? '/' : folder };
  const prefix = prefixOf(bucket.settings.prefix, folder);
  const input = { Bucket: bucket.settings.bucket, Prefix: prefix, MaxKeys: 1000 };
  const found = await bucket.call(doing, signal, (s3, http) => s3.listObjectsV2(input, http));
  return { found, prefix };
}

export async function written(bucket: Bucket, put: Put): Promise<Seen> {
  const { ETag, ChecksumSHA256 } = await put(bucket, {});
  if (ChecksumSHA256 === SHA256) return { saw: `${CONTENT.length} bytes, and S3 has verified their SHA-256` };
  if (bareTag(ETag) === hash('md5', CONTENT))
    return { saw: `${CONTENT.length} bytes, and their MD5 came back as ETag` };
  return { saw: `${CONTENT.length} bytes` };
}

export async function readBack(bucket: Bucket, path: FilePath, signal: AbortSignal): Promise<Seen> {
  try {
    const { bytes } = await getObject(bucket, { path, tag: '' }, signal);
    if (bytes.equals(CONTENT)) return { saw: 'the same bytes' };
  } catch (error) {
    return unlessDenied(
      error,
      bucket.client.isAws && bucket.client.sendsChecksums
        ? 'A job that takes files from here needs it, or one with another conflict than replace.'
        : "Without S3's own checksums, Ferry looks at every object that it has sent.",
    );
  }
  throw new Fault('rejected', `${bucket.name}: what was read back is not what was written`, {
    code: 'CHECKSUM_MISMATCH',
    advice: 'The server stores more than the file: set checksums: when_required and forcePathStyle: true.',
  });
}

/** The right content with the checksum of another must be refused. */
export async function checked(bucket: Bucket, put: Put): Promise<Seen> {
  try {
    await put(bucket, { ChecksumSHA256: hash('sha256', 'other', 'base64') });
  } catch (error) {
    if (codeOf(error) === 'CHECKSUM_MISMATCH')
      return { saw: `damaged content is refused (${answerOf(error).code})` };
    throw error;
  }
  return {
    saw: 'damaged content is taken without a word',
    warning: true,
    advice:
      'The server verifies no checksums: use verify: checksum, which reads back what the ETag does not show.',
  };
}

export async function conditional(bucket: Bucket, put: Put): Promise<Seen> {
  let saw = 'are taken and not heeded';
  try {
    await put(bucket, { IfNoneMatch: '*' });
  } catch (error) {
    if (isPreconditionFailed(error)) return { saw: 'a taken name is not overwritten (If-None-Match)' };
    if (!isCode(error, 'NotImplemented')) throw error;
    saw = 'are refused';
  }
  return {
    saw: `conditional writes ${saw}`,
    warning: true,
    advice:
      "With conflict: skip, fail or rename, two writers who want one name at the same moment may replace each other's file.",
  };
}

export async function multipart(bucket: Bucket, path: FilePath, signal: AbortSignal): Promise<Seen> {
  const ask = <T>(
    action: string,
    verb: string,
    work: (s3: Bucket['client']['s3'], http: Http) => Promise<T>,
  ) => bucket.call({ verb, action, path }, signal, work);
  const input = { ...bucket.at(path), ...bucket.storing };
  const { UploadId } = await ask('s3:PutObject', 'write', (s3, http) =>
    s3.createMultipartUpload(input, http),
  );
  const upload = { ...bucket.at(path), UploadId };
  const without: string[] = [];
  const advice: string[] = [];
  try {
    await ask('s3:ListMultipartUploadParts', 'go on with', (s3, http) => s3.listParts(upload, http));
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error;
    without.push('cannot be gone on with after a cut');
    advice.push('Allow s3:ListMultipartUploadParts.');
  }
  try {
    await ask('s3:AbortMultipartUpload', 'abort', (s3, http) => s3.abortMultipartUpload(upload, http));
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error;
    without.push('cannot be aborted');
    advice.push('Allow s3:AbortMultipartUpload, or set a lifecycle rule AbortIncompleteMultipartUpload.');
  }
  if (without.length === 0) return { saw: 'large uploads can be started, gone on with and aborted' };
  return { saw: `large uploads ${without.join(' and ')}`, warning: true, advice: advice.join(' ') };
}

export async function deleted(bucket: Bucket, path: FilePath, signal: AbortSignal): Promise<Seen> {
  try {
    await bucket.call({ verb: 'delete', action: 's3:DeleteObject', path }, signal, (s3, http) =>
      s3.deleteObject(bucket.at(path), http),
    );
    return { saw: 'removed again' };
  } catch (error) {
    return unlessDenied(
      error,
      `A source with after: delete or archive needs it. ${bucket.at(path).Key} was left there.`,
    );
  }
}

function unlessDenied(error: unknown, advice: string): Seen {
  if (!(error instanceof Fault) || error.code !== 'EACCES') throw error;
  return { saw: error.message, warning: true, advice: `${error.advice ?? ''} ${advice}`.trim() };
}
