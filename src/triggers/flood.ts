/**
 * Notices when the system may have dropped events. inotify(7) keeps 16,384 by default, for all watches of the
 * process together, and what comes while the queue is full is gone without a word that Node passes on. So when very
 * many events come in one turn of the event loop, every watch has to doubt, also those that heard of none.
 */

/** Half of what the system keeps: not all that is in its queue is passed on. */
const MANY_EVENTS = 8_192;

const watches = new Set<() => void>();
let inThisTurn = 0;

/** To be called for each event of the system. */
export function countEvent(): void {
  if (inThisTurn === 0) setImmediate(() => (inThisTurn = 0));
  inThisTurn += 1;
  if (inThisTurn % MANY_EVENTS === 0) for (const doubt of watches) doubt();
}

/** Told of floods until it is disposed of. */
export function onFlood(doubt: () => void): Disposable {
  watches.add(doubt);
  return { [Symbol.dispose]: () => void watches.delete(doubt) };
}
