/**
 * OpenSSH's own format of private keys (PROTOCOL.key): what kind of key a file holds, before it is decrypted, and
 * keys of other formats put into it, unencrypted and in memory only, for ssh2 reads every kind of key in it.
 */

import { randomBytes } from 'node:crypto';
import { Fields, strings, uint32 } from './ssh-bytes.ts';

const MAGIC = Buffer.from('openssh-key-v1\0', 'latin1');
const BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----';
const END = '-----END OPENSSH PRIVATE KEY-----';
const BLOCK_BYTES = 8;
const LINE_CHARACTERS = 70;

/** The public half of the key in such a file, as it goes over the wire; undefined where the text is no such file. */
export function publicInOpenSsh(text: string): Buffer | undefined {
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from < 0 || to < from) return undefined;
  const bytes = Buffer.from(text.slice(from + BEGIN.length, to), 'base64');
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  try {
    const fields = new Fields(bytes.subarray(MAGIC.length));
    for (const _ of ['cipher', 'kdf', 'its options']) fields.string();
    fields.uint32();
    return fields.string();
  } catch {
    return undefined;
  }
}

/**
 * @param publicKey as it goes over the wire, its type first
 * @param privateFields what follows the type in the private section, encoded already
 */
export function openSshKey(type: string, publicKey: Buffer, privateFields: Buffer): string {
  const check = randomBytes(4);
  const plain = Buffer.concat([check, check, strings(type), privateFields, strings('')]);
  const padding = (BLOCK_BYTES - (plain.length % BLOCK_BYTES)) % BLOCK_BYTES;
  const padded = Buffer.concat([plain, Buffer.from(Array.from({ length: padding }, (_, n) => n + 1))]);
  const file = Buffer.concat([MAGIC, strings('none', 'none', ''), uint32(1), strings(publicKey, padded)]);
  const lines = file.toString('base64').match(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g')) ?? [];
  return `${[BEGIN, ...lines, END].join('\n')}\n`;
}
