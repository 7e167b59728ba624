/**
 * Whether a server insists that data connections resume the TLS session of the control connection (RFC 4217 leaves it
 * open): tried on a connection of its own, by not resuming once, and said in words.
 */

import { asFault, codeOf, type Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { ProbeStep } from '../endpoint.ts';
import type { Connection } from './connection.ts';
import type { FtpsEndpoint } from './endpoint.ts';
import { transfer } from './transfer.ts';

const UPDATE = 'aws transfer update-server --server-id … --protocol-details TlsSessionResumptionMode=';

/** @param reused whether the session was resumed when that was tried. @throws Fault when it is stopped */
export async function reuseVerdict(
  endpoint: FtpsEndpoint,
  reused: boolean,
  folder: FilePath,
  signal: AbortSignal,
): Promise<ProbeStep> {
  const step = 'session reuse';
  let refusal: Fault | undefined;
  try {
    refusal = await refusalWithout(endpoint, folder, signal);
  } catch (error) {
    if (codeOf(error) !== 'TOO_MANY_CONNECTIONS' || endpoint.connections > 1) throw error;
    const saw = `${reused ? '' : 'not '}resumed; whether the server insists on it, only a second connection would tell, and it takes none`;
    return { step, ok: true, saw };
  }
  if (refusal !== undefined) {
    return {
      step,
      ok: true,
      saw: `resumed; the server insists on it, as it should${refusal.code === 'SESSION_REUSE' ? '' : ` (without: ${refusal.message})`}`,
    };
  }
  if (reused) {
    return {
      step,
      ok: true,
      saw: 'resumed; the server does not insist on it',
      advice:
        'With it, nobody else can take over a data connection. To have the server insist: ' +
        `${UPDATE}ENFORCED; in vsftpd require_ssl_reuse=YES; in ProFTPD no NoSessionReuseRequired.`,
    };
  }
  return {
    step,
    ok: true,
    warning: true,
    saw: 'the server does not resume TLS sessions, and does not insist on it',
    advice: `It works, with a full handshake for each file. If you run the server: ${UPDATE}ENABLED, or a session cache or tickets in its TLS settings.`,
  };
}

async function refusalWithout(
  endpoint: FtpsEndpoint,
  folder: FilePath,
  signal: AbortSignal,
): Promise<Fault | undefined> {
  await using connection = await endpoint.open(signal);
  try {
    await listOnce(connection, folder, signal, false);
    return undefined;
  } catch (error) {
    const fault = asFault(error, signal);
    if (fault.kind === 'aborted' || fault.code === 'DATA_PORT_BLOCKED') throw fault; // that tells nothing of it
    return fault;
  }
}

/** Over a data connection of its own. @param resume false: without resuming the session */
export async function listOnce(
  connection: Connection,
  folder: FilePath,
  signal: AbortSignal,
  resume = true,
): Promise<{ readonly reused: boolean; readonly port: number }> {
  let port = 0;
  const command = connection.traits.facts ? `MLSD ${connection.wire(folder)}` : 'LIST -a';
  if (!connection.traits.facts) await connection.demand(`CWD ${connection.wire(folder)}`, 'enter', folder);
  const options = { command, doing: 'list', path: folder, together: false, resume, signal };
  const result = await transfer(connection, options, async (data) => {
    port = data.port;
    for await (const _chunk of data.chunks());
  });
  if (result.state === 'unconfirmed') throw result.fault;
  return { reused: result.reused, port };
}
