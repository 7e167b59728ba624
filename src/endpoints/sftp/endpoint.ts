/** An SFTP server as an endpoint: its roads, its sessions, and what is known of it between them. */

import { jumpRoad } from '../../roads/jump.ts';
import { hostPort, type Passed, type Road } from '../../roads/road.ts';
import { Fault } from '../../sync/errors.ts';
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
import { type ConnectPlan, connect, shownHostKeys } from './connect.ts';
import type { Dialled } from './dial.ts';
import { lostFault } from './faults.ts';
import { SharedHop } from './hops.ts';
import { idleMsOf } from './keep-alive.ts';
import { Link } from './link.ts';
import { ownRoad, ownSteps } from './own-road.ts';
import { probe } from './probe.ts';
import type { Bare } from './probe-idle.ts';
import type { Way } from './probe-steps.ts';
import { Memory, type Remote, traitsOf } from './remote.ts';
import { roundTrip } from './round-trip.ts';
import { SftpSession } from './session.ts';
import type { SftpSettings } from './settings.ts';
import { Window } from './window.ts';
import { Wire } from './wire.ts';

/** @param given what `settings` made of an entry in endpoints.yaml */
export function createSftp(given: SftpSettings, context: EndpointContext): SftpEndpoint {
  return new SftpEndpoint(given, context);
}

export class SftpEndpoint implements Endpoint {
  readonly kind = 'sftp';
  readonly name: string;
  readonly address: string;
  readonly connections: number;
  readonly idleMs: number;
  readonly settings: SftpSettings;
  readonly #context: EndpointContext;
  readonly #memory: Memory;
  /** The one that its own settings name. */
  readonly #own: Road;
  /** By the hosts that lead to this one: a jump host may be reached in several ways. */
  readonly #hops = new Map<string, SharedHop>();
  #last: Capabilities | undefined;

  constructor(settings: SftpSettings, context: EndpointContext) {
    this.settings = settings;
    this.name = context.name;
    this.address = `sftp ${settings.user}@${hostPort(settings.host, settings.port)}`;
    this.connections = settings.connections;
    this.idleMs = idleMsOf(settings);
    this.#context = context;
    this.#own = ownRoad(settings, context.env);
    this.#memory = new Memory(renamesExpected(settings), (message) => context.warn(message));
  }

  /** What the last session had, or what such a server usually has. */
  get capabilities(): Capabilities {
    return this.#last ?? expected(this.settings);
  }

  async connect(signal: AbortSignal): Promise<SftpSession> {
    return await this.open(signal);
  }

  /** As `connect`, and tells of each part of the way that was passed. */
  async open(signal: AbortSignal, passed?: Passed): Promise<SftpSession> {
    const plan = await this.#plan(true);
    const startedMs = performance.now();
    const dialled = await connect(plan, signal, passed);
    const remote = this.#remoteOver(dialled);
    const roundTripMs = await roundTrip(remote.wire, performance.now() - startedMs);
    const session = new SftpSession(remote, this.settings.filesInFlight, roundTripMs);
    this.#last = session.capabilities;
    return session;
  }

  /** Logs in as to a jump host, without SFTP, and leaves again. */
  async reach(signal: AbortSignal, passed?: Passed): Promise<void> {
    const { client, sock } = await connect(await this.#plan(false), signal, passed);
    await new Link({ name: this.name, client, sock, timeoutMs: this.settings.timeout }).close();
  }

  /** A connection that is logged in, and then says nothing by itself: to see for how long it may. The caller ends it. */
  async bare(signal: AbortSignal): Promise<Bare> {
    const plan = await this.#plan(false);
    return await connect({ ...plan, settings: { ...this.settings, keepAlive: 0 } }, signal);
  }

  /** By which steps and hosts it is reached. Never throws. */
  async way(trail: readonly string[] = []): Promise<Way> {
    const { via } = this.settings;
    const [first] = via;
    if (first === undefined) return { hops: [], road: ownSteps(this.settings) };
    const before = await this.#jumpHost(first, [...trail, this.name])
      .then((jump) => jump.way([...trail, this.name]))
      .catch((): Way => ({ hops: [], road: [] }));
    return { hops: [...before.hops, ...via], road: before.road };
  }

  async hostKeys(options: CallOptions): Promise<readonly SeenHostKey[]> {
    return await shownHostKeys(await this.#plan(false), options.signal);
  }

  probe(folder: FilePath, options: ProbeOptions): AsyncIterable<ProbeStep> {
    return probe(this, folder, options);
  }

  /** The connection to this host as a jump host, over its own road or over one that other jump hosts made. */
  hop(chain: string, trail: readonly string[], road?: Road): SharedHop {
    const known = this.#hops.get(chain);
    if (known !== undefined) return known;
    const hop = new SharedHop(async (signal, passed) => {
      const plan = await this.#plan(false, trail, road);
      const told: Passed = (step, saw, host) => passed?.(step, saw, host ?? this.name);
      const { client, sock } = await connect(plan, signal, told);
      return new Link({ name: this.name, client, sock, timeoutMs: this.settings.timeout });
    });
    this.#hops.set(chain, hop);
    return hop;
  }

  async #plan(sftp: boolean, trail: readonly string[] = [], road?: Road): Promise<ConnectPlan> {
    return {
      name: this.name,
      settings: this.settings,
      env: this.#context.env,
      road: road ?? (await this.#road([...trail, this.name])),
      memory: this.#memory,
      sftp,
    };
  }

  /** @param trail hosts that this road is for, to notice one that leads through itself */
  async #road(trail: readonly string[]): Promise<Road> {
    const { settings } = this;
    let road = this.#own;
    let chain = '';
    let before: Road | undefined;
    for (const [index, name] of settings.via.entries()) {
      const jump = await this.#jumpHost(name, trail);
      chain = chain === '' ? name : `${chain} > ${name}`;
      const hop = jump.hop(chain, trail, before);
      const next = settings.via[index + 1];
      const target = next === undefined ? this : await this.#jumpHost(next, trail);
      road = jumpRoad((signal, passed) => hop.acquire(signal, passed), {
        host: target.settings.host,
        port: target.settings.port,
        through: name,
      });
      before = road;
    }
    return road;
  }

  async #jumpHost(name: string, trail: readonly string[]): Promise<SftpEndpoint> {
    if (trail.includes(name)) {
      throw new Fault(
        'rejected',
        `the way to ${this.name} leads through itself: ${[...trail, name].join(' via ')}`,
        {
          code: 'VIA_LOOP',
          advice: 'Correct via in endpoints.yaml.',
        },
      );
    }
    const other = await this.#context.other(name);
    if (other instanceof SftpEndpoint) return other;
    throw new Fault(
      'rejected',
      `${name}, the jump host of ${this.name}, is an endpoint of type ${other.kind}`,
      {
        code: 'VIA_KIND',
        advice:
          'A jump host must be an endpoint of type sftp (it needs no SFTP itself, only its host, user, key and host key).',
      },
    );
  }

  #remoteOver(dialled: Dialled): Remote {
    const { client, sock, sftp, ident, hostKey, cipher } = dialled;
    const { name, settings } = this;
    const link = new Link({ name, client, sock, timeoutMs: settings.timeout });
    if (sftp === undefined) throw lostFault(name, new Error('SFTP did not start'));
    sftp.on('error', (error: unknown) => link.break(lostFault(name, error)));
    sftp.on('close', () => link.break(lostFault(name, new Error('the server ended SFTP'))));
    const wire = new Wire(sftp, link);
    const traits = traitsOf(ident, wire, settings);
    if (traits.kind === 'aws-transfer') this.#memory.renames = false;
    const window = new Window();
    const readWindow = new Window();
    link.onBroken(() => {
      const fault = link.broken ?? lostFault(name, new Error('closed'));
      window.close(fault);
      readWindow.close(fault);
    });
    const memory = this.#memory;
    return { name, link, wire, traits, hostKey, cipher, memory, window, readWindow };
  }
}

function renamesExpected(settings: SftpSettings): boolean {
  return settings.rename === 'auto' && settings.server !== 'aws-transfer';
}

function expected(settings: SftpSettings): Capabilities {
  const renames = renamesExpected(settings);
  const aws = settings.server === 'aws-transfer';
  const openssh = settings.server === 'auto' || settings.server === 'openssh';
  return {
    atomicRename: renames && openssh,
    commitsAtClose: aws,
    filesInFlight: settings.filesInFlight,
    resume: renames,
    positionalWrites: renames && openssh,
    checksum: 'read-back',
    setsMtime: !aws,
    asynchronous: false,
    byteNames: !aws,
    clockSkewMs: SERVER_CLOCK_SKEW_MS,
  };
}
