/** What can go wrong with a data connection while its control connection is well. */

import { codeOf, Fault, messageOf } from '../../sync/errors.ts';

/** What ended a connection, for people: OpenSSL's own words name lines of its source. */
export function endOf(error: unknown): { readonly said: string; readonly advice?: string } {
  const ofTls = error instanceof Error && 'reason' in error && codeOf(error)?.startsWith('ERR_SSL_') === true;
  if (!ofTls) return { said: messageOf(error) };
  return {
    said: `something came that is not its TLS (${error.reason})`,
    advice:
      'A server whose process fails says so in the clear, and in its log: vsftpd does where no passive port is free (widen pasv_min_port to pasv_max_port, or lower connections).',
  };
}

/** @param where host and port, for people */
export function cutFault(where: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const { said, ...more } = endOf(error);
  return new Fault('unreachable', `the data connection to ${where} was lost: ${said}`, {
    code: codeOf(error) ?? 'ECONNRESET',
    cause: error,
    ...more,
  });
}

export function stalledFault(where: string, ms: number): Fault {
  return new Fault('unreachable', `the data connection to ${where} made no progress for ${secondsIn(ms)} s`, {
    code: 'ETIMEDOUT',
    advice: 'Something on the way dropped it without a word, or the server hangs.',
  });
}

/** TCP itself failed. */
export function unopenedFault(name: string, where: string, port: number, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const what = codeOf(error) === 'ECONNREFUSED' ? 'was refused' : `failed: ${messageOf(error)}`;
  return blockedFault(name, where, what, port, error);
}

export function lateFault(name: string, where: string, port: number, ms: number): Fault {
  return blockedFault(name, where, `did not open within ${secondsIn(ms)} s`, port, undefined);
}

/** The login worked, but the port of the data connection cannot be reached. */
function blockedFault(name: string, where: string, what: string, port: number, cause: unknown): Fault {
  return new Fault('unreachable', `${name}: the login works, but the data connection to ${where} ${what}`, {
    code: 'DATA_PORT_BLOCKED',
    cause,
    advice:
      `Firewalls, security groups and load balancers must let the passive ports of the server through as well as the control port; it named ${port}. ` +
      'AWS Transfer Family uses 8192-8200; vsftpd says pasv_min_port and pasv_max_port; ProFTPD says PassivePorts.',
  });
}

function secondsIn(ms: number): number {
  return Math.round(ms / 1000);
}
