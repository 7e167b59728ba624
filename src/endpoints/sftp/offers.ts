/** What a server offers for the key exchange: it says so in clear text, in its first packet after the banner. */

import type { KexAlgorithm } from 'ssh2';

/** What Ferry speaks, the preferred first. */
export const KEX: readonly KexAlgorithm[] = [
  'curve25519-sha256@libssh.org',
  'curve25519-sha256',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group15-sha512',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group17-sha512',
  'diffie-hellman-group18-sha512',
];

export interface Offers {
  readonly kex: readonly string[];
  readonly hostKeys: readonly string[];
  /** Towards the server, as the next. */
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
}

/** Bytes of a conversation in which the banner and the first packet lie. */
export const OPENING_BYTES = 8_192;

const KEXINIT = 20;
const COOKIE_BYTES = 16;

/**
 * RFC 4253, sections 6 and 7.1.
 * @param opening the first bytes that the server sent
 * @returns undefined while they do not hold the whole packet, or when it is another
 */
export function offersIn(opening: Buffer): Offers | undefined {
  const banner = /(?:^|\n)SSH-[^\n]*\n/.exec(opening.toString('latin1'));
  if (banner === null) return undefined;
  const packet = opening.subarray(banner.index + banner[0].length);
  if (packet.length < 6 || packet.length < 4 + packet.readUInt32BE(0) || packet[5] !== KEXINIT)
    return undefined;
  let at = 6 + COOKIE_BYTES;
  const names = (): readonly string[] => {
    const length = at + 4 <= packet.length ? packet.readUInt32BE(at) : 0;
    const text = packet.toString('latin1', at + 4, at + 4 + length);
    at += 4 + length;
    return text.split(',').filter((name) => name !== '' && !isMarker(name));
  };
  const [kex, hostKeys, ciphers] = [names(), names(), names()];
  names(); // ciphers from the server
  return { kex, hostKeys, ciphers, macs: names() };
}

/** Names that are no algorithm but say that something is understood (RFC 8308, strict key exchange). */
function isMarker(name: string): boolean {
  return name.startsWith('ext-info-') || name.startsWith('kex-strict-');
}

/** What both have, by the client's preference. */
export function agreed(ours: readonly string[], theirs: readonly string[]): string | undefined {
  return ours.find((name) => theirs.includes(name));
}

/** Names joined for a message. */
export function few(names: readonly string[]): string {
  const most = 6;
  return names.length <= most
    ? names.join(', ')
    : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}
