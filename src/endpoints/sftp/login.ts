/** How to log in: reads the private key, finds the agent, and says in words what is wrong with them. */

import { access } from 'node:fs/promises';
import { type AnyAuthMethod, createAgent, type ParsedKey } from 'ssh2';
import { Fault } from '../../sync/errors.ts';
import { readKey } from './private-key.ts';
import type { SftpSettings } from './settings.ts';

export interface Login {
  /** In the order in which they are tried. */
  readonly methods: readonly AnyAuthMethod[];
  /** For messages: `key /keys/app (ssh-ed25519)`, `password`, `agent (2 keys)`. */
  readonly tried: readonly string[];
}

/** @throws Fault `rejected` when what the settings name cannot be used */
export async function loadLogin(
  name: string,
  settings: SftpSettings,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Login> {
  const { user: username, key: file, password, passphrase, agent } = settings;
  const methods: AnyAuthMethod[] = [];
  const tried: string[] = [];
  if (file !== undefined) {
    const key = await readKey(name, file, passphrase);
    methods.push({ type: 'publickey', username, key });
    if (key.type === 'ssh-rsa') methods.push({ type: 'publickey', username, key: signingBySha512(key) });
    const certificate = await certificateOf(file);
    tried.push(
      `key ${file} (${key.type}${certificate === undefined ? '' : `, not its certificate ${certificate}`})`,
    );
  }
  if (agent !== undefined && agent !== false) {
    const socket = agent === true ? env.SSH_AUTH_SOCK : agent;
    const keys = await agentKeys(name, socket, methods.length > 0 || password !== undefined);
    if (keys !== undefined && socket !== undefined) {
      methods.push({ type: 'agent', username, agent: socket });
      tried.push(`agent (${keys} ${keys === 1 ? 'key' : 'keys'})`);
    }
  }
  if (password !== undefined) {
    methods.push({ type: 'password', username, password });
    methods.push({
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _lang, prompts, answer) => answer(prompts.map(() => password)),
    });
    tried.push('password');
  }
  return { methods, tried };
}

/** ssh2 signs with rsa-sha2-256 where a server knows that: this is for those that then do not accept it. */
function signingBySha512(key: ParsedKey): ParsedKey {
  const twin: ParsedKey = Object.create(key);
  return Object.assign(twin, { type: 'rsa-sha2-512', sign: (data: Buffer) => key.sign(data, 'sha512') });
}

/** The certificate that ssh would show with a key: ssh2 shows none. */
async function certificateOf(file: string): Promise<string | undefined> {
  const certificate = `${file.replace(/\.ppk$/, '')}-cert.pub`;
  return await access(certificate).then(
    () => certificate,
    () => undefined,
  );
}

/** How many keys the agent has; undefined where it does not answer and there are other ways to log in. */
async function agentKeys(
  name: string,
  socket: string | undefined,
  optional: boolean,
): Promise<number | undefined> {
  const failed = (what: string, advice: string): undefined => {
    if (optional) return undefined;
    throw new Fault('rejected', `${name} is to log in by an SSH agent, ${what}`, { code: 'AGENT', advice });
  };
  if (socket === undefined) {
    return failed(
      'but SSH_AUTH_SOCK is not set',
      'Start ferry where an agent runs, or set agent to its socket.',
    );
  }
  const keys = await new Promise<number | Error>((resolve) => {
    createAgent(socket).getIdentities((error, found) => resolve(error ?? found?.length ?? 0));
  });
  if (keys instanceof Error)
    return failed(`which does not answer at ${socket}`, 'Is ssh-agent running, as the same user?');
  if (keys === 0) return failed('which holds no keys', 'ssh-add KEY');
  return keys;
}
