/** Where a port that speaks something else than SSH is named as what it is, by the first bytes that it sent. */

import { Fault } from '../../sync/errors.ts';
import type { ConnectTrouble } from './connect-faults.ts';

/** Undefined where nothing speaks against SSH. */
export function notSsh(trouble: ConnectTrouble): Fault | undefined {
  const { sniffed } = trouble;
  const text = sniffed.toString('latin1', 0, 2_000);
  if (/^HTTP\/\d/.test(text)) return httpFault(trouble, text);
  if (sniffed.length >= 3 && (sniffed[0] === 0x15 || sniffed[0] === 0x16) && sniffed[1] === 3) {
    return tlsFault(trouble);
  }
  if (/^220[ -]/.test(text)) {
    return strangerFault(trouble, 'FTP_ANSWER', 'is an FTP or mail server, not SSH', {
      means: 'The port is that of another service.',
      advice: 'Correct host and port; for FTPS use an endpoint of type ftps.',
    });
  }
  return undefined;
}

function httpFault(trouble: ConnectTrouble, text: string): Fault {
  const server = /^server: *([^\r\n]{1,60})/im.exec(text)?.[1];
  const alb = server !== undefined && /^awselb/i.test(server);
  const what = `answers with HTTP${server === undefined ? '' : ` (${server})`}, not SSH`;
  return strangerFault(trouble, 'HTTP_ANSWER', what, {
    means: alb
      ? 'This is an Application Load Balancer, which speaks HTTP only.'
      : 'This is a web server or an Application Load Balancer, which speaks HTTP only.',
    advice:
      'SFTP needs a Network Load Balancer with a TCP listener, or the right port: correct host and port.',
  });
}

export function tlsFault(trouble: ConnectTrouble): Fault {
  return strangerFault(trouble, 'TLS_ANSWER', 'speaks TLS, not SSH', {
    means: 'This port is for HTTPS or FTPS, or the listener of a load balancer is a TLS one.',
    advice: 'Use the SSH port and a TCP listener; for FTPS use an endpoint of type ftps.',
  });
}

function strangerFault(
  { name, road }: ConnectTrouble,
  code: string,
  what: string,
  said: { readonly means: string; readonly advice: string },
): Fault {
  return new Fault('rejected', `${name}: ${road} ${what}`, { code, ...said });
}
