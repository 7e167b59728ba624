/** Listens to several events at once, until disposed. */

import type { EventEmitter } from 'node:events';
import type { Events, FerryEvents } from '../sync/events.ts';

export type Listeners = { readonly [Name in keyof FerryEvents]?: (...args: FerryEvents[Name]) => void };

export function listen(events: Events, listeners: Listeners): Disposable {
  // Where each name fits its listener already, the emitter need not be told again.
  const emitter: EventEmitter = events;
  const stack = new DisposableStack();
  for (const [name, listener] of Object.entries(listeners)) {
    emitter.on(name, listener);
    stack.defer(() => emitter.off(name, listener));
  }
  return stack;
}
