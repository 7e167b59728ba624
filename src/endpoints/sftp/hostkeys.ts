/**
 * Host keys are pinned, always: by fingerprints in the settings, by a known_hosts file, or by both. A server
 * without a pin is not spoken to; what it showed is in the fault, so that a person can compare and pin it.
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ServerHostKeyAlgorithm } from 'ssh2';
import { codeOf, Fault, messageOf } from '../../sync/errors.ts';
import { allKnown, type KnownHosts, type KnownKey, knownHostsFor } from './known-hosts.ts';
import type { SftpSettings } from './settings.ts';

export interface HostKey {
  /** e.g. `ssh-ed25519` */
  readonly type: string;
  /** `SHA256:` and base64 without padding. */
  readonly fingerprint: string;
}

/** Names of host key algorithms by the family of their key, in the order in which they are asked for. */
export const FAMILIES: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  ed25519: ['ssh-ed25519'],
  ecdsa: ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  rsa: ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
};

export function familyOf(type: string): string {
  return type.includes('ed25519') ? 'ed25519' : type.includes('ecdsa') ? 'ecdsa' : 'rsa';
}

/** @param key as it goes over the wire (RFC 4253, section 6.6) */
export function hostKeyOf(key: Buffer): HostKey {
  const length = key.length < 4 ? 0 : key.readUInt32BE(0);
  const digest = createHash('sha256').update(key).digest('base64').replace(/=+$/, '');
  return { type: key.toString('latin1', 4, 4 + Math.min(length, 64)), fingerprint: `SHA256:${digest}` };
}

export class HostKeys {
  readonly #name: string;
  readonly #host: string;
  readonly #pins: readonly string[];
  readonly #files: string;
  readonly #known: KnownHosts;

  private constructor(name: string, settings: SftpSettings, known: KnownHosts) {
    this.#name = name;
    this.#host = settings.hostKeyAlias ?? settings.host;
    this.#pins = settings.hostKey.map((pin) => pin.replace(/=+$/, ''));
    this.#files = settings.knownHosts.join(', ');
    this.#known = known;
  }

  /** Reads the known_hosts files that are set. @throws Fault `rejected` when one cannot be read */
  static async load(name: string, settings: SftpSettings): Promise<HostKeys> {
    const { host, port, hostKeyAlias } = settings;
    const asked = hostKeyAlias === undefined ? { host, port } : { alias: hostKeyAlias };
    const files = settings.knownHosts.map(async (file) =>
      knownHostsFor(await textOf(name, file, settings), asked),
    );
    return new HostKeys(name, settings, allKnown(await Promise.all(files)));
  }

  /** Families of the keys that are known, first to be asked for; empty where only fingerprints are. */
  get families(): readonly string[] {
    return [...new Set(this.#trusted.map(({ type }) => familyOf(type)))];
  }

  get #trusted(): readonly KnownKey[] {
    const { trusted, onUsualPort } = this.#known;
    return trusted.length > 0 ? trusted : onUsualPort;
  }

  pinned(key: Buffer): boolean {
    if (this.revoked(key)) return false;
    if (this.#pins.includes(hostKeyOf(key).fingerprint)) return true;
    return holds(this.#trusted, key);
  }

  /** Whoever shows it may be anybody: not even to be pinned anew. */
  revoked(key: Buffer): boolean {
    return holds(this.#known.revoked, key);
  }

  /** Why that key is not accepted. */
  refusal(key: Buffer): Fault {
    const { type, fingerprint } = hostKeyOf(key);
    const shown = `${type} ${fingerprint}`;
    const name = this.#name;
    if (this.revoked(key)) {
      return new Fault(
        'rejected',
        `${name} showed a host key that ${this.#files} marks as revoked: ${shown}`,
        {
          code: 'HOST_KEY_REVOKED',
          advice: 'Do not connect. Ask whoever runs the server.',
        },
      );
    }
    const expected = [
      ...this.#pins,
      ...this.#known.trusted.map((known) => hostKeyOf(Buffer.from(known.key, 'base64')).fingerprint),
    ];
    if (expected.length > 0) return changed(name, shown, expected);
    if (this.#known.authority) {
      return new Fault(
        'rejected',
        `${this.#files} trusts ${this.#host} by a certificate authority, which Ferry cannot check`,
        {
          code: 'HOST_KEY_AUTHORITY',
          advice: `Pin the host key itself: ${howToPin(name)} (it shows ${shown}).`,
        },
      );
    }
    return new Fault('rejected', `the host key of ${name} is not pinned; it shows ${shown}`, {
      code: 'HOST_KEY_UNKNOWN',
      advice: howToPin(name),
    });
  }
}

function holds(keys: readonly KnownKey[], key: Buffer): boolean {
  const base64 = key.toString('base64');
  return keys.some((known) => known.key === base64);
}

async function textOf(name: string, file: string, settings: SftpSettings): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    // ssh has a list of them, few of which are there.
    if (settings.sshConfig !== undefined && codeOf(error) === 'ENOENT') return '';
    throw new Fault(
      'rejected',
      `the known_hosts file ${file} of ${name} cannot be read: ${messageOf(error)}`,
      {
        code: codeOf(error) ?? 'KNOWN_HOSTS',
        cause: error,
        advice: 'Correct knownHosts in endpoints.yaml.',
      },
    );
  }
}

/** A jump host that an ssh_config names has no entry that `ferry trust` could write to. */
function howToPin(name: string): string {
  const alias = /^(.*) \(for .+\)$/.exec(name)?.[1];
  if (alias === undefined) return `ferry trust ${name}`;
  return `log in there once by hand, so that known_hosts has its key (ssh ${alias.replace(/:(\d+)$/, ' -p $1')})`;
}

function changed(name: string, shown: string, expected: readonly string[]): Fault {
  return new Fault(
    'rejected',
    `${name} shows another host key than the pinned one: ${shown}, pinned ${expected.join(', ')}`,
    {
      code: 'HOST_KEY_CHANGED',
      advice:
        'Either the server was set up anew, or a load balancer has one more target, or someone stands in between. Ask whoever ' +
        `runs it; if it is right: ${howToPin(name)}.`,
    },
  );
}
