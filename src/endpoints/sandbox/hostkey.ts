/** The sandbox's own host key: made once, kept beside its files, readable for its owner only. */

import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import ssh2 from 'ssh2';
import { codeOf } from '../../sync/errors.ts';

export interface SandboxKey {
  /** OpenSSH private key. */
  readonly private: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

/** @param file made with its folder when it is missing; another process may make it at the same moment */
export async function hostKeyIn(file: string): Promise<SandboxKey> {
  const existing = await read(file);
  if (existing !== undefined) return existing;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.${randomUUID()}`;
  await writeFile(fresh, newKey(), { mode: 0o600, flag: 'wx' });
  try {
    await link(fresh, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error; // else somebody was quicker: theirs it is
  } finally {
    await unlink(fresh);
  }
  const made = await read(file);
  if (made === undefined) throw new Error(`${file} was made and is gone`);
  return made;
}

/** Of the ed25519 keys that ssh2 1.17 makes, it cannot read one in 256 itself. */
export function newKey(): string {
  for (;;) {
    const key = ssh2.utils.generateKeyPairSync('ed25519').private;
    if (!(ssh2.utils.parseKey(key) instanceof Error)) return key;
  }
}

async function read(file: string): Promise<SandboxKey | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error)
    throw new Error(`${file} is not a private key: remove it, a new one will be made`);
  const digest = createHash('sha256').update(key.getPublicSSH()).digest('base64').replace(/=+$/, '');
  return { private: text, fingerprint: `SHA256:${digest}` };
}
