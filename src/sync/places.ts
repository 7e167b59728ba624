/** Sessions to endpoints by name, for whoever needs one for a while. cli/ provides it from the pools. */

import type { Session } from '../endpoints/endpoint.ts';
import { Fault } from './errors.ts';

export interface OpenPlace extends AsyncDisposable {
  readonly session: Session;
  readonly helpers: readonly Session[];
  /** Others wait for a session of that endpoint. */
  awaited(): boolean;
}

export interface Places {
  /**
   * A session of that endpoint with room for a file of so many bytes (default 0).
   * @throws Fault `unreachable` | `rejected` | `aborted`
   */
  open(endpoint: string, signal: AbortSignal, bytes?: number): Promise<OpenPlace>;
}

export interface BothEnds extends AsyncDisposable {
  readonly from: Session;
  readonly to: OpenPlace;
}

/**
 * A place at both ends of a delivery. Always in the same order, so that deliveries there and back can never
 * wait for each other; one and the same session where both ends are one endpoint.
 */
export async function openBoth(
  places: Places,
  from: string,
  to: string,
  bytes: number,
  signal: AbortSignal,
): Promise<BothEnds> {
  if (from === to) return withinOne(await places.open(to, signal, bytes));
  const stack = new AsyncDisposableStack();
  try {
    const first = stack.use(await (from < to ? places.open(from, signal) : places.open(to, signal, bytes)));
    const second = stack.use(await (from < to ? places.open(to, signal, bytes) : places.open(from, signal)));
    const [source, target] = from < to ? [first, second] : [second, first];
    return { from: source.session, to: target, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function withinOne(place: OpenPlace): Promise<BothEnds> {
  if (place.session.capabilities.filesInFlight < 2) {
    await place[Symbol.asyncDispose]();
    throw new Fault('permanent', 'this kind of endpoint cannot read and write at once on one connection', {
      code: 'SAME_ENDPOINT',
      advice: 'Name the server twice in endpoints.yaml and use one entry in `from`, the other in `to`.',
    });
  }
  return { from: place.session, to: place, [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() };
}
