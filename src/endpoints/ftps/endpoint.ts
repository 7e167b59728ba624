/** An FTPS server as an endpoint: its sessions, and what is known of it between them. */

import { hostPort, type Passed } from '../../roads/road.ts';
import type { FilePath } from '../../sync/names.ts';
import {
  type Capabilities,
  type Endpoint,
  type EndpointContext,
  type ProbeOptions,
  type ProbeStep,
  SERVER_CLOCK_SKEW_MS,
} from '../endpoint.ts';
import { connect } from './connect.ts';
import type { Connection } from './connection.ts';
import { Lanes } from './lanes.ts';
import { probe } from './probe.ts';
import { capabilitiesOf, FtpsSession } from './session.ts';
import type { FtpsSettings } from './settings.ts';
import { Memory, type Traits } from './traits.ts';

const MOST_IDLE_MS = 60_000;

/** @param given what `ftpsSettings` made of an entry in endpoints.yaml */
export function createFtps(given: FtpsSettings, context: EndpointContext): FtpsEndpoint {
  return new FtpsEndpoint(given, context);
}

export class FtpsEndpoint implements Endpoint {
  readonly kind = 'ftps';
  readonly name: string;
  readonly address: string;
  readonly connections: number;
  readonly idleMs: number;
  readonly settings: FtpsSettings;
  readonly #memory: Memory;
  #traits: Traits | undefined;

  constructor(settings: FtpsSettings, context: EndpointContext) {
    this.settings = settings;
    this.name = context.name;
    this.address = `${settings.implicit ? 'ftps (implicit)' : 'ftps'} ${settings.user}@${hostPort(settings.host, settings.port)}`;
    this.connections = settings.connections;
    this.idleMs = Math.min(MOST_IDLE_MS, settings.idleTimeout / 3);
    this.#memory = new Memory(renamesExpected(settings), (message) => context.warn(message));
  }

  /** What is known since the last connect, or what such a server usually has. */
  get capabilities(): Capabilities {
    const [traits, memory] = [this.#traits, this.#memory];
    return traits === undefined ? expected(this.settings) : capabilitiesOf({ traits, memory });
  }

  async connect(signal: AbortSignal): Promise<FtpsSession> {
    const open = (stop: AbortSignal): Promise<Connection> => this.open(stop);
    return new FtpsSession(new Lanes(await this.open(signal), open), open);
  }

  /** A control connection that is logged in; tells of each part of the way that was passed. Errors as `connect`. */
  async open(signal: AbortSignal, passed?: Passed): Promise<Connection> {
    const plan = { name: this.name, settings: this.settings, memory: this.#memory };
    const connection = await connect(plan, signal, passed);
    this.#traits = connection.traits;
    return connection;
  }

  probe(folder: FilePath, options: ProbeOptions): AsyncIterable<ProbeStep> {
    return probe(this, folder, options);
  }
}

function renamesExpected(settings: FtpsSettings): boolean {
  return settings.rename === 'auto' && settings.server !== 'aws-transfer';
}

function expected(settings: FtpsSettings): Capabilities {
  const renames = renamesExpected(settings);
  const aws = settings.server === 'aws-transfer';
  return {
    atomicRename: renames,
    commitsAtClose: aws,
    filesInFlight: 1,
    resume: renames,
    positionalWrites: false,
    checksum: 'read-back',
    setsMtime: !aws,
    asynchronous: false,
    byteNames: false,
    clockSkewMs: SERVER_CLOCK_SKEW_MS,
  };
}
