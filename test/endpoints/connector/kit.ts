/**
 * Connector endpoints over the double of the Transfer API, which really moves files from an S3 server to an OpenSSH
 * server, and a look at both ends past them.
 */

import type { S3 } from '@aws-sdk/client-s3';
import { valuesFor } from '../../../src/config/values.ts';
import { type ConnectorEndpoint, createConnector } from '../../../src/endpoints/connector/endpoint.ts';
import { connectorSettings } from '../../../src/endpoints/connector/settings.ts';
import type { EndpointContext } from '../../../src/endpoints/endpoint.ts';
import { type ContractSetup, type Outside, outsideOf } from '../../contract/endpoint.ts';
import { startS3Double } from '../../support/s3-double.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { startTransferApi, type TransferApi, type TransferApiOptions } from '../../support/transfer-api.ts';
import { outsideOfBucket, plainClient, s3, useCredentials } from '../s3/kit.ts';

export const calm = { signal: new AbortController().signal };

/** Quick, for tests that make hundreds of calls. */
const QUICK = { others: 0 };
const QUICK_RATES = {};

export interface Partner extends AsyncDisposable {
  readonly server: Sshd;
  readonly api: TransferApi;
  readonly client: S3;
  readonly bucketName: string;
  /** Of the S3 server. */
  readonly s3Url: string;
  /** What is in the bucket. */
  readonly bucket: Outside;
  /** The partner's files. */
  readonly outside: Outside;
  /** What was warned of. */
  readonly warnings: string[];
  /** An endpoint made as from endpoints.yaml; closed with the rest. */
  endpoint(entry?: object, options?: Partial<EndpointContext>): ConnectorEndpoint;
}

export interface PartnerOptions {
  /** Default: the double of S3, which is quick. */
  readonly storage?: 'double' | 'radosgw';
  /** Calls are paced and throttled as at AWS. */
  readonly asAtAws?: boolean;
  readonly connector?: TransferApiOptions['connector'];
}

export async function startPartner(options: PartnerOptions = {}): Promise<Partner> {
  const { asAtAws = false, connector } = options;
  await using undo = new AsyncDisposableStack();
  const storage = undo.use(await (options.storage === 'radosgw' ? startS3Server() : startS3Double()));
  useCredentials(storage.user);
  const { region } = storage;
  const client = undo.adopt(plainClient(storage.url, storage.user, { region }), (made) => made.destroy());
  const bucketName = 'bucket' in storage ? storage.bucket : 'staging-bucket';
  if (!('bucket' in storage)) await client.createBucket({ Bucket: bucketName });
  const server = undo.use(await startSshd({ hostKeys: ['rsa', 'ecdsa'], config: ['MaxStartups 100'] }));
  const api = undo.use(
    await startTransferApi({
      s3: storage,
      server,
      ...(asAtAws ? {} : { rates: QUICK_RATES }),
      ...(connector === undefined ? {} : { connector }),
    }),
  );
  process.env.AWS_ENDPOINT_URL_TRANSFER = api.url;
  process.env.AWS_ENDPOINT_URL_S3 = storage.url;
  process.env.AWS_REGION = api.region;
  const warnings: string[] = [];
  const stack = undo.move();
  return {
    server,
    api,
    client,
    bucketName,
    s3Url: storage.url,
    bucket: outsideOfBucket(client, bucketName, ''),
    outside: outsideOf(server.folder),
    warnings,
    endpoint: (entry = {}, more = {}) => {
      const parsed = connectorSettings(valuesFor('/', '/root')).parse({
        connector: api.connectorId,
        staging: { bucket: bucketName },
        poll: '20ms',
        listingTimeout: '60s',
        ...entry,
      });
      const context: EndpointContext = {
        name: 'partner',
        dataFolder: '/nonexistent',
        env: { AWS_ENDPOINT_URL_TRANSFER: api.url, AWS_ENDPOINT_URL_S3: storage.url },
        other: (name) => Promise.reject(new Error(`there is no ${name}`)),
        warn: (message) => void warnings.push(message),
        ...more,
      };
      const openS3 = async (given: object, own: EndpointContext) => s3(given, own);
      const made = createConnector(parsed, context, openS3, asAtAws ? undefined : QUICK);
      stack.defer(() => made.close());
      return made;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_CARRIED = /[\0-\x08\n-\x1f]/;

/** What the contract suite needs. */
export async function contractSetup(
  entry: (server: Sshd) => object,
  options: PartnerOptions = {},
): Promise<ContractSetup> {
  await using undo = new AsyncDisposableStack();
  const partner = undo.use(await startPartner(options));
  for (const folder of ['base', 'temp', 'closed']) await partner.outside.mkdir(folder);
  const { symlink: _, ...outside } = partner.outside.below('base');
  const owned = undo.move();
  return {
    // It looks into a folder that is not there, and nothing but time tells that of a listing.
    endpoint: partner.endpoint({ listingTimeout: '8s', ...entry(partner.server) }),
    folder: `${partner.server.folder}/base`,
    outside,
    takesOnly: true,
    makesNoFolders: true,
    largeBytes: 40e6,
    refusesName: (name) => NOT_CARRIED.test(name),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
