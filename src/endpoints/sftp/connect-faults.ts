/**
 * Where what goes wrong in a connect becomes a Fault: which part of the way is broken, what that usually means, and
 * the next thing to do. Never holds a secret: neither passwords nor keys come here.
 */

import { codeOf, Fault, messageOf } from '../../sync/errors.ts';

/** How far a connect had come. */
export type Phase = 'road' | 'banner' | 'key exchange' | 'login' | 'sftp';

export interface ConnectTrouble {
  /** First error that was seen, if any. */
  readonly error: unknown;
  readonly phase: Phase;
  /** First bytes that the far side sent. */
  readonly sniffed: Buffer;
  readonly name: string;
  readonly user: string;
  /** Over which road: `10.0.0.7:22`. */
  readonly road: string;
  /** What was tried to log in, and what the server says it takes. */
  readonly tried: readonly string[];
  readonly accepts: readonly string[];
  readonly partial: boolean;
}

export function connectFault(trouble: ConnectTrouble): Fault {
  const { error, phase, sniffed } = trouble;
  if (error instanceof Fault) return error;
  const stranger = notSsh(sniffed, trouble);
  if (stranger !== undefined) return stranger;
  const said = messageOf(error);
  if (/no matching/.test(said)) return noCommon(said, trouble);
  if (/All configured authentication methods failed|Too many authentication failures/i.test(said))
    return loginRefused(trouble, said);
  if (phase === 'login') return loginCut(trouble, said);
  if (phase === 'sftp') return noSftp(trouble, said);
  return cut(trouble, said);
}

/** The connect took too long. */
export function connectSilence(trouble: ConnectTrouble, timeoutMs: number): Fault {
  const { phase, name, road, sniffed } = trouble;
  const stranger = notSsh(sniffed, trouble);
  if (stranger !== undefined) return stranger;
  const doing: Readonly<Record<Phase, string>> = {
    road: 'opening the connection',
    banner: 'waiting for an SSH banner',
    'key exchange': 'exchanging keys',
    login: 'logging in',
    sftp: 'starting SFTP',
  };
  const silent = phase === 'banner' && sniffed.length === 0;
  return new Fault(
    'unreachable',
    `${name}: ${road} did not get further than ${doing[phase]} within ${timeoutMs / 1000} s`,
    {
      code: 'ETIMEDOUT',
      advice: silent
        ? 'The port is open but says nothing: a load balancer whose targets are unhealthy, a firewall that lets only the handshake pass, or a server that is overloaded.'
        : 'The server is slow or the line loses packets (a path MTU too small for a VPN does just this). A longer connectTimeout may help.',
    },
  );
}

function notSsh(sniffed: Buffer, trouble: ConnectTrouble): Fault | undefined {
  const text = sniffed.toString('latin1', 0, 200);
  if (/^HTTP\/\d/.test(text)) {
    return strangerFault(
      trouble,
      'HTTP_ANSWER',
      'answers with HTTP, not SSH',
      'This is a web server or an Application Load Balancer, which speaks HTTP only: SFTP needs a Network Load Balancer (TCP listener), or the right port.',
    );
  }
  if (sniffed.length >= 3 && (sniffed[0] === 0x15 || sniffed[0] === 0x16) && sniffed[1] === 3) {
    return tlsFault(trouble);
  }
  if (/^220[ -]/.test(text)) {
    const advice = 'For FTPS use an endpoint of type ftps.';
    return strangerFault(trouble, 'FTP_ANSWER', 'is an FTP or mail server, not SSH', advice);
  }
  return undefined;
}

export function tlsFault(trouble: ConnectTrouble): Fault {
  return strangerFault(
    trouble,
    'TLS_ANSWER',
    'speaks TLS, not SSH',
    'This port is for HTTPS or FTPS: use the SSH port, a TCP listener instead of a TLS one, or an endpoint of type ftps.',
  );
}

function strangerFault({ name, road }: ConnectTrouble, code: string, what: string, advice: string): Fault {
  return new Fault('rejected', `${name}: ${road} ${what}`, { code, advice });
}

function noCommon(said: string, { name, road }: ConnectTrouble): Fault {
  const what = said.replace(/^.*no matching /, '');
  return new Fault('rejected', `${name}: ${road} and Ferry have no ${what} in common`, {
    code: 'NO_COMMON_ALGORITHM',
    advice: /key exchange/.test(what)
      ? 'The server allows only key exchanges that Ferry does not know (post-quantum ones, or SHA-1). Let it also offer curve25519-sha256 or ecdh-sha2-nistp256 (KexAlgorithms in its sshd_config).'
      : 'Look at Ciphers, MACs and HostKeyAlgorithms in its sshd_config, and at ciphers in endpoints.yaml.',
  });
}

function loginRefused(trouble: ConnectTrouble, said: string): Fault {
  const { name, user, tried, accepts, partial } = trouble;
  const takes = accepts.length === 0 ? '' : `; it takes ${accepts.join(', ')}`;
  return new Fault(
    'rejected',
    `${name} refused to log ${user} in with ${tried.join(', ') || 'nothing'}${takes}`,
    {
      code: 'LOGIN_REFUSED',
      cause: said,
      advice: loginAdvice(tried, accepts, partial),
    },
  );
}

function loginAdvice(tried: readonly string[], accepts: readonly string[], partial: boolean): string {
  if (partial)
    return 'The first step was accepted, but the server asks for a second one (two-factor login), which an unattended program cannot give.';
  const key = tried.some((way) => way.startsWith('key') || way.startsWith('agent'));
  if (
    !key &&
    accepts.length > 0 &&
    !accepts.some((way) => way === 'password' || way === 'keyboard-interactive')
  ) {
    return 'The server takes keys only: set key in endpoints.yaml.';
  }
  if (!key) return 'Wrong user or password, or the account is locked.';
  const rsa = tried.some((way) => way.includes('ssh-rsa'))
    ? ' An old server may know only SHA-1 RSA signatures, a new one refuses them: an ed25519 key avoids both.'
    : '';
  return (
    'Is it the right user for the image (ec2-user on Amazon Linux, ubuntu, admin on Debian, rocky), and is the public key in ' +
    `that user's ~/.ssh/authorized_keys (mode 600, the folder 700)?${rsa}`
  );
}

export function passwordExpired({ name, user }: ConnectTrouble): Fault {
  return new Fault('rejected', `${name}: the password of ${user} has expired`, {
    code: 'PASSWORD_EXPIRED',
    advice: 'Log in by hand to set a new one, or better: use a key.',
  });
}

function loginCut(trouble: ConnectTrouble, said: string): Fault {
  return new Fault('unreachable', `${trouble.name} ended the connection during the login: ${said}`, {
    code: 'LOGIN_CUT',
    advice:
      'Too many logins at once (MaxStartups), too many keys in the agent (MaxAuthTries), or the server ended.',
  });
}

function noSftp(trouble: ConnectTrouble, said: string): Fault {
  const { name, user } = trouble;
  if (/exceeds max length|Expected VERSION|Unknown packet type|Malformed/.test(said)) {
    return new Fault('rejected', `${name}: the login of ${user} prints text where SFTP should start`, {
      code: 'SFTP_NOISE',
      cause: said,
      advice:
        'A login script of that user (.bashrc, .profile) writes something, or its shell is nologin: use internal-sftp as Subsystem, or silence the script.',
    });
  }
  if (/Unable to start subsystem|administratively|open fail|Unable to request/i.test(said)) {
    return new Fault('rejected', `${name} let ${user} in, but offers no SFTP: ${said}`, {
      code: 'NO_SFTP',
      advice: 'Its sshd_config needs a line such as: Subsystem sftp internal-sftp',
    });
  }
  return new Fault('unreachable', `${name} let ${user} in, and ended before SFTP started: ${said}`, {
    code: 'SFTP_CUT',
    cause: trouble.error,
    advice:
      'If it happens each time: does the account have a valid shell, and do its chroot and the folders above belong to root? The log of sshd says more.',
  });
}

function cut(trouble: ConnectTrouble, said: string): Fault {
  const { name, road, phase } = trouble;
  const words = /^[\x20-\x7e]+/.exec(trouble.sniffed.toString('latin1'))?.[0];
  const early = phase === 'banner';
  const when = !early
    ? `during the ${phase}`
    : words === undefined
      ? 'before it said anything'
      : `after it said "${words}"`;
  return new Fault('unreachable', `${name}: ${road} ended the connection ${when}: ${said}`, {
    code: codeOf(trouble.error) ?? 'ECONNRESET',
    cause: trouble.error,
    advice: early
      ? 'A load balancer without a healthy target, a server that turns this address away for now (MaxStartups, penalties, fail2ban), or one that does not speak SSH.'
      : 'The server or something on the way gave up; its log may say why.',
  });
}

/** The step that a fault of the connect belongs to, where its code says so. */
const STEP_OF: readonly (readonly [step: string, codes: RegExp])[] = [
  ['name', /^(ENOTFOUND|EAI_AGAIN)$/],
  ['tcp', /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/],
  ['hop', /^(FORWARDING_PROHIBITED|HOP_|VIA_)/],
  ['proxy command', /^PROXY_COMMAND$/],
  ['banner', /^(HTTP|TLS|FTP)_ANSWER$/],
  ['key exchange', /^NO_COMMON_ALGORITHM$/],
  ['host key', /^(HOST_KEY_|KNOWN_HOSTS)/],
  ['login', /^(LOGIN_|KEY_|AGENT)/],
  ['sftp', /^(NO_SFTP|SFTP_NOISE|SFTP_CUT)$/],
];
/** In the order in which a connect passes them, for faults whose code does not say. */
const WAY: readonly string[] = ['name', 'tcp', 'banner', 'host key', 'login', 'sftp'];

/** The step of `ferry check` at which a connect broke that had passed these. */
export function brokenStep(fault: Fault, passed: readonly string[]): string {
  const { code = '' } = fault;
  const byCode = STEP_OF.find(([, codes]) => codes.test(code))?.[0];
  return byCode ?? WAY.find((step) => !passed.includes(step)) ?? 'sftp';
}
