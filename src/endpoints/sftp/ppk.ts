/**
 * PuTTY's private keys (.ppk) of version 2 and 3, as the appendix "PPK file format" of PuTTY's manual has them: the
 * MAC is verified before anything in the file is used, and the key comes out in OpenSSH's format, in memory only.
 */

import crypto, { createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { openSshKey } from './openssh-key.ts';
import { Fields, strings, typeOfKey, uint32 } from './ssh-bytes.ts';
import { badType, missingPassphrase, UnusableKey, wrongPassphrase } from './unusable-key.ts';

const FIRST_LINE = /^PuTTY-User-Key-File-(\d+): /;
const CIPHER_BLOCK_BYTES = 16;
/** Far above what PuTTYgen asks for (8 MiB); a file that asks for more would take Ferry's memory away. */
const MOST_MEMORY_KIB = 1024 * 1024;
const MOST_PASSES = 100_000;

const FLAVOURS: Readonly<Record<string, 'argon2d' | 'argon2i' | 'argon2id'>> = {
  Argon2d: 'argon2d',
  Argon2i: 'argon2i',
  Argon2id: 'argon2id',
};

export function isPpk(text: string): boolean {
  return FIRST_LINE.test(text);
}

/**
 * @param text of the file, read as Latin-1: the MAC is over its bytes
 * @returns the key in OpenSSH's format, not encrypted: never to be written anywhere
 * @throws UnusableKey
 */
export async function openPpk(text: string, passphrase: string | undefined): Promise<string> {
  const file = parse(text);
  const { version, type } = file;
  if (version !== 2 && version !== 3) {
    throw new UnusableKey(
      'KEY_FORMAT',
      `is a PuTTY key of version ${version}, and Ferry reads versions 2 and 3`,
      'Open it in PuTTYgen and save it again, or: puttygen KEY.ppk -O private-openssh -o KEY.',
    );
  }
  if (file.encryption !== 'none' && file.encryption !== 'aes256-cbc') {
    throw new UnusableKey(
      'KEY_FORMAT',
      `is a PuTTY key encrypted with ${file.encryption}, which Ferry does not know`,
      'Open it in PuTTYgen and save it again, or: puttygen KEY.ppk -O private-openssh -o KEY.',
    );
  }
  const convert = CONVERTERS[type];
  if (convert === undefined) throw badType(type);
  const encrypted = file.encryption !== 'none';
  if (encrypted && (passphrase ?? '') === '') throw missingPassphrase();
  const secrets = await derive(file, encrypted ? (passphrase ?? '') : undefined);
  const plain = decrypt(file, secrets);
  const mac = createHmac(version === 2 ? 'sha1' : 'sha256', secrets.mac)
    .update(strings(type, file.encryption, file.comment, file.publicKey, plain))
    .digest();
  if (mac.length !== file.mac.length || !timingSafeEqual(mac, file.mac)) {
    throw encrypted ? wrongPassphrase('puttygen KEY -O fingerprint') : damaged('its checksum is wrong');
  }
  try {
    return openSshKey(type, file.publicKey, convert(new Fields(file.publicKey), new Fields(plain)));
  } catch {
    throw damaged('its fields are not those of such a key');
  }
}

interface Ppk {
  readonly version: number;
  readonly type: string;
  readonly encryption: string;
  readonly comment: string;
  /** As it goes over the wire. */
  readonly publicKey: Buffer;
  /** Encrypted where `encryption` is not `none`. */
  readonly privateKey: Buffer;
  readonly mac: Buffer;
  readonly headers: ReadonlyMap<string, string>;
}

function parse(text: string): Ppk {
  const version = Number(FIRST_LINE.exec(text)?.[1]);
  const headers = new Map<string, string>();
  const blobs = new Map<string, Buffer>();
  const lines = text.split(/\r\n|\r|\n/);
  for (let at = 0; at < lines.length; at += 1) {
    const [, name = '', value = ''] = /^([^:]+): (.*)$/.exec(lines[at] ?? '') ?? [];
    if (name === '') continue;
    headers.set(name, value);
    if (!name.endsWith('-Lines')) continue;
    const count = wholeNumber(value);
    blobs.set(name, Buffer.from(lines.slice(at + 1, at + 1 + count).join(''), 'base64'));
    at += count;
  }
  const header = (name: string): string => {
    const value = headers.get(name);
    if (value === undefined) throw damaged(`the line "${name}:" is missing`);
    return value;
  };
  const blob = (name: string): Buffer => {
    const bytes = blobs.get(name);
    if (bytes === undefined) throw damaged(`the lines of "${name}:" are missing`);
    return bytes;
  };
  const type = header(`PuTTY-User-Key-File-${version}`);
  if (version !== 2 && version !== 3) {
    const nothing = Buffer.alloc(0);
    const none = { encryption: '', comment: '', publicKey: nothing, privateKey: nothing, mac: nothing };
    return { version, type, ...none, headers };
  }
  const publicKey = blob('Public-Lines');
  if (typeOfKey(publicKey) !== type) throw damaged('it names one type of key and holds another');
  return {
    version,
    type,
    encryption: header('Encryption'),
    comment: headers.get('Comment') ?? '',
    publicKey,
    privateKey: blob('Private-Lines'),
    mac: Buffer.from(header('Private-MAC'), 'hex'),
    headers,
  };
}

function wholeNumber(text: string | undefined): number {
  const value = /^\d{1,9}$/.test(text ?? '') ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw damaged(`"${text ?? ''}" stands where a number should`);
  return value;
}

interface Secrets {
  readonly key: Buffer;
  readonly iv: Buffer;
  readonly mac: Buffer;
}

/** @param passphrase undefined where the file is not encrypted */
async function derive(file: Ppk, passphrase: string | undefined): Promise<Secrets> {
  const nothing = Buffer.alloc(0);
  if (file.version === 2) {
    const sha1 = (...parts: readonly (string | Buffer)[]): Buffer =>
      createHash('sha1')
        .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
        .digest();
    const given = passphrase ?? '';
    return {
      key: Buffer.concat([sha1(uint32(0), given), sha1(uint32(1), given)]).subarray(0, 32),
      iv: Buffer.alloc(CIPHER_BLOCK_BYTES),
      mac: sha1('putty-private-key-file-mac-key', given),
    };
  }
  if (passphrase === undefined) return { key: nothing, iv: nothing, mac: nothing };
  const all = await stretch(file.headers, passphrase);
  return { key: all.subarray(0, 32), iv: all.subarray(32, 48), mac: all.subarray(48, 80) };
}

async function stretch(headers: ReadonlyMap<string, string>, passphrase: string): Promise<Buffer> {
  const flavour = FLAVOURS[headers.get('Key-Derivation') ?? ''];
  const memory = wholeNumber(headers.get('Argon2-Memory'));
  const passes = wholeNumber(headers.get('Argon2-Passes'));
  const parallelism = wholeNumber(headers.get('Argon2-Parallelism'));
  const nonce = Buffer.from(headers.get('Argon2-Salt') ?? '', 'hex');
  if (flavour === undefined || nonce.length < 8 || passes < 1 || parallelism < 1) {
    throw damaged('the lines that say how its passphrase is used make no sense');
  }
  if (memory > MOST_MEMORY_KIB || passes > MOST_PASSES || memory < 8 * parallelism) {
    throw new UnusableKey(
      'KEY_FORMAT',
      `asks for ${memory} KiB of memory and ${passes} passes to use its passphrase, which Ferry does not do`,
      "Save it again with PuTTYgen's usual parameters (8192 KiB).",
    );
  }
  // Node has it since 24.7.
  if (typeof crypto.argon2 !== 'function') {
    throw new UnusableKey(
      'KEY_FORMAT',
      'is encrypted with Argon2, for which this Node is too old',
      'Run Ferry on Node 24.7 or newer, or save the key as version 2: puttygen KEY.ppk --reencrypt --ppk-param version=2 -o KEY.ppk.',
    );
  }
  const message = Buffer.from(passphrase);
  return await promisify(crypto.argon2)(flavour, {
    message,
    nonce,
    parallelism,
    tagLength: 80,
    memory,
    passes,
  });
}

function decrypt({ encryption, privateKey }: Ppk, { key, iv }: Secrets): Buffer {
  if (encryption === 'none') return privateKey;
  if (privateKey.length === 0 || privateKey.length % CIPHER_BLOCK_BYTES !== 0) {
    throw damaged('its private part is not whole');
  }
  const decipher = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
  return Buffer.concat([decipher.update(privateKey), decipher.final()]);
}

type Converter = (publicKey: Fields, privateKey: Fields) => Buffer;

/** What OpenSSH writes behind the type of the key, from what PuTTY has in its public and private parts. */
const CONVERTERS: Readonly<Record<string, Converter>> = {
  'ssh-rsa': (pub, priv) => {
    pub.string();
    const [e, n] = [pub.string(), pub.string()];
    const [d, p, q, iqmp] = [priv.string(), priv.string(), priv.string(), priv.string()];
    return strings(n, e, d, iqmp, p, q);
  },
  'ssh-ed25519': (pub, priv) => {
    pub.string();
    const point = pub.string();
    const seed = Buffer.alloc(32); // PuTTY keeps it as a little-endian number: zeros at the end may be left out
    priv.string().copy(seed);
    return strings(point, Buffer.concat([seed, point]));
  },
  'ecdsa-sha2-nistp256': ecdsa,
  'ecdsa-sha2-nistp384': ecdsa,
  'ecdsa-sha2-nistp521': ecdsa,
};

function ecdsa(pub: Fields, priv: Fields): Buffer {
  pub.string();
  return strings(pub.string(), pub.string(), priv.string());
}

function damaged(why: string): UnusableKey {
  return new UnusableKey(
    'KEY_DAMAGED',
    `is damaged: ${why}`,
    'Take it from a backup, or make a new one and put its public key on the server.',
  );
}
