/**
 * PutObject for small files without the layers of the SDK, which cost several times what such a request itself does.
 *
 * Where to, and for which region to sign, is learned from what the SDK has asked: the listing by which a session begins, or
 * a PutObject where that is not allowed. Only success counts, and that a condition does not hold: whatever else is
 * answered, the SDK asks again and deals with it (redirects, retries, clocks, refusals).
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */

import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import type { PutObjectCommandInput, S3 } from '@aws-sdk/client-s3';
import { isPreconditionFailed } from './answer.ts';
import type { Stored } from './job.ts';
import { isSilence } from './retry.ts';

/** Above, the body costs more than the layers. */
const LARGEST = 1024 * 1024;

type Handler = S3['config']['requestHandler'];
type Request = Parameters<Handler['handle']>[0];

/** What a request to this bucket is like. */
interface Template {
  readonly request: Request;
  /** The path before the key. */
  readonly base: string;
  readonly region: string;
}

/** A key that signs one day's requests. */
interface SigningKey {
  readonly name: string;
  /** Not its bytes: with those, each signature takes three times as long. */
  readonly key: KeyObject;
}

export interface Small extends PutObjectCommandInput {
  readonly Key: string;
  readonly Body: Buffer;
  /** Base64. */
  readonly ChecksumSHA256: string;
}

export class QuickPut {
  readonly #s3: S3;
  readonly #sendsChecksums: () => boolean;
  #template: Template | undefined;
  #signing: SigningKey | undefined;

  /** @param sendsChecksums S3 gets them to verify and keep */
  constructor(s3: S3, sendsChecksums: () => boolean) {
    this.#s3 = s3;
    this.#sendsChecksums = sendsChecksums;
    const keys = new WeakMap<object, string>();
    s3.middlewareStack.add(
      (next, context) => (call) => {
        if (context.commandName === 'ListObjectsV2Command') keys.set(context, '');
        else if (context.commandName === 'PutObjectCommand' && 'Key' in call.input)
          keys.set(context, String(call.input.Key));
        return next(call);
      },
      { step: 'initialize', name: 'ferryQuickPutKey' },
    );
    s3.middlewareStack.add(
      (next, context) => async (call) => {
        const answered = await next(call);
        const key = keys.get(context);
        if (key !== undefined && isSuccess(answered.response) && isRequest(call.request))
          this.#learn(call.request, key);
        return answered;
      },
      { step: 'deserialize', priority: 'low', name: 'ferryQuickPut' },
    );
  }

  /** Undefined: it is the SDK's to do. @throws the SDK's errors on abort, and when there was no sign of life */
  async put(input: Small, abortSignal: AbortSignal): Promise<Stored | undefined> {
    const template = this.#template;
    if (template === undefined || input.Body.length > LARGEST) return undefined;
    const request = await this.#request(template, input);
    try {
      const { response } = await this.#s3.config.requestHandler.handle(request, { abortSignal });
      for await (const _ of response.body ?? []); // so that the connection may be used again
      if (response.statusCode === 412) throw taken();
      if (!isSuccess(response)) return undefined;
      const { headers } = response;
      return {
        ETag: headers.etag,
        VersionId: headers['x-amz-version-id'],
        ChecksumSHA256: headers[CHECKSUM],
      };
    } catch (error) {
      if (abortSignal.aborted || isSilence(error) || isPreconditionFailed(error)) throw error;
      return undefined;
    }
  }

  #learn(request: Request, key: string): void {
    const path = encodeKey(key);
    // S3 Express signs for a session, a multi-region access point for all regions: those are left to the SDK.
    const region = /Credential=[^/]+\/\d{8}\/([^/]+)\/s3\/aws4_request/.exec(
      request.headers.authorization ?? '',
    )?.[1];
    if (region === undefined || !request.path.endsWith(path)) return;
    const base = request.path.slice(0, request.path.length - path.length);
    this.#template = { request, region, base: base.endsWith('/') ? base : `${base}/` };
  }

  async #request(template: Template, input: Small): Promise<Request> {
    const { accessKeyId, secretAccessKey, sessionToken } = await this.#s3.config.credentials();
    const date = new Date(Date.now() + this.#s3.config.systemClockOffset);
    const stamp = date.toISOString().replace(/[-:]|\.\d+/g, '');
    const payload = Buffer.from(input.ChecksumSHA256, 'base64').toString('hex');
    const path = template.base + encodeKey(input.Key);
    const headers: Record<string, string> = {
      host: template.request.headers.host ?? '',
      'content-length': String(input.Body.length),
      'content-type': 'application/octet-stream',
      'x-amz-content-sha256': payload,
      'x-amz-date': stamp,
      ...(sessionToken === undefined ? {} : { 'x-amz-security-token': sessionToken }),
      ...(this.#sendsChecksums() ? { [CHECKSUM]: input.ChecksumSHA256 } : {}),
      ...headersOf(input),
    };
    const names = Object.keys(headers).sort();
    const lines = names.map((name) => `${name}:${headers[name]}\n`).join('');
    const canonical = `PUT\n${path}\n\n${lines}\n${names.join(';')}\n${payload}`;
    const scope = `${stamp.slice(0, 8)}/${template.region}/s3/aws4_request`;
    const text = `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${hash('sha256', canonical)}`;
    const signature = createHmac('sha256', this.#keyFor(scope, secretAccessKey)).update(text).digest('hex');
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
    headers['user-agent'] = template.request.headers['user-agent'] ?? '';
    const request = template.request.clone();
    request.method = 'PUT';
    request.path = path;
    request.query = {};
    request.headers = headers;
    request.body = input.Body;
    return request;
  }

  #keyFor(scope: string, secret: string): KeyObject {
    const name = `${scope} ${secret}`;
    if (this.#signing?.name !== name) {
      const steps = scope.split('/');
      const key = steps.reduce<Buffer | string>(
        (last, step) => createHmac('sha256', last).update(step).digest(),
        `AWS4${secret}`,
      );
      this.#signing = { name, key: createSecretKey(Buffer.from(key)) };
    }
    return this.#signing.key;
  }
}

const CHECKSUM = 'x-amz-checksum-sha256';

/** What `bucket.storing`, a condition and the metadata become. */
function headersOf(input: Small): Record<string, string> {
  const named = {
    'if-none-match': input.IfNoneMatch,
    'x-amz-storage-class': input.StorageClass,
    'x-amz-server-side-encryption': input.ServerSideEncryption,
    'x-amz-server-side-encryption-aws-kms-key-id': input.SSEKMSKeyId,
  };
  const metadata = Object.entries(input.Metadata ?? {}).map(
    ([name, value]) => [`x-amz-meta-${name}`, value] as const,
  );
  const given = Object.entries(named).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return Object.fromEntries([...given, ...metadata]);
}

/** As a path and as a canonical URI: all but unreserved characters (RFC 3986, section 2.3) and the slashes between names. */
function encodeKey(key: string): string {
  return key
    .split('/')
    .map((name) =>
      encodeURIComponent(name).replace(
        /[!'()*]/g,
        (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
      ),
    )
    .join('/');
}

/** As the SDK's errors are. */
function taken(): Error {
  const message = 'At least one of the pre-conditions you specified did not hold';
  return Object.assign(new Error(message), {
    name: 'PreconditionFailed',
    $metadata: { httpStatusCode: 412 },
  });
}

function isSuccess(response: unknown): boolean {
  return (
    typeof response === 'object' &&
    response !== null &&
    'statusCode' in response &&
    response.statusCode === 200
  );
}

function isRequest(request: unknown): request is Request {
  return (
    typeof request === 'object' &&
    request !== null &&
    'clone' in request &&
    'path' in request &&
    'headers' in request
  );
}
