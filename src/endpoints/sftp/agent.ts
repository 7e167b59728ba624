/** An SSH agent: asked for the keys that it holds, and kept to some of them where the settings say so (IdentitiesOnly). */

import { readFile } from 'node:fs/promises';
import ssh2, { type BaseAgent, createAgent, type ParsedKey } from 'ssh2';
import { Fault } from '../../sync/errors.ts';
import { publicInOpenSsh } from './openssh-key.ts';

export interface AgentOptions {
  /** Of the endpoint, for messages. */
  readonly name: string;
  /** Undefined where SSH_AUTH_SOCK was to be taken and is not set. */
  readonly socket: string | undefined;
  /** Only these: public keys, or private ones whose public half can be found. Undefined: all that it holds. */
  readonly only: readonly string[] | undefined;
  /** There are other ways to log in: undefined instead of a fault. */
  readonly optional: boolean;
}

export interface OpenAgent {
  readonly agent: BaseAgent;
  readonly keys: number;
}

/** @throws Fault `rejected` when it does not answer or holds no key that may be used */
export async function openAgent(options: AgentOptions): Promise<OpenAgent | undefined> {
  const { name, socket, only, optional } = options;
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
  const agent = createAgent(socket);
  if (only !== undefined) keepTo(agent, await publicKeys(only));
  const keys = await new Promise<number | Error>((resolve) => {
    agent.getIdentities((error, found) => resolve(error ?? found?.length ?? 0));
  });
  if (keys instanceof Error)
    return failed(`which does not answer at ${socket}`, 'Is ssh-agent running, as the same user?');
  if (keys === 0) {
    return only === undefined
      ? failed('which holds no keys', 'ssh-add KEY')
      : failed(`which holds none of ${only.join(', ')}`, 'ssh-add KEY, or take identitiesOnly away.');
  }
  return { agent, keys };
}

function keepTo(agent: BaseAgent, allowed: readonly Buffer[]): void {
  const all = agent.getIdentities.bind(agent);
  agent.getIdentities = (done) =>
    all((error, keys) => {
      if (error || keys === undefined) return done(error);
      done(
        undefined,
        keys.filter((key) => allowed.some((one) => one.equals(wireOf(key)))),
      );
    });
}

type AgentKey = string | Buffer | ParsedKey | { readonly pubKey: AgentKey };

function wireOf(key: AgentKey): Buffer {
  if (typeof key === 'object' && 'pubKey' in key) return wireOf(key.pubKey);
  const parsed: ParsedKey | Error = ssh2.utils.parseKey(key);
  return parsed instanceof Error ? Buffer.alloc(0) : parsed.getPublicSSH();
}

async function publicKeys(files: readonly string[]): Promise<readonly Buffer[]> {
  const found: Buffer[] = [];
  for (const file of files) {
    for (const name of [file, `${file}.pub`]) {
      const text = await readFile(name, 'latin1').catch(() => '');
      const line = /^\s*\S+ (AAAA\S+)/.exec(text)?.[1];
      const key = line === undefined ? publicInOpenSsh(text) : Buffer.from(line, 'base64');
      if (key !== undefined) found.push(key);
    }
  }
  return found;
}
