/**
 * Looks at AWS Signature Version 4 in a header: who, where, when, and whether the signature fits the request.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */

import { createHash, createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from './refusal.ts';

export interface Signed {
  readonly method: string;
  /** As it came, with its query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Expected {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** A session token, when the credentials have one that has expired. */
  readonly expiredToken?: string | undefined;
  readonly region: string;
  /** Of the server's clock, ms since the epoch. */
  readonly nowMs: number;
}

const SKEW_MS = 15 * 60_000;

/** @throws Refusal as S3 refuses it */
export function verifySignature(request: Signed, expected: Expected): void {
  const { headers } = request;
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
  if (match === null) throw new Refusal(403, 'AccessDenied', 'Access Denied');
  const [, id = '', day = '', region = '', service = '', names = '', signature] = match;
  if (id !== expected.accessKeyId) {
    const message = 'The AWS Access Key Id you provided does not exist in our records.';
    throw new Refusal(403, 'InvalidAccessKeyId', message, { AWSAccessKeyId: id });
  }
  if (expected.expiredToken !== undefined && headers['x-amz-security-token'] === expected.expiredToken) {
    throw new Refusal(400, 'ExpiredToken', 'The provided token has expired.');
  }
  if (region !== expected.region) {
    const message = `The authorization header is malformed; the region '${region}' is wrong; expecting '${expected.region}'`;
    throw new Refusal(400, 'AuthorizationHeaderMalformed', message, { Region: expected.region });
  }
  const stamp = String(headers['x-amz-date']);
  verifyClock(stamp, expected.nowMs);

  const [path = '', query = ''] = request.url.split('?');
  const canonical = [
    request.method,
    path,
    query
      .split('&')
      .filter((pair) => pair !== '')
      .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
      .sort()
      .join('&'),
    ...names.split(';').map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    names,
    String(headers['x-amz-content-sha256']),
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical).digest('hex')].join(
    '\n',
  );
  let key: Buffer | string = `AWS4${expected.secretAccessKey}`;
  for (const part of [day, region, service, 'aws4_request'])
    key = createHmac('sha256', key).update(part).digest();
  if (createHmac('sha256', key).update(text).digest('hex') !== signature) {
    const message = 'The request signature we calculated does not match the signature you provided.';
    throw new Refusal(403, 'SignatureDoesNotMatch', message);
  }
}

function verifyClock(stamp: string, nowMs: number): void {
  const sentMs = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (Math.abs(sentMs - nowMs) <= SKEW_MS) return;
  const message = 'The difference between the request time and the current time is too large.';
  const ServerTime = new Date(nowMs).toISOString();
  throw new Refusal(403, 'RequestTimeTooSkewed', message, { RequestTime: stamp, ServerTime });
}
