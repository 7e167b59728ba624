/**
 * The sessions of one endpoint: opened when needed up to its limit, shared by as many files as a session can
 * have in flight, closed when idle, and never handed out again once broken.
 *
 * Files up to `SMALL_BYTES` count one place; larger ones count by size, but may fill only half of a session,
 * so that a small file never waits behind an endless one.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { asFault, Fault } from '../sync/errors.ts';
import { type Endpoint, type Session, SMALL_BYTES } from './endpoint.ts';

/** From this size on a file may be helped by other sessions, where ranges of one file can be written at once. */
const HELPED_BYTES = 16 * 1024 * 1024;
/** Connections opened in one burst are spread over up to so many ms each (a server drops bursts: MaxStartups). */
const JITTER_MS = 30;
/** A server that refuses one connection more is not asked again for so long, while others still serve. */
const NO_GROWTH_MS = 5_000;
/**
 * Helpers pay where a request takes longer than this. A connection carries at most its window (2 MiB over SFTP) in a
 * round trip: below, that is more than one process encrypts, and the work of more connections only costs.
 */
const LONG_LINE_MS = 3;
/** A first connection that takes longer to make than this is on a long line. */
const QUICK_CONNECT_MS = 250;
/** A large file does not wait longer than this for helpers that are slow to connect. */
const HELPERS_WAIT_MS = 3_000;

export interface Lease {
  readonly session: Session;
  readonly helpers: readonly Session[];
  /** Others wait for a place. */
  awaited(): boolean;
  /** Gives the place back. Call it once, whatever happened. */
  release(): void;
}

export interface PoolOptions {
  readonly random?: () => number;
  readonly now?: () => number;
}

interface Member {
  readonly session: Session;
  small: number;
  large: number;
  idleTimer: NodeJS.Timeout | undefined;
}

interface Waiter {
  /** `none`: it needs no place, only that there is a session. */
  readonly bytes: number | 'none';
  readonly admit: (lease: Lease) => void;
  readonly refuse: (fault: Fault) => void;
}

export class Pool implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #members = new Set<Member>();
  readonly #connecting = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #waiters: Waiter[] = [];
  readonly #awaited = (): boolean => this.#waiters.length > 0;
  #noGrowthUntilMs = 0;
  /** On the clock of `performance.now`. */
  #connectingSinceMs = 0;

  constructor(endpoint: Endpoint, options: PoolOptions = {}) {
    this.endpoint = endpoint;
    this.#random = options.random ?? Math.random;
    this.#now = options.now ?? Date.now;
  }

  /** Live sessions. */
  get size(): number {
    return this.#members.size;
  }

  /**
   * A place for a file of so many bytes.
   * @throws Fault `unreachable` | `rejected` (with `during: 'connect'`) when no session could be had, `aborted`
   */
  async lease(options: { readonly bytes: number; readonly signal: AbortSignal }): Promise<Lease> {
    const { bytes, signal } = options;
    this.#assertOpen(signal);
    const mayBeHelped = bytes >= HELPED_BYTES && this.endpoint.capabilities.positionalWrites;
    const helped = mayBeHelped && (await this.#isLongLine());
    if (helped) await this.#openHelpers();
    const lease = await this.#wait(bytes, signal);
    return helped ? this.#withHelpers(lease, bytes) : lease;
  }

  /** Makes sure that there is a live session, and takes no place on it. Errors as `lease`. */
  async probe(signal: AbortSignal): Promise<void> {
    this.#assertOpen(signal);
    await this.#wait('none', signal);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const stopped = new Fault('aborted', 'stopped before it was done');
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(stopped);
    await Promise.allSettled(this.#connecting);
    await Promise.allSettled([...this.#members].map((member) => this.#drop(member)));
    await this.endpoint.close?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(signal: AbortSignal): void {
    if (signal.aborted || this.#closing.signal.aborted)
      throw new Fault('aborted', 'stopped before it was done');
  }

  #wait(bytes: number | 'none', signal: AbortSignal): Promise<Lease> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        bytes,
        admit: (lease) => {
          signal.removeEventListener('abort', onAbort);
          resolve(lease);
        },
        refuse: (fault) => {
          signal.removeEventListener('abort', onAbort);
          reject(fault);
        },
      };
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(
          signal.reason instanceof Fault ? signal.reason : new Fault('aborted', 'stopped before it was done'),
        );
      };
      const lease = this.#admit(bytes);
      if (lease !== undefined) {
        resolve(lease);
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
      this.#grow();
    });
  }

  /** Admits whoever fits, in order, and opens connections for the rest. */
  #serve(): void {
    for (const member of this.#members) {
      if (member.session.broken !== undefined && load(member) === 0) void this.#drop(member);
    }
    if (this.#waiters.length === 0) return;
    const left: Waiter[] = [];
    for (const waiter of this.#waiters) {
      const lease = this.#admit(waiter.bytes);
      if (lease === undefined) left.push(waiter);
      else waiter.admit(lease);
    }
    this.#waiters = left;
    this.#grow();
  }

  /** Undefined where there is no room. */
  #admit(bytes: number | 'none'): Lease | undefined {
    if (bytes !== 'none') {
      const member = this.#roomFor(bytes);
      return member && this.#occupy(member, bytes);
    }
    const [first] = this.#usable();
    return first && { session: first.session, helpers: [], awaited: this.#awaited, release: () => undefined };
  }

  #roomFor(bytes: number): Member | undefined {
    let best: Member | undefined;
    for (const member of this.#usable()) {
      const capacity = member.session.capabilities.filesInFlight;
      const places = weight(bytes, capacity);
      if (load(member) + places > capacity) continue;
      if (bytes > SMALL_BYTES && member.large + places > largest(capacity)) continue;
      if (best === undefined || load(member) < load(best)) best = member;
    }
    return best;
  }

  #occupy(member: Member, bytes: number): Lease {
    const lane = bytes > SMALL_BYTES ? 'large' : 'small';
    const places = weight(bytes, member.session.capabilities.filesInFlight);
    member[lane] += places;
    clearTimeout(member.idleTimer);
    let released = false;
    return {
      session: member.session,
      helpers: [],
      awaited: this.#awaited,
      release: () => {
        if (released) return;
        released = true;
        member[lane] -= places;
        if (load(member) === 0) this.#rest(member);
        this.#serve();
      },
    };
  }

  #rest(member: Member): void {
    if (member.session.broken !== undefined) {
      void this.#drop(member);
      return;
    }
    member.idleTimer = setTimeout(() => void this.#drop(member), this.endpoint.idleMs);
    member.idleTimer.unref();
  }

  async #drop(member: Member): Promise<void> {
    clearTimeout(member.idleTimer);
    if (!this.#members.delete(member)) return;
    await member.session[Symbol.asyncDispose]();
  }

  /** Opens as many connections as the waiting files would fill. */
  #grow(): void {
    if (this.#usable().length + this.#connecting.size >= this.endpoint.connections) return;
    const capacity = this.endpoint.capabilities.filesInFlight;
    const places = this.#waiters.reduce((sum, { bytes }) => sum + weight(bytes, capacity), 0);
    const wanted = Math.max(this.#waiters.length === 0 ? 0 : 1, Math.ceil(places / capacity));
    this.#open(wanted - this.#connecting.size);
  }

  #usable(): readonly Member[] {
    return [...this.#members].filter(({ session }) => session.broken === undefined);
  }

  #open(count: number): void {
    const live = this.#usable().length;
    if (live + this.#connecting.size > 0 && this.#now() < this.#noGrowthUntilMs) return;
    const room = this.endpoint.connections - live - this.#connecting.size;
    for (let n = 0; n < Math.min(count, room); n += 1) {
      const first = this.#connecting.size === 0 && live === 0;
      if (first) this.#connectingSinceMs = performance.now();
      const opening = this.#connect(first ? 0 : this.#random() * JITTER_MS).then((fault) => {
        this.#connecting.delete(opening);
        if (fault !== undefined) this.#refuse(fault);
        this.#serve();
      });
      this.#connecting.add(opening);
    }
  }

  /** Resolves to what went wrong, if anything did. */
  async #connect(delayMs: number): Promise<Fault | undefined> {
    const { signal } = this.#closing;
    try {
      if (delayMs > 0) await sleep(delayMs, undefined, { signal });
      const session = await this.endpoint.connect(signal);
      if (signal.aborted) {
        await session[Symbol.asyncDispose]();
        return undefined;
      }
      const member: Member = { session, small: 0, large: 0, idleTimer: undefined };
      this.#members.add(member);
      this.#rest(member);
      return undefined;
    } catch (error) {
      return connectFault(error, this.endpoint.name, signal);
    }
  }

  /** A connect failed: those who wait are told, unless a live session will still serve them. */
  #refuse(fault: Fault): void {
    this.#noGrowthUntilMs = this.#now() + NO_GROWTH_MS;
    if (this.#connecting.size > 0) return;
    if (this.#usable().length > 0) return;
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(fault);
  }

  /** As far as it is known by the time when helpers would have to be asked for. */
  async #isLongLine(): Promise<boolean> {
    if (this.#usable().length === 0) {
      this.#open(1);
      const leftMs = QUICK_CONNECT_MS - (performance.now() - this.#connectingSinceMs);
      await Promise.race([
        Promise.allSettled(this.#connecting),
        sleep(Math.max(0, leftMs), undefined, { ref: false }),
      ]);
    }
    const [first] = this.#usable();
    return (first?.session.roundTripMs ?? Number.POSITIVE_INFINITY) > LONG_LINE_MS;
  }

  async #openHelpers(): Promise<void> {
    this.#open(this.endpoint.connections);
    await Promise.race([
      Promise.allSettled(this.#connecting),
      sleep(HELPERS_WAIT_MS, undefined, { ref: false }),
    ]);
  }

  #withHelpers(lease: Lease, bytes: number): Lease {
    const leases: Lease[] = [];
    for (const member of this.#usable()) {
      if (member.session === lease.session) continue;
      if (!member.session.capabilities.positionalWrites || member.large > 0) continue;
      leases.push(this.#occupy(member, bytes));
    }
    return {
      session: lease.session,
      helpers: leases.map((other) => other.session),
      awaited: this.#awaited,
      release: () => {
        for (const other of leases) other.release();
        lease.release();
      },
    };
  }
}

function load(member: Member): number {
  return member.small + member.large;
}

/** Places that large files together may take on a session. */
function largest(capacity: number): number {
  return Math.max(1, Math.floor(capacity / 2));
}

function weight(bytes: number | 'none', capacity: number): number {
  if (bytes === 'none') return 0;
  if (bytes <= SMALL_BYTES) return 1;
  return Math.min(Math.ceil(bytes / SMALL_BYTES), largest(capacity));
}

function connectFault(error: unknown, endpoint: string, signal: AbortSignal): Fault {
  const fault = asFault(error, signal);
  if (fault.kind === 'aborted') return fault;
  const { kind, code, means, next, cause } = fault;
  return new Fault(kind === 'rejected' ? 'rejected' : 'unreachable', fault.message, {
    during: 'connect',
    endpoint,
    ...(code === undefined ? {} : { code }),
    ...(means === undefined ? {} : { means }),
    ...(next === undefined ? {} : { advice: next }),
    cause: cause ?? error,
  });
}
