/**
 * Checks AWS Signature Version 4 as a service does, from the specification and with Node's own crypto: what the SDK
 * signed is judged by something that shares no code with it.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface SignedRequest {
  readonly method: string;
  /** Path and query as they were received. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Keys {
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface Expected {
  readonly service: string;
  readonly region: string;
  /** By access key id. */
  readonly keys: ReadonlyMap<string, Keys>;
  readonly now: number;
}

/** @returns the access key id, or AWS's code for what is wrong */
export function verify(
  request: SignedRequest,
  expected: Expected,
): { readonly id: string } | { readonly code: string } {
  const url = new URL(request.target, 'http://host');
  const inQuery = url.searchParams.has('X-Amz-Signature');
  const parts = inQuery ? fromQuery(url.searchParams) : fromHeader(request.headers);
  if (parts === undefined) return { code: 'MissingAuthenticationToken' };
  const [id = '', date = '', region = '', service = '', end = ''] = parts.credential.split('/');
  const keys = expected.keys.get(id);
  if (keys === undefined) return { code: 'UnrecognizedClientException' };
  if (
    service !== expected.service ||
    region !== expected.region ||
    end !== 'aws4_request' ||
    !parts.time.startsWith(date)
  )
    return { code: 'SignatureDoesNotMatch' };
  const ageSeconds = (expected.now - timeOf(parts.time)) / 1000;
  if (Math.abs(ageSeconds) > 300 || ageSeconds > parts.validSeconds) return { code: 'RequestExpired' };
  if (parts.token !== keys.sessionToken) return { code: 'UnrecognizedClientException' };
  if (!parts.signed.includes('host')) return { code: 'SignatureDoesNotMatch' };

  const query = [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .sort();
  const headers = parts.signed.map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`);
  const canonical = [
    ...[request.method, url.pathname, query.join('&'), headers.join(''), parts.signed.join(';')],
    sha256(request.body),
  ].join('\n');
  const scope = [date, region, service, end];
  const text = ['AWS4-HMAC-SHA256', parts.time, scope.join('/'), sha256(canonical)].join('\n');
  const key = scope.reduce<Buffer>(
    (below, part) => hmac(below, part),
    Buffer.from(`AWS4${keys.secretAccessKey}`),
  );
  const right = hmac(key, text);
  const given = Buffer.from(parts.signature, 'hex');
  return given.length === right.length && timingSafeEqual(given, right)
    ? { id }
    : { code: 'SignatureDoesNotMatch' };
}

interface Parts {
  readonly credential: string;
  readonly signed: readonly string[];
  readonly signature: string;
  readonly time: string;
  readonly token: string | undefined;
  readonly validSeconds: number;
}

function fromQuery(query: URLSearchParams): Parts {
  return {
    credential: query.get('X-Amz-Credential') ?? '',
    signed: (query.get('X-Amz-SignedHeaders') ?? '').split(';'),
    signature: query.get('X-Amz-Signature') ?? '',
    time: query.get('X-Amz-Date') ?? '',
    token: query.get('X-Amz-Security-Token') ?? undefined,
    validSeconds: Number(query.get('X-Amz-Expires')),
  };
}

function fromHeader(headers: IncomingHttpHeaders): Parts | undefined {
  const [, credential, signed, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]+)$/.exec(
      headers.authorization ?? '',
    ) ?? [];
  if (credential === undefined || signed === undefined || signature === undefined) return undefined;
  const token = headers['x-amz-security-token'];
  return {
    credential,
    signed: signed.split(';'),
    signature,
    time: String(headers['x-amz-date']),
    token: token === undefined ? undefined : String(token),
    validSeconds: 300,
  };
}

/** `20260102T030405Z` */
function timeOf(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
