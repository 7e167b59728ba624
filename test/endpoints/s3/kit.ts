/** S3 endpoints with a real S3-compatible server or the double, straight or through the fault proxy, and a look at a bucket past them. */

import dns from 'node:dns';
import { S3, type S3ClientConfig } from '@aws-sdk/client-s3';
import { valuesFor } from '../../../src/config/values.ts';
import type { EndpointContext } from '../../../src/endpoints/endpoint.ts';
import { createS3, type S3Endpoint } from '../../../src/endpoints/s3/endpoint.ts';
import { s3Settings } from '../../../src/endpoints/s3/settings.ts';
import { type ContractSetup, type Outside, outsideOf } from '../../contract/endpoint.ts';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { sha256Of } from '../../support/files.ts';
import type { S3Double } from '../../support/s3-double.ts';
import { type S3Server, type S3User, startS3Server } from '../../support/s3-server.ts';

export type EndpointOptions = Partial<EndpointContext>;

/** An endpoint made as from endpoints.yaml. */
export function s3(entry: object, options: EndpointOptions = {}): S3Endpoint {
  const parsed = s3Settings(valuesFor('/', '/root')).parse(entry);
  return createS3(parsed, {
    name: 'bucket',
    dataFolder: '/nonexistent',
    env: {},
    other: (name) => Promise.reject(new Error(`there is no ${name}`)),
    warn: () => undefined,
    ...options,
  });
}

/** Where the SDK's chain looks first, and nothing of the user who runs the tests. */
function credentialsEnv(user: S3User): Readonly<Record<string, string>> {
  return {
    AWS_ACCESS_KEY_ID: user.accessKeyId,
    AWS_SECRET_ACCESS_KEY: user.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/nonexistent',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
  };
}

/** In this process. A test file is a process of its own. */
export function useCredentials(user: S3User): void {
  for (const name of ['AWS_SESSION_TOKEN', 'AWS_PROFILE', 'AWS_CA_BUNDLE']) delete process.env[name];
  Object.assign(process.env, credentialsEnv(user));
}

export function plainClient(url: string, user: S3User, more: S3ClientConfig = {}): S3 {
  return new S3({
    endpoint: url,
    region: 'us-east-1',
    credentials: user,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...more,
  });
}

/** A bucket seen past the endpoint, below a prefix that ends in `/` (or is empty). */
export function outsideOfBucket(client: S3, bucket: string, prefix: string): Outside {
  const at = (path: string) => ({ Bucket: bucket, Key: prefix + path });
  const keysBelow = async (below: string): Promise<readonly string[]> => {
    const keys: string[] = [];
    let after: string | undefined;
    do {
      const page = await client.listObjectsV2({
        Bucket: bucket,
        Prefix: prefix + below,
        EncodingType: 'url',
        ...(after === undefined ? {} : { ContinuationToken: after }),
      });
      for (const { Key = '' } of page.Contents ?? []) keys.push(decodeURIComponent(Key.replaceAll('+', ' ')));
      after = page.NextContinuationToken;
    } while (after !== undefined);
    return keys;
  };
  const write = async (path: string, content: string | Buffer, mtimeMs?: number): Promise<void> => {
    const Metadata = mtimeMs === undefined ? {} : { mtime: String(mtimeMs / 1000) };
    await client.putObject({ ...at(path), Body: content, Metadata });
  };
  return {
    tree: async () => (await keysBelow('')).map((key) => key.slice(prefix.length)).sort(),
    sha256: async (path) => {
      const answer = await client.getObject(at(path)).catch(() => undefined);
      return answer === undefined ? undefined : sha256Of((await answer.Body?.transformToByteArray()) ?? '');
    },
    stat: async (path) => {
      const head = await client.headObject(at(path)).catch(() => undefined);
      if (head === undefined) return undefined;
      const mtime = head.Metadata?.mtime;
      const mtimeMs = mtime === undefined ? (head.LastModified?.getTime() ?? 0) : Number(mtime) * 1000;
      return { sizeBytes: head.ContentLength ?? 0, mtimeMs, mode: 0 };
    },
    write,
    replace: write,
    remove: async (path) => {
      const keys = [
        ...(await keysBelow(path === '' ? '' : `${path}/`)),
        ...(path === '' ? [] : [prefix + path]),
      ];
      const waiting = keys.values();
      const work = async (): Promise<void> => {
        for (const Key of waiting) await client.deleteObject({ Bucket: bucket, Key });
      };
      await Promise.all(Array.from({ length: 16 }, work));
    },
    mkdir: async () => undefined,
    below: (path) => outsideOfBucket(client, bucket, `${prefix}${path}/`),
  };
}

/**
 * The double under a name of AWS, which is what tells the endpoint that S3 itself is at the other end. Such names are
 * resolved to loopback in this process from then on.
 */
export function awsUrl(double: S3Double): string {
  const known = dns.lookup;
  const lookup = (...[host, ...rest]: Parameters<typeof known>) =>
    known(host.endsWith('.amazonaws.com') ? '127.0.0.1' : host, ...rest);
  if (!isLocal) dns.lookup = Object.assign(lookup, known);
  isLocal = true;
  return `http://s3.${double.region}.amazonaws.com:${double.port}`;
}
let isLocal = false;

/** Multipart uploads that are not ended, by key. */
export async function openUploads(client: S3, bucket: string): Promise<readonly string[]> {
  const { Uploads } = await client.listMultipartUploads({ Bucket: bucket });
  return (Uploads ?? []).map(({ Key = '' }) => Key);
}

export const BUCKET = 'test-bucket';
export { outsideOf };

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_IN_XML = /[\0-\x08\x0b\x0c\x0e-\x1f]/;

export interface BucketSite extends AsyncDisposable {
  readonly server: S3Server;
  readonly client: S3;
  /** For Ferry as a process of its own. */
  readonly env: Readonly<Record<string, string>>;
}

/** radosgw with an empty bucket. */
export async function bucketSite(): Promise<BucketSite> {
  await using undo = new AsyncDisposableStack();
  const server = undo.use(await startS3Server());
  const client = undo.adopt(plainClient(server.url, server.user), (made) => made.destroy());
  await client.createBucket({ Bucket: BUCKET });
  const owned = undo.move();
  return {
    server,
    client,
    env: credentialsEnv(server.user),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What the contract suite needs, on radosgw. */
export async function contractSetup(entry: object = {}): Promise<ContractSetup> {
  await using undo = new AsyncDisposableStack();
  const { server, client } = undo.use(await bucketSite());
  useCredentials(server.user);
  await forbid(client, 'data/closed/*');
  const proxy = undo.use(await startFaultProxy({ port: server.port }));
  const outside = outsideOfBucket(client, BUCKET, 'data/');
  const base = { bucket: BUCKET, prefix: 'data/', ...entry };
  const owned = undo.move();
  return {
    endpoint: s3({ ...base, endpointUrl: server.url }),
    folder: '/base',
    outside: outside.below('base'),
    flat: true,
    datesFiles: true,
    refusesName: (name) => NOT_IN_XML.test(name),
    forbidden: '/closed',
    cut: cutOff(proxy, s3({ ...base, endpointUrl: `http://127.0.0.1:${proxy.port}`, partSize: '5MiB' })),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Nobody may write there, not even the bucket's owner. */
async function forbid(client: S3, keys: string): Promise<void> {
  const statement = {
    Effect: 'Deny',
    Principal: '*',
    Action: ['s3:PutObject'],
    Resource: [`arn:aws:s3:::${BUCKET}/${keys}`],
  };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await client.putBucketPolicy({ Bucket: BUCKET, Policy });
}

/** A single lost connection costs nothing here, so the server goes away as a whole, until the next session asks for it. */
function cutOff(proxy: FaultProxy, endpoint: S3Endpoint): NonNullable<ContractSetup['cut']> {
  let cutting: NodeJS.Timeout | undefined;
  return {
    endpoint: {
      name: endpoint.name,
      kind: endpoint.kind,
      address: endpoint.address,
      capabilities: endpoint.capabilities,
      connections: endpoint.connections,
      idleMs: endpoint.idleMs,
      probe: (folder, options) => endpoint.probe(folder, options),
      connect: async (signal) => {
        await proxy.up();
        return await endpoint.connect(signal);
      },
    },
    afterBytes: (bytes) => {
      const until = proxy.counts.bytesUp + bytes;
      clearInterval(cutting);
      cutting = setInterval(() => {
        if (proxy.counts.bytesUp < until) return;
        clearInterval(cutting);
        void proxy.down();
        proxy.cutAll('rst');
      }, 1);
    },
    sentBytes: () => proxy.counts.bytesUp,
  };
}
