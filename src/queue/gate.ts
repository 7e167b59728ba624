/**
 * The gate of one endpoint: open, or closed because of trouble that belongs to the endpoint and not to a file.
 *
 *   open → doubted (one quiet look) → open | held (probed until it answers) → open
 *                                   | stopped (a person is needed; tried again when told, or at the next start)
 *
 * While it is closed nothing is taken for that endpoint, so an endpoint that is down for a day costs no file anything. What
 * a person should know is in the ledger's endpoint record and in events. Assumes one gate per endpoint and process.
 */

import type { EndpointRecord, Ledger } from '../ledger/ledger.ts';
import { noteOf } from '../sync/delivery.ts';
import { asFault, Fault, messageOf } from '../sync/errors.ts';
import type { Events } from '../sync/events.ts';
import { backoffMs } from './policy.ts';

export interface GateOptions {
  readonly endpoint: string;
  readonly ledger: Pick<Ledger, 'endpoint' | 'setEndpoint'>;
  readonly events: Events;
  /** Resolves when the endpoint can be reached and lets us in. @throws Fault */
  readonly probe: (endpoint: string, signal: AbortSignal) => Promise<void>;
  readonly now: () => number;
  readonly random: () => number;
  /** It has opened or closed. */
  readonly moved: () => void;
}

export type GateState = 'open' | 'doubted' | 'held' | 'stopped';

const FIRST_PROBE_MS = 1_000;
const MAX_PROBE_MS = 300_000;
const PROBE_DEADLINE_MS = 60_000;

export class Gate {
  readonly #options: GateOptions;
  #state: GateState = 'open';
  /** When the trouble began. */
  #sinceMs = 0;
  /** Probes that failed, and closings soon after an opening; none once a file has arrived. */
  #strikes = 0;
  #timer: NodeJS.Timeout | undefined;
  #probing: AbortController | undefined;
  #closed = false;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get state(): GateState {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state === 'open' && !this.#closed;
  }

  /** An endpoint that was in trouble when the last process ended gets one look before files are risked. */
  start(): void {
    const record = this.#recorded();
    if (record === undefined || record.state === 'up') return;
    this.#sinceMs = record.sinceMs;
    this.#become('doubted');
    void this.#probe();
  }

  /** A connection was cut. It may have been that one only, so look before anything is said. */
  doubt(): void {
    if (this.#state !== 'open') return;
    this.#sinceMs = this.#options.now();
    this.#become('doubted');
    void this.#probe();
  }

  /** No connection could be made. */
  hold(fault: Fault): void {
    if (this.#closed || this.#state === 'held' || this.#state === 'stopped') return;
    if (this.#state === 'open') this.#sinceMs = this.#options.now();
    this.#cancel();
    this.#wait(fault);
  }

  /** It refuses us, and will go on doing so. */
  stop(fault: Fault): void {
    if (this.#closed || this.#state === 'stopped') return;
    if (this.#state === 'open') this.#sinceMs = this.#options.now();
    this.#cancel();
    this.#record('stopped', fault, undefined);
    this.#become('stopped');
    this.#options.events.emit('endpointDown', this.#options.endpoint, fault, undefined);
  }

  /** A person, or a changed configuration, says that it is worth another try. */
  tryNow(): void {
    if (this.#closed || this.#state === 'open' || this.#probing !== undefined) return;
    this.#cancel();
    this.#become('doubted');
    void this.#probe();
  }

  /** Another process may have written the record: `ferry resume` marks an endpoint in trouble as up. */
  look(): void {
    const recorded = this.#recorded()?.state;
    if (this.#state === 'stopped' ? recorded !== 'stopped' : this.#state === 'held' && recorded === 'up')
      this.tryNow();
  }

  /** A file has arrived. */
  worked(): void {
    this.#strikes = 0;
  }

  /** For good. The record stays as it is. */
  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  async #probe(): Promise<void> {
    const { endpoint, probe } = this.#options;
    const probing = new AbortController();
    this.#probing = probing;
    const late = setTimeout(() => probing.abort(noAnswer()), PROBE_DEADLINE_MS);
    const fault = await Promise.race([probe(endpoint, probing.signal), rejectedBy(probing.signal)]).then(
      () => undefined,
      (error: unknown) => asFault(error),
    );
    clearTimeout(late);
    if (this.#probing !== probing) return;
    this.#probing = undefined;
    if (fault === undefined) this.#open();
    else if (fault.kind === 'rejected') this.stop(fault);
    else this.#wait(fault);
  }

  #wait(fault: Fault): void {
    const { endpoint, events, now, random } = this.#options;
    this.#strikes += 1;
    const delayMs = backoffMs(this.#strikes, FIRST_PROBE_MS, MAX_PROBE_MS, random);
    this.#record('held', fault, now() + delayMs);
    this.#become('held');
    this.#timer = setTimeout(() => void this.#probe(), delayMs);
    events.emit('endpointDown', endpoint, fault, delayMs);
  }

  #open(): void {
    const { endpoint, events, now } = this.#options;
    const record = this.#recorded();
    if (record !== undefined && record.state !== 'up') {
      this.#record('up', undefined, undefined);
      events.emit('endpointUp', endpoint, now() - this.#sinceMs);
    }
    this.#become('open');
  }

  #become(state: GateState): void {
    const wasOpen = this.#state === 'open';
    this.#state = state;
    if (wasOpen !== (state === 'open') || state === 'stopped') this.#options.moved();
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    this.#probing?.abort();
    this.#probing = undefined;
  }

  #recorded(): EndpointRecord | undefined {
    return this.#options.ledger.endpoint(this.#options.endpoint);
  }

  #record(state: EndpointRecord['state'], fault: Fault | undefined, nextProbeMs: number | undefined): void {
    const { endpoint, ledger, events, now } = this.#options;
    const sinceMs = state === 'up' ? now() : this.#sinceMs;
    try {
      const note = fault === undefined ? undefined : noteOf(fault);
      ledger.setEndpoint({ endpoint, state, fault: note, sinceMs, nextProbeMs });
    } catch (error) {
      // The record is what people see; the gate itself does not depend on it.
      events.emit('queue', `the state of ${endpoint} could not be recorded: ${messageOf(error)}`, false);
    }
  }
}

function noAnswer(): Fault {
  return new Fault('unreachable', `no answer within ${PROBE_DEADLINE_MS / 1_000} s`, {
    code: 'ETIMEDOUT',
    during: 'connect',
  });
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
