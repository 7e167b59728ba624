/**
 * Ends a call in bounded time once it was aborted.
 *
 * An operation answers an abort by finishing the request that is under way and cleaning up, which takes a few round
 * trips. On a link that does not answer it would take until the watchdog notices: then the link is broken here, and
 * with it everything that waits on it.
 */

import { abortFault } from '../../roads/road.ts';
import { asFault, Fault, throwIfAborted } from '../../sync/errors.ts';
import type { Link } from './link.ts';

/** A link that owes answers and says nothing for so long after an abort is not waited for. */
const SILENT_MS = 2_000;
/** Nor one that lives but is too slow. */
const GRACE_MS = 10_000;

/** What was done all the same after an abort counts. Whatever is thrown is a Fault. */
export async function bounded<T>(link: Link, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  throwIfAborted(signal);
  if (link.broken !== undefined) throw link.broken;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      // A microtask later, because the work itself may be what aborts.
      void Promise.resolve()
        .then(() => stopped(link, working))
        .then(() => reject(abortFault(signal)));
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  const working = work();
  try {
    return await Promise.race([working, aborted]);
  } catch (error) {
    throwIfAborted(signal); // whatever else it ended with, it ended because it was told to
    throw asFault(error);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Waits for work that was told to stop, in bounded time. Never rejects. */
export async function stopped(link: Link, work: Promise<unknown>): Promise<void> {
  const sinceMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const gaveUp = new Promise<void>((resolve) => {
    timer = setInterval(() => {
      const nowMs = performance.now();
      const silent = nowMs - Math.max(sinceMs, link.lifeAtMs()) >= SILENT_MS;
      if (silent && link.owed > 0) {
        link.break(
          new Fault('unreachable', `${link.name} did not answer while it was asked to stop`, {
            code: 'ETIMEDOUT',
          }),
        );
      }
      if (nowMs - sinceMs >= GRACE_MS) resolve();
    }, SILENT_MS / 4);
  });
  const ended = work.then(
    () => undefined,
    () => undefined,
  );
  await Promise.race([ended, gaveUp]);
  clearInterval(timer);
}
