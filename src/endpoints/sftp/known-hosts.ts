/**
 * Reads a known_hosts file as sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT", has it: patterns, negation, `[host]:port`,
 * hashed names, `@revoked`. `@cert-authority` is noticed, so that it can be refused in words: ssh2 does not do
 * certificates.
 */

import { createHmac } from 'node:crypto';
import { fits } from './patterns.ts';

export interface KnownHosts {
  /** Keys (base64) that are trusted for the host, by type. */
  readonly trusted: readonly KnownKey[];
  /** Of the host on port 22, where it is another port that is asked for: ssh takes them as well, but misses none. */
  readonly onUsualPort: readonly KnownKey[];
  readonly revoked: readonly KnownKey[];
  /** A certificate authority is named for the host. */
  readonly authority: boolean;
}

export interface KnownKey {
  readonly type: string;
  readonly key: string;
}

/** What is asked for: a host and its port, or the name that `HostKeyAlias` gives it. */
export type Asked = { readonly host: string; readonly port: number } | { readonly alias: string };

const USUAL_PORT = 22;
const KEY_TYPE = /^(ssh|ecdsa|sk)-/;

/** What a file says about a host. Lines that cannot be read are passed over, as OpenSSH does. */
export function knownHostsFor(text: string, asked: Asked): KnownHosts {
  const plain = ('alias' in asked ? asked.alias : asked.host).toLowerCase();
  const name = 'alias' in asked || asked.port === USUAL_PORT ? plain : `[${plain}]:${asked.port}`;
  const trusted: KnownKey[] = [];
  const onUsualPort: KnownKey[] = [];
  const revoked: KnownKey[] = [];
  let authority = false;
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [patterns = '', type = '', key = ''] = words;
    if (patterns.startsWith('#') || key === '' || !KEY_TYPE.test(type)) continue;
    const exact = matches(patterns, name);
    if (!exact && (name === plain || !matches(patterns, plain))) continue;
    if (marker === '@revoked') revoked.push({ type, key });
    else if (marker === '@cert-authority') authority ||= exact;
    else if (marker === undefined) (exact ? trusted : onUsualPort).push({ type, key });
  }
  return { trusted, onUsualPort, revoked, authority };
}

/** What several files say, one after the other. */
export function allKnown(files: readonly KnownHosts[]): KnownHosts {
  return {
    trusted: files.flatMap((file) => file.trusted),
    onUsualPort: files.flatMap((file) => file.onUsualPort),
    revoked: files.flatMap((file) => file.revoked),
    authority: files.some((file) => file.authority),
  };
}

function matches(patterns: string, name: string): boolean {
  let found = false;
  for (const pattern of patterns.split(',')) {
    if (pattern.startsWith('|1|')) found ||= hashedMatch(pattern, name);
    else if (pattern.startsWith('!')) {
      if (fits(pattern.slice(1).toLowerCase(), name)) return false;
    } else found ||= fits(pattern.toLowerCase(), name);
  }
  return found;
}

/** `|1|salt|hash`: HMAC-SHA1 of the name, keyed with the salt. */
function hashedMatch(pattern: string, name: string): boolean {
  const [, , salt = '', hash = ''] = pattern.split('|');
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
}
