/**
 * A small double of S3 over node:http for what no server that can be had does: it verifies additional checksums, in
 * headers and in trailers, heeds conditions on every write and removal, knows its region, its clock and who may do what,
 * and can be told to fail: with any status, in the middle of an upload, by cutting a connection. One bucket, path-style.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { CHECKSUMS, unchunk } from './s3-double/checksums.ts';
import { answer } from './s3-double/operations.ts';
import { Refusal } from './s3-double/refusal.ts';
import { type Expected, verifySignature } from './s3-double/sigv4.ts';
import { Store } from './s3-double/store.ts';
import type { S3User } from './s3-server.ts';

export interface DoubleRequest {
  /** As the API calls it: `PutObject`. */
  readonly operation: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export type DoubleFault =
  | { readonly refuse: Refusal }
  /** Answered before the body was read, and the connection closed, as S3 does. */
  | { readonly refuseEarly: Refusal }
  /** The connection is cut after so many bytes of the body. */
  | { readonly cutAfterBytes: number }
  /** It is done, and the answer is lost. */
  | { readonly loseAnswer: true }
  /** Other bytes are stored than came, without a word: s3rver keeps the trailer of an aws-chunked body. */
  | { readonly store: (body: Buffer) => Buffer }
  /** Other bytes are sent than are stored. */
  | { readonly serve: (body: Buffer) => Buffer }
  /** It heeds neither hashes nor conditions. */
  | { readonly careless: true }
  /** The body changes on its way. */
  | { readonly damage: true }
  /** No answer, ever. */
  | { readonly hang: true };

export interface S3Double extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly bucket: string;
  readonly region: string;
  readonly user: S3User;
  readonly store: Store;
  /** Every request that was understood, oldest first. */
  readonly requests: readonly DoubleRequest[];
  /** The next requests for that operation (after `skip` others) meet this, `times` times. */
  fail(
    operation: string,
    fault: DoubleFault,
    options?: { readonly times?: number; readonly skip?: number },
  ): void;
  /** Nothing fails any more. */
  recover(): void;
  /** IAM actions that are denied: `s3:PutObject`. */
  readonly denied: Set<string>;
  /** How far its clock is ahead. */
  clockMs: number;
  /** A session token that has expired. */
  expiredToken: string | undefined;
}

interface Planned {
  readonly operation: string;
  readonly fault: DoubleFault;
  skip: number;
  times: number;
}

export const DOUBLE_REGION = 'eu-central-1';
export const DOUBLE_BUCKET = 'double-bucket';

export async function startS3Double(): Promise<S3Double> {
  const user = { accessKeyId: 'AKDOUBLE', secretAccessKey: 'the secret of the double' };
  const store = new Store();
  const requests: DoubleRequest[] = [];
  const planned: Planned[] = [];
  const denied = new Set<string>();
  const clock = { aheadMs: 0, expiredToken: undefined as string | undefined };
  const now = (): number => Date.now() + clock.aheadMs;

  const plan = (operation: string): DoubleFault | undefined => {
    for (const each of planned) {
      if (each.operation !== operation || each.times === 0) continue;
      if (each.skip > 0) each.skip -= 1;
      else {
        each.times -= 1;
        return each.fault;
      }
    }
    return undefined;
  };

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { socket } = incoming;
    const target = targetOf(incoming);
    const fault = plan(target.operation);
    if (fault !== undefined && 'refuseEarly' in fault) {
      requests.push({ ...target, body: Buffer.alloc(0) });
      refuse(response, fault.refuseEarly, { connection: 'close' });
      response.once('finish', () => socket.end());
      return;
    }
    const cutAfter = fault !== undefined && 'cutAfterBytes' in fault ? fault.cutAfterBytes : undefined;
    const raw = await bodyOf(incoming, cutAfter);
    if (raw === undefined) return;
    if (fault !== undefined && 'damage' in fault && raw.length > 0) raw[0] = (raw[0] ?? 0) ^ 0xff;
    const expected: Expected = {
      ...user,
      expiredToken: clock.expiredToken,
      region: DOUBLE_REGION,
      nowMs: now(),
    };
    try {
      const careless = fault !== undefined && 'careless' in fault;
      const request = careless
        ? { ...target, headers: {}, body: raw }
        : { ...target, body: verified(target.headers, raw) };
      requests.push(request);
      if (fault !== undefined && 'refuse' in fault) throw fault.refuse;
      verifySignature(
        { method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers },
        expected,
      );
      if (fault !== undefined && 'hang' in fault) return;
      if (target.bucket !== DOUBLE_BUCKET)
        throw new Refusal(404, 'NoSuchBucket', 'The specified bucket does not exist', {
          BucketName: target.bucket,
        });
      const kept =
        fault !== undefined && 'store' in fault ? { ...request, body: fault.store(request.body) } : request;
      const { status, headers, body } = answer(store, kept, { denied, nowMs: now() });
      if (fault !== undefined && 'serve' in fault) {
        const other = fault.serve(Buffer.from(body));
        response.writeHead(status, { ...headers, 'content-length': other.length }).end(other);
        return;
      }
      if (fault !== undefined && 'loseAnswer' in fault) {
        socket.resetAndDestroy();
        return;
      }
      response.writeHead(status, { date: new Date(now()).toUTCString(), ...headers });
      response.end(target.operation.startsWith('Head') ? undefined : body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refuse(response, error, { date: new Date(now()).toUTCString() }, target.operation.startsWith('Head'));
    }
  };

  let broken: unknown;
  const server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => {
      broken ??= error;
      response.writeHead(599).end(String(error instanceof Error ? error.stack : error));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    bucket: DOUBLE_BUCKET,
    region: DOUBLE_REGION,
    user,
    store,
    requests,
    fail: (operation, fault, { times = 1, skip = 0 } = {}) => {
      planned.push({ operation, fault, skip, times });
    },
    recover: () => {
      planned.length = 0;
    },
    denied,
    get clockMs() {
      return clock.aheadMs;
    },
    set clockMs(aheadMs) {
      clock.aheadMs = aheadMs;
    },
    get expiredToken() {
      return clock.expiredToken;
    },
    set expiredToken(token) {
      clock.expiredToken = token;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      if (broken !== undefined) throw new Error('the double itself has failed', { cause: broken });
    },
  };
}

function refuse(
  response: ServerResponse,
  refusal: Refusal,
  headers: Readonly<Record<string, string>>,
  isHead = false,
): void {
  const more = { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(refusal.xml) };
  response.writeHead(refusal.status, { ...more, ...refusal.headers, ...headers });
  response.end(isHead ? undefined : refusal.xml);
}

function targetOf(incoming: IncomingMessage) {
  const { pathname, searchParams: query } = new URL(incoming.url ?? '/', 'http://double');
  const slash = pathname.indexOf('/', 1);
  const bucket = decodeURIComponent(slash < 0 ? pathname.slice(1) : pathname.slice(1, slash));
  const key = slash < 0 ? '' : decodeURIComponent(pathname.slice(slash + 1));
  const pairs = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)] as const);
  const headers = Object.fromEntries(pairs);
  return { bucket, key, query, headers, operation: operationOf(incoming.method ?? '', key, query, headers) };
}

function operationOf(
  method: string,
  key: string,
  query: URLSearchParams,
  headers: Readonly<Record<string, string>>,
): string {
  const isCopy = headers['x-amz-copy-source'] !== undefined;
  if (key === '') {
    if (method === 'GET') return query.has('uploads') ? 'ListMultipartUploads' : 'ListObjectsV2';
    return `${method} bucket`;
  }
  switch (method) {
    case 'PUT':
      if (query.has('uploadId')) return isCopy ? 'UploadPartCopy' : 'UploadPart';
      return isCopy ? 'CopyObject' : 'PutObject';
    case 'POST':
      return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload';
    case 'GET':
      return query.has('uploadId') ? 'ListParts' : 'GetObject';
    case 'HEAD':
      return 'HeadObject';
    case 'DELETE':
      return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject';
    default:
      return method;
  }
}

/** Undefined when the connection was cut. */
async function bodyOf(
  incoming: IncomingMessage,
  cutAfterBytes: number | undefined,
): Promise<Buffer | undefined> {
  const { socket } = incoming; // gone from the message once that has ended
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (cutAfterBytes !== undefined && bytes >= cutAfterBytes) break;
    }
  } catch {
    return undefined; // the client has gone
  }
  if (cutAfterBytes === undefined) return Buffer.concat(chunks);
  socket.resetAndDestroy();
  return undefined;
}

/** The body itself. @throws Refusal when a hash that came with it is another's */
function verified(headers: Readonly<Record<string, string>>, raw: Buffer): Buffer {
  const payload = headers['x-amz-content-sha256'] ?? '';
  const chunked = payload.startsWith('STREAMING-');
  const { body, trailers } = chunked ? unchunk(raw) : { body: raw, trailers: {} };
  if (
    /^[0-9a-f]{64}$/.test(payload) &&
    Buffer.from(payload, 'hex').toString('base64') !== CHECKSUMS.sha256?.(body)
  ) {
    const message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    throw new Refusal(400, 'XAmzContentSHA256Mismatch', message);
  }
  if (chunked && Number(headers['x-amz-decoded-content-length']) !== body.length) {
    throw new Refusal(400, 'IncompleteBody', 'The request body terminated unexpectedly');
  }
  for (const [name, value] of Object.entries({ ...headers, ...trailers })) {
    const compute = CHECKSUMS[/^x-amz-checksum-(\w+)$/.exec(name)?.[1] ?? ''];
    if (compute === undefined || value.includes('-')) continue;
    if (compute(body) !== value) {
      const message = `The ${name.slice('x-amz-checksum-'.length).toUpperCase()} you specified did not match the calculated checksum.`;
      throw new Refusal(400, 'BadDigest', message);
    }
  }
  return body;
}
