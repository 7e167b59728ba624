/**
 * Looks at AWS Signature Version 4 in the header of a JSON request: who, where, when, and whether the signature fits.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */

import { createHash, createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from './refusal.ts';

export interface Expected {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  /** Of the server's clock, ms since the epoch. */
  readonly nowMs: number;
}

const SKEW_MS = 5 * 60_000;

/** @throws Refusal as the service refuses it */
export function verifySignature(headers: IncomingHttpHeaders, body: Buffer, expected: Expected): void {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
  if (match === null)
    throw new Refusal('MissingAuthenticationTokenException', 'Missing Authentication Token');
  const [, id = '', day = '', region = '', service = '', names = '', signature] = match;
  if (id !== expected.accessKeyId)
    throw new Refusal(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  if (region !== expected.region || service !== 'transfer')
    throw new Refusal(
      'InvalidSignatureException',
      `Credential should be scoped to a valid region, not '${region}'.`,
    );
  const stamp = String(headers['x-amz-date']);
  verifyClock(stamp, expected.nowMs);
  for (const name of ['host', 'x-amz-date', 'x-amz-target'])
    if (!names.split(';').includes(name))
      throw new Refusal('InvalidSignatureException', `'${name}' must be a 'SignedHeader'.`);
  const digest = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');
  const canonical = [
    'POST',
    '/',
    '',
    ...names.split(';').map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    names,
    digest(body),
  ].join('\n');
  const text = [
    'AWS4-HMAC-SHA256',
    stamp,
    `${day}/${region}/${service}/aws4_request`,
    digest(canonical),
  ].join('\n');
  let key: Buffer | string = `AWS4${expected.secretAccessKey}`;
  for (const part of [day, region, service, 'aws4_request'])
    key = createHmac('sha256', key).update(part).digest();
  if (createHmac('sha256', key).update(text).digest('hex') !== signature) {
    const message = 'The request signature we calculated does not match the signature you provided.';
    throw new Refusal('InvalidSignatureException', message);
  }
}

function verifyClock(stamp: string, nowMs: number): void {
  const sentMs = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (sentMs < nowMs - SKEW_MS)
    throw new Refusal(
      'InvalidSignatureException',
      `Signature expired: ${stamp} is now earlier than the allowed time`,
    );
  if (sentMs > nowMs + SKEW_MS)
    throw new Refusal(
      'InvalidSignatureException',
      `Signature not yet current: ${stamp} is still later than the allowed time`,
    );
}
