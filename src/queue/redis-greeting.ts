/**
 * What a Redis says to a connection before it closes it unasked (`acceptCommonHandler` in its networking.c): that it is in
 * protected mode, or has too many clients. The client library reports only that the connection was closed.
 */

import { once } from 'node:events';
import { connect } from 'node:net';

const WAIT_MS = 2_000;

/** The text of its error reply; undefined when it says nothing of itself. Never throws. */
export async function greetingOf(host: string, port: number): Promise<string | undefined> {
  const socket = connect({ host, port });
  const late = AbortSignal.timeout(WAIT_MS);
  try {
    const [said] = await once(socket, 'data', { signal: late });
    return /^-(?:ERR )?([^\r\n]*)/.exec(String(said))?.[1];
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}
