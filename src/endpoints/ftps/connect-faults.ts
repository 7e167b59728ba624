/** What can go wrong between the TCP connection and a login that works, in words that say what to do. */

import { codeOf, Fault, messageOf } from '../../sync/errors.ts';
import { crowded, crowdedFault, quoted } from './faults.ts';
import { type Reply, saying } from './reply.ts';

/** The first thing that the server says is not "ready". */
export function greetingFault(name: string, where: string, reply: Reply): Fault {
  if (crowded(reply)) return crowdedFault(name, reply);
  const kind = reply.code >= 500 ? 'rejected' : 'unreachable';
  return new Fault(kind, `${name}: ${where} does not let us in: ${quoted(reply)}`, {
    code: 'GREETING_REFUSED',
    advice:
      'The server turns this address away (its allow list, hosts.deny, fail2ban), or is being serviced.',
  });
}

/** Nothing that looks like FTP came, only these first bytes. */
export function strangerFault(name: string, where: string, seen: Buffer): Fault | undefined {
  const text = seen.toString('latin1', 0, 200);
  const make = (code: string, what: string, advice: string): Fault =>
    new Fault('rejected', `${name}: ${where} ${what}`, { code, advice });
  if (/^SSH-/.test(text)) {
    return make('SSH_ANSWER', 'speaks SSH, not FTP', 'Use an endpoint of type sftp, or the FTPS port (21).');
  }
  if (/^HTTP\/\d/.test(text)) {
    return make(
      'HTTP_ANSWER',
      'answers with HTTP, not FTP',
      'This is a web server or an Application Load Balancer, which speaks HTTP only: FTPS needs a Network Load Balancer (TCP listeners for port 21 and for every passive port).',
    );
  }
  if (seen.length >= 3 && (seen[0] === 0x15 || seen[0] === 0x16) && seen[1] === 3) {
    return make('IMPLICIT_TLS', 'speaks TLS from the first byte', 'Set implicit: true in endpoints.yaml.');
  }
  return undefined;
}

export function noGreetingFault(name: string, where: string, port: number, timeoutMs: number): Fault {
  return new Fault('unreachable', `${name}: ${where} said nothing within ${timeoutMs / 1000} s`, {
    code: 'ETIMEDOUT',
    advice:
      port === 990
        ? 'Port 990 is for implicit TLS, where the server waits for the client: set implicit: true in endpoints.yaml.'
        : 'The port is open but silent: a load balancer whose targets are unhealthy, a firewall that lets only the handshake pass, a server with implicit TLS (implicit: true), or one that is overloaded.',
  });
}

/** AUTH TLS was refused: nothing is ever sent without. */
export function noTlsFault(name: string, reply: Reply): Fault {
  return new Fault('rejected', `${name} refuses TLS: ${quoted(reply)}`, {
    code: 'TLS_REFUSED',
    advice:
      'Ferry never logs in without TLS. Switch it on at the server (vsftpd: ssl_enable=YES; ProFTPD: TLSEngine on; Transfer Family: protocol FTPS), or look for the right port.',
  });
}

export function noProtectionFault(name: string, reply: Reply): Fault {
  return new Fault('rejected', `${name} refuses to encrypt data connections (PROT P): ${quoted(reply)}`, {
    code: 'PROTECTION_REFUSED',
    advice: 'Ferry sends no file in the clear. Let the server accept PROT P.',
  });
}

/** @param step `user` when the name alone was refused */
export function loginFault(name: string, user: string, reply: Reply, step: 'user' | 'password'): Fault {
  if (crowded(reply)) return crowdedFault(name, reply);
  if (reply.code < 500 && reply.code !== 430 && reply.code !== 332) {
    return new Fault('unreachable', `${name} could not log ${user} in: ${quoted(reply)}`, {
      code: 'LOGIN_FAILED',
    });
  }
  if (/ssl|tls|encrypt|secure/i.test(saying(reply)) && step === 'user') {
    return new Fault('rejected', `${name} refused to log ${user} in: ${quoted(reply)}`, {
      code: 'LOGIN_REFUSED',
      advice:
        'The server says that this account may not log in over TLS, or not without a client certificate.',
    });
  }
  return new Fault('rejected', `${name} refused to log ${user} in: ${quoted(reply)}`, {
    code: 'LOGIN_REFUSED',
    advice:
      reply.code === 332
        ? 'The server asks for an account (ACCT), which Ferry does not give.'
        : 'Wrong user or password, an account that is locked, or one that may not use FTPS. On AWS Transfer Family the identity provider decides: its log group says why.',
  });
}

/** What the server showed, as far as it came. */
export interface Shown {
  readonly subject: string;
  readonly issuer: string;
  readonly names: string;
  readonly validFrom: string;
  readonly validTo: string;
  readonly selfSigned: boolean;
}

export interface TlsTrouble {
  readonly name: string;
  /** `control connection`, `data connection` */
  readonly of: string;
  readonly expected: string;
  readonly ownCa: boolean;
  readonly shown: Shown | undefined;
}

const UNKNOWN_AUTHORITY = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_UNTRUSTED',
  'CERT_CHAIN_TOO_LONG',
]);

/** A handshake that failed, or a certificate that does not vouch for the server. */
export function tlsFault(error: unknown, trouble: TlsTrouble): Fault {
  if (error instanceof Fault) return error;
  const { name, of, shown, expected, ownCa } = trouble;
  const code = codeOf(error) ?? 'TLS';
  const seen = shown === undefined ? '' : ` (${shown.subject}, issued by ${shown.issuer})`;
  const make = (ours: string, what: string, advice: string): Fault =>
    new Fault('rejected', `${name}: the certificate of the ${of} ${what}${seen}`, {
      code: ours,
      cause: error,
      advice,
    });
  if (code === 'CERT_HAS_EXPIRED') {
    return make(
      'CERT_EXPIRED',
      `has expired${shown === undefined ? '' : ` on ${shown.validTo}`}`,
      'Renew the certificate of the server (or of its authority, if that is the one). If this clock is wrong, set it.',
    );
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return make(
      'CERT_NOT_YET_VALID',
      `is valid only from ${shown?.validFrom ?? 'a later date'} on`,
      'Is the clock of this host right?',
    );
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return make(
      'CERT_WRONG_NAME',
      `is for ${shown?.names ?? 'other names'}, not for ${expected}`,
      'If that is the right server under another name (a VPC endpoint has an internal and a public one), set servername in endpoints.yaml to a name that the certificate holds.',
    );
  }
  if (code === 'DEPTH_ZERO_SELF_SIGNED_CERT' || (shown?.selfSigned === true && UNKNOWN_AUTHORITY.has(code))) {
    return make(
      'CERT_SELF_SIGNED',
      'is signed by nobody but itself',
      'Put that certificate (get it from who runs the server, and compare) into a PEM file and name it as ca in endpoints.yaml.',
    );
  }
  if (UNKNOWN_AUTHORITY.has(code)) {
    return make(
      'CERT_UNKNOWN_AUTHORITY',
      'comes from an authority that is not trusted here',
      ownCa
        ? 'The PEM files under ca do not hold the authority that issued it: add the root, and an intermediate if the server does not send it.'
        : 'Put the certificate of that authority into a PEM file and name it as ca in endpoints.yaml.',
    );
  }
  if (/^CERT_|^CRL_/.test(code)) {
    return make(code, `cannot be trusted: ${messageOf(error)}`, 'Look at the certificate of the server.');
  }
  return handshakeFault(error, code, trouble);
}

function handshakeFault(error: unknown, code: string, { name, of }: TlsTrouble): Fault {
  const said = messageOf(error);
  const make = (kind: 'rejected' | 'unreachable', ours: string, what: string, advice: string): Fault =>
    new Fault(kind, `${name}: TLS on the ${of} failed: ${what}`, { code: ours, cause: error, advice });
  if (
    /WRONG_VERSION_NUMBER|wrong version number|PACKET_LENGTH|packet length|HTTP_REQUEST/i.test(
      `${code} ${said}`,
    )
  ) {
    return make(
      'rejected',
      'NOT_TLS',
      'the server does not answer with TLS',
      'With implicit: true the server must speak TLS from the first byte (port 990); without it, it must do so after AUTH TLS.',
    );
  }
  if (
    /UNSUPPORTED_PROTOCOL|unsupported protocol|PROTOCOL_VERSION|NO_PROTOCOLS|version too low/i.test(
      `${code} ${said}`,
    )
  ) {
    return make(
      'rejected',
      'TLS_VERSION',
      'no version in common',
      'Ferry speaks TLS 1.2 and 1.3 (up to maxTls). The server needs one of them.',
    );
  }
  if (
    /HANDSHAKE_FAILURE|handshake failure|NO_SHARED_CIPHER|DH_KEY_TOO_SMALL|dh key too small/i.test(
      `${code} ${said}`,
    )
  ) {
    return make(
      'rejected',
      'TLS_HANDSHAKE',
      said,
      'The two sides have no cipher or curve in common, or the server asks for a client certificate.',
    );
  }
  return make(
    'unreachable',
    /^[A-Z_]+$/.test(code) && !code.startsWith('ERR_') ? code : 'TLS_CUT',
    said,
    'The server or something on the way ended the connection during the handshake; its log may say why.',
  );
}
