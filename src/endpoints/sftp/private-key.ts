/**
 * A private key file as ssh2 takes it, whatever its format: OpenSSH, PuTTY (.ppk), PEM (PKCS#1, SEC1, PKCS#8). What is
 * decrypted stays in memory.
 */

import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import ssh2, { type ParsedKey } from 'ssh2';
import { codeOf, Fault, messageOf } from '../../sync/errors.ts';
import { openSshKey, publicInOpenSsh } from './openssh-key.ts';
import { isPpk, openPpk } from './ppk.ts';
import { strings, typeOfKey } from './ssh-bytes.ts';
import { badType, missingPassphrase, UnusableKey, wrongPassphrase } from './unusable-key.ts';

const ED25519 = 'ssh-ed25519';
const KNOWN_TYPE = /^(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(256|384|521))$/;

/** @throws Fault `rejected`, with the file's name, when it cannot be used */
export async function readKey(
  name: string,
  file: string,
  passphrase: string | undefined,
): Promise<ParsedKey> {
  const text = await readFile(file, 'latin1').catch((error: unknown) => {
    const missing = codeOf(error) === 'ENOENT';
    throw new Fault(
      'rejected',
      `the key ${file} of ${name} ${missing ? 'does not exist' : `cannot be read: ${messageOf(error)}`}`,
      {
        code: codeOf(error) ?? 'KEY_FILE',
        cause: error,
        advice: missing
          ? 'Correct `key` in endpoints.yaml; a relative path starts at the folder that holds jobs/.'
          : 'Ferry runs as a user who must be able to read it.',
      },
    );
  });
  try {
    return await openKey(text, passphrase);
  } catch (error) {
    if (!(error instanceof UnusableKey)) throw error;
    const { message, code, advice } = error;
    throw new Fault('rejected', `the key ${file} of ${name} ${message}`, { code, advice });
  }
}

/**
 * @param text of a key file, read as Latin-1
 * @throws UnusableKey
 */
export async function openKey(text: string, passphrase: string | undefined): Promise<ParsedKey> {
  refuseOthers(text);
  const publicKey = publicInOpenSsh(text);
  const type = publicKey === undefined ? undefined : typeOfKey(publicKey);
  if (type !== undefined && !KNOWN_TYPE.test(type)) throw badType(type);
  const readable = isPpk(text) ? await openPpk(text, passphrase) : fromPkcs8(text, passphrase);
  const parsed: ParsedKey | readonly ParsedKey[] | Error = ssh2.utils.parseKey(readable, passphrase);
  const [key]: readonly (ParsedKey | Error | undefined)[] = [parsed].flat();
  if (key === undefined || key instanceof Error) throw unread(key?.message ?? 'it is empty', passphrase);
  if (!KNOWN_TYPE.test(key.type)) throw badType(key.type);
  if (!key.isPrivateKey()) throw isPublic();
  return key;
}

/** Files that people name by mistake. */
function refuseOthers(text: string): void {
  const line = /^\s*(\S+) AAAA/.exec(text)?.[1];
  if (line?.includes('-cert-v')) {
    throw new UnusableKey(
      'KEY_PUBLIC',
      'is a certificate, not a private key',
      'Name the private key, the file beside it without -cert.pub.',
    );
  }
  if (line !== undefined || /^-+ ?BEGIN (SSH2 |RSA )?PUBLIC KEY/m.test(text)) throw isPublic();
  if (/^-----BEGIN CERTIFICATE-----/m.test(text) && !/PRIVATE KEY-----/.test(text)) {
    throw new UnusableKey(
      'KEY_PUBLIC',
      'is a certificate as TLS has them, not an SSH key',
      'Name the private key file that the server knows the public half of.',
    );
  }
  if (/^---- BEGIN SSH2 ENCRYPTED PRIVATE KEY/m.test(text)) {
    throw new UnusableKey(
      'KEY_FORMAT',
      "is in the format of ssh.com's Tectia, which Ferry does not read",
      'Turn it into an OpenSSH key: puttygen KEY -O private-openssh -o NEW.',
    );
  }
}

function isPublic(): UnusableKey {
  return new UnusableKey(
    'KEY_PUBLIC',
    'is a public key',
    'Name the private one, the file beside it without .pub (PuTTY: the .ppk).',
  );
}

/** PKCS#8 in the format that ssh2 reads, where its kind of key has one; other text as it is. */
function fromPkcs8(text: string, passphrase: string | undefined): string {
  const begin = /^-----BEGIN (ENCRYPTED )?PRIVATE KEY-----/m.exec(text);
  if (begin === null) return text;
  if (begin[1] !== undefined && passphrase === undefined) throw missingPassphrase();
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: text, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    throw unread(messageOf(error), passphrase);
  }
  if (key.asymmetricKeyType === 'rsa') return String(key.export({ format: 'pem', type: 'pkcs1' }));
  if (key.asymmetricKeyType === 'ec') return String(key.export({ format: 'pem', type: 'sec1' }));
  if (key.asymmetricKeyType === 'ed25519') return fromEd25519(key.export({ format: 'jwk' }));
  throw badType(key.asymmetricKeyType ?? 'unknown');
}

function fromEd25519({ x = '', d = '' }: JsonWebKey): string {
  const point = Buffer.from(x, 'base64url');
  const seed = Buffer.from(d, 'base64url');
  return openSshKey(ED25519, strings(ED25519, point), strings(point, Buffer.concat([seed, point])));
}

function unread(said: string, passphrase: string | undefined): UnusableKey {
  if (/no passphrase given/.test(said)) return missingPassphrase();
  if (
    passphrase !== undefined &&
    /passphrase|integrity check|decrypt|unable to authenticate|Malformed OpenSSH private key/i.test(said)
  ) {
    return wrongPassphrase('ssh-keygen -y -f KEY');
  }
  return new UnusableKey(
    'KEY_FORMAT',
    `is in a format that cannot be read (${said})`,
    'Turn it into an OpenSSH key: ssh-keygen -p -f KEY (it asks for the passphrase and writes the file anew).',
  );
}
