/** Whether a port that ended the connection without a word, when SSH was spoken to it, speaks TLS. */

import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { Road } from '../../roads/road.ts';
import { codeOf } from '../../sync/errors.ts';

const MOST_MS = 3_000;

/** Never throws. */
export async function speaksTls(road: Road, signal: AbortSignal): Promise<boolean> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(MOST_MS)]);
  let socket: Duplex | undefined;
  try {
    socket = await road.open(deadline);
    return await greets(socket, deadline);
  } catch {
    return false;
  } finally {
    socket?.destroy();
  }
}

/** Whether it answers a ClientHello, be it with a refusal. Nothing is sent to it but that. */
function greets(socket: Duplex, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const tls = connect({ socket, rejectUnauthorized: false });
    const end = (answer: boolean): void => {
      signal.removeEventListener('abort', onAbort);
      tls.destroy();
      resolve(answer);
    };
    const onAbort = (): void => end(false);
    signal.addEventListener('abort', onAbort, { once: true });
    tls.once('secureConnect', () => end(true));
    tls.on('error', (error) => end(/ALERT|HANDSHAKE|TLSV1|SSLV3_ALERT/.test(codeOf(error) ?? '')));
    tls.once('close', () => end(false));
  });
}
