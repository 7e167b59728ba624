/** PuTTY's own key generator: keys as users of WinSCP have them. */

import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Putty {
  /** e.g. `['ed25519']`, `['ecdsa', '384']` */
  readonly type: readonly [type: string, bits?: string];
  /** Default: none, and the file is not encrypted. */
  readonly passphrase?: string;
  /** `version=2`, `kdf=argon2i` … */
  readonly parameters?: string;
}

/** Makes a key; resolves to its public half as a line of authorized_keys. */
export async function puttyKey(file: string, { type, passphrase, parameters }: Putty): Promise<string> {
  const [kind, bits] = type;
  const how = ['-t', kind, ...(bits === undefined ? [] : ['-b', bits]), '-C', 'made for a test'];
  await puttygen(file, passphrase, [...how, ...parametersOf(parameters)]);
  return (await run('puttygen', [file, '-L'])).stdout.trim();
}

/** The same key in another file. */
export async function puttyAgain(
  from: string,
  old: string | undefined,
  to: string,
  { passphrase, parameters }: Omit<Putty, 'type'>,
): Promise<void> {
  const had = await secretFile(`${to}.old`, old);
  await puttygen(to, passphrase, [from, '--reencrypt', '--old-passphrase', had, ...parametersOf(parameters)]);
}

function parametersOf(parameters: string | undefined): readonly string[] {
  return parameters === undefined ? [] : ['--ppk-param', parameters];
}

async function puttygen(file: string, passphrase: string | undefined, how: readonly string[]): Promise<void> {
  const secret = await secretFile(`${file}.new`, passphrase);
  await run('puttygen', [...how, '-q', '--new-passphrase', secret, '-o', file]);
}

async function secretFile(file: string, passphrase = ''): Promise<string> {
  await writeFile(file, passphrase);
  return file;
}
