/** How often a connection shows that it lives, and for how long it may be unused. */

import type { SftpSettings } from './settings.ts';

/** A session that nobody uses is closed after so long at most. */
const MOST_IDLE_MS = 60_000;

/** Often enough for the balancer in front, and for Link to tell a quiet peer from a dead one. */
export function keepAliveOf({ keepAlive, idleTimeout, timeout }: SftpSettings): number {
  return Math.min(keepAlive ?? Math.min(idleTimeout / 3, 15_000), timeout / 3);
}

/** How long an unused session stays open. */
export function idleMsOf({ idleTimeout }: SftpSettings): number {
  return Math.min(MOST_IDLE_MS, idleTimeout / 3);
}
