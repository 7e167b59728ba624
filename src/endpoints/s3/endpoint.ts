/** An S3 bucket, at AWS or at a server that speaks as S3 does, as an endpoint. Loads no SDK until it connects. */

import { throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import {
  type Capabilities,
  type Endpoint,
  type EndpointContext,
  type ProbeOptions,
  type ProbeStep,
  type S3Object,
  SERVER_CLOCK_SKEW_MS,
} from '../endpoint.ts';
import { Bucket } from './bucket.ts';
import { openClient } from './client.ts';
import { keyOf } from './keys.ts';
import { Memory } from './memory.ts';
import { probe } from './probe.ts';
import { reach } from './reach.ts';
import { S3Session } from './session.ts';
import type { S3Settings } from './settings.ts';

/** @param settings what `s3Settings` made of an entry in endpoints.yaml */
export function createS3(settings: S3Settings, context: EndpointContext): S3Endpoint {
  return new S3Endpoint(settings, context);
}

export class S3Endpoint implements Endpoint {
  readonly kind = 's3';
  readonly name: string;
  readonly address: string;
  /** One session has all the requests in flight that `connections` allows. */
  readonly connections = 1;
  readonly idleMs = 60_000;
  readonly capabilities: Capabilities;
  readonly settings: S3Settings;
  readonly #context: EndpointContext;
  readonly #memory: Memory;

  constructor(settings: S3Settings, context: EndpointContext) {
    const { bucket, prefix, region, endpointUrl } = settings;
    this.settings = settings;
    this.name = context.name;
    const where = [region, endpointUrl].filter((part) => part !== undefined).join(', ');
    this.address = `s3 ${bucket}/${prefix}${where === '' ? '' : ` (${where})`}`;
    this.capabilities = capabilitiesOf(settings);
    this.#context = context;
    this.#memory = new Memory(settings, { warn: (message) => context.warn(message), now: Date.now });
  }

  async connect(signal: AbortSignal): Promise<S3Session> {
    throwIfAborted(signal);
    const bucket = await this.open();
    try {
      await reach(bucket, signal);
      return new S3Session(bucket, this.capabilities);
    } catch (error) {
      bucket.client[Symbol.dispose]();
      throw error;
    }
  }

  /** The bucket over a client of its own, which has asked for nothing yet; the caller's to dispose of. */
  async open(): Promise<Bucket> {
    const { settings, name } = this;
    const { env, warn } = this.#context;
    const elsewhere = Boolean(env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL);
    const client = await openClient({ settings, elsewhere, random: Math.random, warn });
    const profile = settings.profile ?? env.AWS_PROFILE;
    return new Bucket({ name, settings, profile, client, memory: this.#memory });
  }

  objectAt(path: FilePath): S3Object {
    const { bucket, prefix } = this.settings;
    return { bucket, key: keyOf(prefix, path) };
  }

  probe(folder: FilePath, options: ProbeOptions): AsyncIterable<ProbeStep> {
    return probe(this, folder, options);
  }
}

function capabilitiesOf({ connections }: S3Settings): Capabilities {
  return {
    atomicRename: false,
    commitsAtClose: true,
    filesInFlight: connections,
    resume: true,
    positionalWrites: false,
    checksum: 'service',
    // As metadata: S3 dates its objects itself.
    setsMtime: true,
    asynchronous: false,
    byteNames: false,
    clockSkewMs: SERVER_CLOCK_SKEW_MS,
  };
}
