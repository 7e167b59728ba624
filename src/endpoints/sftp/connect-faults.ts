/**
 * Where what goes wrong in a connect becomes a Fault: which part of the way is broken, what that usually means, and
 * the next thing to do. Never holds a secret: neither passwords nor keys come here.
 */

import { codeOf, Fault, messageOf } from '../../sync/errors.ts';
import { loginCut, loginRefused } from './login-faults.ts';
import { few, type Offers } from './offers.ts';
import { notSsh } from './stranger-faults.ts';

/** How far a connect had come. */
export type Phase = 'road' | 'banner' | 'key exchange' | 'login' | 'sftp';

export interface ConnectTrouble {
  /** First error that was seen, if any. */
  readonly error: unknown;
  readonly phase: Phase;
  /** First bytes that the far side sent. */
  readonly sniffed: Buffer;
  /** The server's identification, '' while it is not known. */
  readonly ident: string;
  /** What it offers for the key exchange, once it is known. */
  readonly offers: Offers | undefined;
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
  const { error, phase } = trouble;
  if (error instanceof Fault) return error;
  const stranger = notSsh(trouble);
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
  const stranger = notSsh(trouble);
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
    { code: 'ETIMEDOUT', ...(silent ? SAYS_NOTHING : TOO_SLOW) },
  );
}

const SAYS_NOTHING = {
  means:
    'The port is open but says nothing: a load balancer whose targets are unhealthy, a firewall that lets only the handshake pass, or a server that is overloaded.',
  advice: 'Look at the health of the targets, and at the load of the server.',
} as const;

const TOO_SLOW = {
  means: 'The server is slow, or the line loses packets (a path MTU too small for a VPN does just this).',
  advice:
    'Try a longer connectTimeout; over a VPN try a smaller MTU on this host (ip link set DEVICE mtu 1400).',
} as const;

function noCommon(said: string, { name, road, offers }: ConnectTrouble): Fault {
  const what = said.replace(/^.*no matching /, '');
  const [theirs, advice] = adviceFor(what, offers);
  const shown = theirs === undefined || theirs.length === 0 ? '' : `; it offers only ${few(theirs)}`;
  return new Fault('rejected', `${name}: ${road} and Ferry have no ${what} in common${shown}`, {
    code: 'NO_COMMON_ALGORITHM',
    ...advice,
  });
}

type Advice = { readonly means?: string; readonly advice: string };

function adviceFor(
  what: string,
  offers: Offers | undefined,
): readonly [readonly string[] | undefined, Advice] {
  if (/key exchange/.test(what)) {
    const advice =
      'Let it also offer curve25519-sha256 or ecdh-sha2-nistp256 (KexAlgorithms in its sshd_config).';
    return [offers?.kex, { means: kexMeans(offers?.kex ?? []), advice }];
  }
  if (/host key/.test(what)) {
    const advice = 'Give it an ed25519 host key (HostKey and HostKeyAlgorithms in its sshd_config).';
    return [
      offers?.hostKeys,
      { means: 'Its host keys are of kinds that nobody should use any more.', advice },
    ];
  }
  const [theirs, setting] = /cipher/.test(what) ? [offers?.ciphers, 'Ciphers'] : [offers?.macs, 'MACs'];
  return [theirs, { advice: `Look at ${setting} in its sshd_config, and at ciphers in endpoints.yaml.` }];
}

function kexMeans(offered: readonly string[]): string {
  const quantum = offered.length > 0 && offered.every((name) => /^(sntrup|mlkem)/.test(name));
  if (quantum) return 'The server allows only post-quantum key exchanges, which Ferry does not know yet.';
  const old = offered.length > 0 && offered.every((name) => /sha1$/.test(name));
  if (old) return 'The server allows only key exchanges with SHA-1, which are not safe any more.';
  return 'The server allows only key exchanges that Ferry does not know (post-quantum ones, or those with SHA-1).';
}

function noSftp(trouble: ConnectTrouble, said: string): Fault {
  const { name, user } = trouble;
  if (/exceeds max length|Expected VERSION|Unknown packet type|Malformed/.test(said)) {
    return noise(trouble, said);
  }
  if (/Unable to start subsystem|administratively|open fail|Unable to request/i.test(said)) {
    return new Fault('rejected', `${name} let ${user} in, but offers no SFTP: ${said}`, {
      code: 'NO_SFTP',
      means: 'The server knows no subsystem sftp, or does not let this user use it.',
      advice: 'Its sshd_config needs a line such as: Subsystem sftp internal-sftp',
    });
  }
  return new Fault('unreachable', `${name} let ${user} in, and ended before SFTP started: ${said}`, {
    code: 'SFTP_CUT',
    cause: trouble.error,
    means:
      'If it happens each time: the account has no valid shell, its chroot or a folder above does not belong to root, or its line in authorized_keys forces another command.',
    advice: 'The log of sshd says which it is.',
  });
}

/** Text came where the first packet of SFTP was due: its first four bytes were taken for a length, and are in the error. */
function noise({ name, user }: ConnectTrouble, said: string): Fault {
  const length = Number(/length (\d+)/.exec(said)?.[1] ?? 0);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length > 0xff_ff_ff_ff ? 0 : length);
  const begins = /^[\x20-\x7e]{4}$/.test(head.toString('latin1'))
    ? ` (it begins with "${head.toString('latin1')}")`
    : '';
  const cloud = /^Plea/.test(head.toString('latin1'));
  const means = cloud
    ? `It says "Please login as the user …": the image does not let ${user} in, only its own user.`
    : 'A login script of that user (.bashrc, .profile) writes something, or its shell is nologin.';
  const advice = cloud
    ? 'Set user to the one of the image: ec2-user (Amazon Linux, Red Hat), ubuntu, admin (Debian), rocky.'
    : 'Use internal-sftp as Subsystem, or silence the script.';
  return new Fault('rejected', `${name}: the login of ${user} prints text where SFTP should start${begins}`, {
    code: 'SFTP_NOISE',
    cause: said,
    means,
    advice,
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
    ...(early ? TURNED_AWAY : { advice: 'The server or something on the way gave up; its log may say why.' }),
  });
}

const TURNED_AWAY = {
  means:
    'A load balancer without a healthy target or with the PROXY protocol, a server that turns this address away for now (MaxStartups, penalties, fail2ban), or one that does not speak SSH.',
  advice:
    'Look at the health of the targets and at the log of sshd; try again in a minute. With the PROXY protocol, set proxyProtocol: v1 or v2.',
} as const;
