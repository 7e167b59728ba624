/**
 * An SFTP connector of AWS Transfer Family as an endpoint: files go into a bucket, and from there AWS carries them to
 * the partner's server. Loads no SDK until it connects.
 */

import { randomBytes } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import {
  type CallOptions,
  type Capabilities,
  type Endpoint,
  type EndpointContext,
  type ProbeOptions,
  type ProbeStep,
  SERVER_CLOCK_SKEW_MS,
  type SeenHostKey,
} from '../endpoint.ts';
import { Api, patiently } from './api.ts';
import { Batches } from './batches.ts';
import { openClient } from './client.ts';
import type { Connector } from './connector.ts';
import { Holders } from './holders.ts';
import { hostKeys } from './hostkeys.ts';
import { Listings } from './listings.ts';
import { AWS_SPACING, Pace, type Spacing } from './pace.ts';
import { probe } from './probe.ts';
import { Results } from './results.ts';
import { ConnectorSession } from './session.ts';
import type { ConnectorSettings } from './settings.ts';
import { Staging } from './staging.ts';
import { assertUsable } from './words.ts';

/** Makes an s3 endpoint from what endpoints.yaml would say. */
export type OpenS3 = (
  entry: Readonly<Record<string, unknown>>,
  context: EndpointContext,
) => Promise<Endpoint>;

/** @param settings what `connectorSettings` made of an entry in endpoints.yaml @param spacing of the API's calls */
export function createConnector(
  settings: ConnectorSettings,
  context: EndpointContext,
  openS3: OpenS3,
  spacing: Spacing = AWS_SPACING,
): ConnectorEndpoint {
  return new ConnectorEndpoint(settings, context, openS3, spacing);
}

export class ConnectorEndpoint implements Endpoint {
  readonly kind = 'connector';
  readonly name: string;
  readonly address: string;
  /** Sessions share all there is. */
  readonly connections = 1;
  readonly idleMs = 60_000;
  readonly capabilities: Capabilities;
  readonly settings: ConnectorSettings;
  readonly #context: EndpointContext;
  readonly #openS3: OpenS3;
  readonly #spacing: Spacing;
  #connector: Promise<Connector> | undefined;

  constructor(settings: ConnectorSettings, context: EndpointContext, openS3: OpenS3, spacing: Spacing) {
    const { connector, region, staging } = settings;
    this.settings = settings;
    this.name = context.name;
    const through = typeof staging === 'string' ? staging : `s3 ${staging.bucket}/${staging.prefix}`;
    this.address = `connector ${connector}${region === undefined ? '' : ` (${region})`} through ${through}`;
    this.capabilities = capabilitiesOf(settings);
    this.#context = context;
    this.#openS3 = openS3;
    this.#spacing = spacing;
  }

  async connect(signal: AbortSignal): Promise<ConnectorSession> {
    throwIfAborted(signal);
    const connector = await this.open();
    // Throttled for a moment, it is not one that cannot be reached.
    assertUsable(this.name, await patiently(signal, () => connector.api.describe(signal)));
    await connector.staging.reach(signal);
    return new ConnectorSession(connector, this.capabilities);
  }

  /** What all sessions share; it has asked for nothing yet. */
  open(): Promise<Connector> {
    this.#connector ??= this.#make().catch((error: unknown) => {
      this.#connector = undefined;
      throw error;
    });
    return this.#connector;
  }

  probe(folder: FilePath, options: ProbeOptions): AsyncIterable<ProbeStep> {
    return probe(this, folder, options);
  }

  async hostKeys({ signal }: CallOptions): Promise<readonly SeenHostKey[]> {
    const { api } = await this.open();
    return await hostKeys(api, this.settings, signal);
  }

  async close(): Promise<void> {
    const connector = await this.#connector?.catch(() => undefined);
    if (connector === undefined) return;
    await connector.batches[Symbol.asyncDispose]();
    await connector.listings[Symbol.asyncDispose]();
    await connector.staging[Symbol.asyncDispose]();
    connector.api[Symbol.dispose]();
  }

  async #make(): Promise<Connector> {
    const { settings, name } = this;
    const { env, warn } = this.#context;
    const staging = await this.#openStaging();
    staging.object('x'); // that it is a bucket
    const client = await openClient(settings, Boolean(env.AWS_ENDPOINT_URL_TRANSFER ?? env.AWS_ENDPOINT_URL));
    const now = Date.now;
    // For what is over with this process: nobody sets it.
    const steady = (): number => performance.now();
    const api = new Api({
      name,
      connector: settings.connector,
      client,
      pace: new Pace({ name, spacing: this.#spacing, now: steady }),
    });
    return {
      name,
      settings,
      api,
      staging,
      batches: new Batches(api),
      results: new Results(api, settings.poll, steady),
      listings: new Listings({
        name,
        api,
        staging,
        timeoutMs: settings.listingTimeout,
        pollMs: settings.poll,
        now,
      }),
      names: new Holders(steady),
      unlistable: new Map(),
      looks: new Map(),
      now,
      nonce: () => randomBytes(4).toString('hex'),
      warn: (message) => warn(message),
    };
  }

  async #openStaging(): Promise<Staging> {
    const { staging, region, profile } = this.settings;
    if (typeof staging !== 'string') {
      const entry = {
        ...staging,
        ...(region === undefined ? {} : { region }),
        ...(profile === undefined ? {} : { profile }),
      };
      return new Staging({ endpoint: await this.#openS3(entry, this.#context), owned: true });
    }
    if (staging === this.name)
      throw new Fault('rejected', `${this.name} cannot be its own staging`, { code: 'NO_BUCKET' });
    return new Staging({ endpoint: await this.#context.other(staging), owned: false });
  }
}

function capabilitiesOf({ connections, remoteTemp }: ConnectorSettings): Capabilities {
  return {
    // What is there has to be deleted before a move.
    atomicRename: false,
    commitsAtClose: remoteTemp !== false,
    filesInFlight: connections,
    // Of what is staged.
    resume: true,
    positionalWrites: false,
    checksum: 'read-back',
    setsMtime: false,
    asynchronous: true,
    byteNames: false,
    clockSkewMs: SERVER_CLOCK_SKEW_MS,
  };
}
