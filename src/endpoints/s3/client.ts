/**
 * The SDK's client as this endpoint wants it: one pool of connections, no waiting without end, few retries of its own,
 * and checksums in headers rather than in trailers. The SDK is loaded here, when the first connection is made.
 *
 * A body's SHA-256 is computed once, by whoever made the body (`ChecksumSHA256`). It goes out as the payload hash that
 * the signature covers, which every server checks, and as `x-amz-checksum-sha256`, which S3 checks and keeps. The
 * SDK's own way (CRC32 in a trailer of an aws-chunked body) breaks S3-compatible servers: s3rver stores the trailer,
 * radosgw 16 answers 411.
 */

import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { S3, S3ClientConfig } from '@aws-sdk/client-s3';
import { Renewal } from '../../roads/aws/renewal.ts';
import { QuickPut } from './quick-put.ts';
import { quickRetries } from './retry.ts';
import type { S3Settings } from './settings.ts';

const CHECKSUM_HEADER = 'x-amz-checksum-sha256';
const PAYLOAD_HEADER = 'x-amz-content-sha256';
/** A connection idle for so long is closed before the far side, or a firewall, forgets it. */
const IDLE_MS = 20_000;
const AWS_HOST = /\.(amazonaws\.com(\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)$/;

export interface Client extends Disposable {
  readonly s3: S3;
  readonly quickPut: QuickPut;
  readonly renewal: Renewal;
  /** To which requests went so far: known after the first. */
  readonly host: string | undefined;
  /** Requests go to AWS itself. */
  readonly isAws: boolean;
  /** S3 gets checksums to verify and keep. */
  readonly sendsChecksums: boolean;
}

export interface ClientOptions {
  readonly settings: S3Settings;
  /** AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is set: the SDK reads it by itself. */
  readonly elsewhere: boolean;
  readonly random: () => number;
  /** Told what the SDK would have a person know. */
  readonly warn: (message: string) => void;
}

export async function openClient(options: ClientOptions): Promise<Client> {
  const sdk = await import('@aws-sdk/client-s3');
  const { settings } = options;
  const agent = { keepAlive: true, scheduling: 'lifo', timeout: IDLE_MS } as const;
  // An import would load all that these can do, WebSockets too: 20 ms.
  const [http, https] = [process.getBuiltinModule('node:http'), process.getBuiltinModule('node:https')];
  const agents = { httpAgent: new http.Agent(agent), httpsAgent: new https.Agent(agent) };
  const config = configFor(options, agents);
  const elsewhere = settings.endpointUrl !== undefined || options.elsewhere;
  let s3 = new sdk.S3(config);
  // S3-compatible servers know one region or none: only there is a default no guess.
  if (elsewhere && !(await hasRegion(s3))) s3 = new sdk.S3({ ...config, region: 'us-east-1' });

  let host: string | undefined;
  const isAws = (): boolean => host !== undefined && AWS_HOST.test(host);
  const sendsChecksums = (): boolean =>
    settings.checksums === undefined ? isAws() : settings.checksums === 'when_supported';
  s3.middlewareStack.add(
    (next) => (call) => {
      if (isRequest(call.request)) {
        host = call.request.hostname;
        signPayload(call.request.headers, sendsChecksums());
      }
      return next(call);
    },
    { step: 'build', priority: 'low', name: 'ferryPayload' },
  );
  return {
    s3,
    quickPut: new QuickPut(s3, sendsChecksums),
    renewal: new Renewal(s3.config),
    get host() {
      return host;
    },
    get isAws() {
      return isAws();
    },
    get sendsChecksums() {
      return sendsChecksums();
    },
    [Symbol.dispose]: () => {
      s3.destroy();
      agents.httpAgent.destroy();
      agents.httpsAgent.destroy();
    },
  };
}

function configFor(
  { settings, elsewhere, random, warn }: ClientOptions,
  agents: { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent },
): S3ClientConfig {
  const { region, profile, endpointUrl } = settings;
  // The SDK would keep ~/.aws/credentials for ever as it first read it; the credential providers take this from the
  // client's configuration.
  const fresh: object = { ignoreCache: true };
  return {
    ...fresh,
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
    ...(endpointUrl === undefined ? {} : { endpoint: endpointUrl }),
    logger: { ...SILENT, warn: (text: unknown) => warn(oneLine(String(text))) },
    forcePathStyle: settings.forcePathStyle ?? (endpointUrl !== undefined || elsewhere),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // It would open a connection of its own for each body.
    expectContinueHeader: false,
    retryStrategy: quickRetries(random),
    requestHandler: {
      ...agents,
      connectionTimeout: settings.connectTimeout,
      socketTimeout: settings.timeout,
      socketAcquisitionWarningTimeout: 2 ** 31 - 1,
      logger: SILENT,
    },
  };
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** The SDK would write to the terminal. */
const nothing = (): void => undefined;
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

async function hasRegion(s3: S3): Promise<boolean> {
  return await s3.config.region().then(
    () => true,
    () => false,
  );
}

interface Request {
  readonly hostname: string;
  readonly headers: Record<string, string>;
}

function isRequest(request: unknown): request is Request {
  return typeof request === 'object' && request !== null && 'hostname' in request && 'headers' in request;
}

function signPayload(headers: Record<string, string>, sendChecksum: boolean): void {
  const sha256 = headers[CHECKSUM_HEADER];
  if (sha256 === undefined) return;
  headers[PAYLOAD_HEADER] = Buffer.from(sha256, 'base64').toString('hex');
  if (!sendChecksum) delete headers[CHECKSUM_HEADER];
}
