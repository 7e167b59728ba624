/** How to log in: reads the private key, finds the agent, and says in words what is wrong with them. */

import { access } from 'node:fs/promises';
import type { AnyAuthMethod, ParsedKey } from 'ssh2';
import { Fault } from '../../sync/errors.ts';
import { openAgent } from './agent.ts';
import { freshKey } from './fresh-key.ts';
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
  const { user: username, password, agent, identitiesOnly } = settings;
  const keys = await loadKeys(name, settings);
  const methods: AnyAuthMethod[] = [...keys.methods];
  const tried = [...keys.tried];
  if (settings.ephemeralKey !== undefined) {
    const {
      instance = settings.road?.eice.instance ?? '',
      osUser = username,
      ...aws
    } = settings.ephemeralKey;
    const ofRoad = { region: settings.road?.eice.region, profile: settings.road?.eice.profile };
    const key = await freshKey({ ...ofRoad, ...aws, instance, osUser, env });
    methods.unshift({ type: 'publickey', username, key });
    tried.unshift(`a fresh key (${key.type}) that was installed for ${osUser} on ${instance}`);
  }
  if (agent !== undefined && agent !== false) {
    const opened = await openAgent({
      name,
      socket: agent === true ? env.SSH_AUTH_SOCK : agent,
      only: identitiesOnly ? settings.key : undefined,
      optional: methods.length > 0 || password !== undefined || keys.faults.length > 0,
    });
    if (opened !== undefined) {
      methods.push({ type: 'agent', username, agent: opened.agent });
      tried.push(`agent (${opened.keys} ${opened.keys === 1 ? 'key' : 'keys'})`);
    }
  }
  const [fault] = keys.faults;
  if (fault !== undefined && methods.length === 0) throw fault;
  if (password !== undefined) {
    methods.push({ type: 'password', username, password });
    methods.push({
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _lang, prompts, answer) => answer(prompts.map(() => password)),
    });
    tried.push('password');
  }
  methods.push(...keys.last);
  tried.push(...keys.faults.map(({ message }) => `not ${message.replace(` of ${name} `, ', which ')}`));
  return { methods, tried };
}

interface Keys extends Login {
  /** The same keys in another way, when all else was refused: servers count what they refuse (MaxAuthTries). */
  readonly last: readonly AnyAuthMethod[];
  /** Of keys that cannot be used. */
  readonly faults: readonly Fault[];
}

/** One of several keys that cannot be used keeps none of the others, nor an agent, from being tried. */
async function loadKeys(name: string, settings: SftpSettings): Promise<Keys> {
  const { user: username, key: files, passphrase } = settings;
  const methods: AnyAuthMethod[] = [];
  const tried: string[] = [];
  const last: AnyAuthMethod[] = [];
  const faults: Fault[] = [];
  for (const file of files) {
    try {
      const key = await readKey(name, file, passphrase);
      methods.push({ type: 'publickey', username, key });
      if (key.type === 'ssh-rsa') last.push({ type: 'publickey', username, key: signingBySha512(key) });
      const certificate = await certificateOf(file);
      tried.push(
        `key ${file} (${key.type}${certificate === undefined ? '' : `, not its certificate ${certificate}`})`,
      );
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      faults.push(error);
    }
  }
  return { methods, last, tried, faults };
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
