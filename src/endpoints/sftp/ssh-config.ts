/**
 * Settings that people have already: `sshConfig: app-server` fills an entry of endpoints.yaml from what ~/.ssh/config
 * says of that host. What the entry says itself wins. Jump hosts become entries of their own.
 */

import { access } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { absolutePath, type Entry, type Filled, type FillPlace } from '../../config/values.ts';
import { readSshConfig, type SshConfigFile, type Statement } from './ssh-config-file.ts';
import { askSshConfig, type HostAnswer } from './ssh-config-host.ts';
import { noteOn } from './ssh-config-notes.ts';
import { OneHost } from './ssh-config-values.ts';
import type { JumpSpec, Tokens } from './ssh-config-words.ts';

/** Keys that ssh tries where none is named, as far as Ferry can. */
const USUAL_KEYS = ['id_rsa', 'id_ecdsa', 'id_ed25519'];
/** Settings of an entry each of which says by itself how to get there. */
const ROADS = ['via', 'proxyCommand', 'proxy', 'road'];
const LOGINS = ['key', 'agent', 'password'];

/** @param entry as it is written, with `sshConfig` */
export async function fillFromSshConfig(entry: Entry, place: FillPlace): Promise<Filled> {
  const asked = askedFor(entry.sshConfig, place);
  if (asked === undefined) {
    // The schema says what is wrong with it, and need not complain of what it would have given.
    const placeholder = { host: 'unknown', user: 'unknown', agent: true };
    return { entry: { ...placeholder, ...entry }, hops: new Map(), files: [], problems: [], warnings: [] };
  }
  const config = await readSshConfig(asked.file, place.home);
  const filling = new Filling(config, place);
  const filled = await filling.host({ alias: asked.alias }, entry, true);
  return {
    entry: filled,
    hops: filling.hops,
    files: [...config.files, ...filling.keys],
    problems: [
      ...config.problems.map(({ file, line, message }) => `${filling.display(file, line)}: ${message}`),
      ...filling.problems,
    ],
    warnings: [...new Set(filling.warnings)],
  };
}

function askedFor(
  given: unknown,
  { base, home }: FillPlace,
): { readonly alias: string; readonly file: string | undefined } | undefined {
  if (typeof given === 'string') return given === '' ? undefined : { alias: given, file: undefined };
  if (typeof given !== 'object' || given === null || !('host' in given)) return undefined;
  const file = 'file' in given ? given.file : undefined;
  if (typeof given.host !== 'string' || given.host === '') return undefined;
  if (file !== undefined && (typeof file !== 'string' || file === '')) return undefined;
  return { alias: given.host, file: file === undefined ? undefined : absolutePath(file, base, home) };
}

class Filling {
  readonly hops = new Map<string, Entry>();
  /** Keys that were looked for: one that is made later is to be noticed. */
  readonly keys = new Set<string>();
  readonly problems: string[] = [];
  readonly warnings: string[] = [];
  readonly #config: SshConfigFile;
  readonly #place: FillPlace;
  readonly #localUser = localUser();

  constructor(config: SshConfigFile, place: FillPlace) {
    this.#config = config;
    this.#place = place;
  }

  display(file: string, line: number): string {
    const { home } = this.#place;
    const name = file.startsWith(`${home}/`) ? `~/${file.slice(home.length + 1)}` : file;
    return line === 0 ? name : `${name}:${line}`;
  }

  /** @param entry what is written of it in endpoints.yaml; of a jump host, nothing but what was handed on to it */
  async host(spec: JumpSpec, entry: Entry, outermost: boolean): Promise<Entry> {
    const { alias } = spec;
    const own = { user: spec.user ?? text(entry.user), hostName: text(entry.host) };
    const found = askSshConfig(this.#config.statements, {
      alias,
      localUser: this.#localUser,
      ...(own.user === undefined ? {} : { user: own.user }),
      ...(own.hostName === undefined ? {} : { hostName: own.hostName }),
    });
    this.#remark(found, alias, entry);
    const one = new OneHost(found, { alias, ...this.#place, localUser: this.#localUser }, (statement, why) =>
      this.problems.push(`${this.display(statement.file, statement.line)}: ${why}`),
    );
    const port = spec.port ?? entry.port ?? one.port();
    const user = own.user ?? one.first('user') ?? this.#localUser;
    const host = own.hostName ?? one.hostName();
    const tokens = { ...one.tokens(), h: host, p: String(port ?? 22), r: user };
    const roads = ROADS.some((road) => entry[road] !== undefined);
    return {
      // The instance that a tunnel leads to is its host.
      ...(entry.road === undefined ? { host } : {}),
      user,
      ...(port === undefined ? {} : { port }),
      ...one.limits(),
      ...one.hostKeys(tokens),
      ...(await this.#login(one, tokens, entry)),
      ...(roads ? {} : await this.#road(one, tokens, entry, outermost)),
      ...entry,
    };
  }

  #remark({ values, known, passedOver }: HostAnswer, alias: string, entry: Entry): void {
    const at = ({ file, line }: Statement): string => this.display(file, line);
    for (const { statement, why } of passedOver)
      this.warnings.push(`${at(statement)}: taken not to fit: ${why}`);
    for (const statement of [...values.values()].flat()) {
      const why = noteOn(statement);
      if (why !== undefined)
        this.warnings.push(`${at(statement)}: ${statement.name} is not followed: ${why}`);
    }
    if (known || entry.host !== undefined || this.#config.problems.length > 0) return;
    if (/[.:]/.test(alias)) return; // a name or an address as it is
    const files = this.#config.files.map((file) => this.display(file, 0)).join(', ');
    this.warnings.push(`there is no Host "${alias}" in ${files}: it is taken for the name of a server`);
  }

  async #login(one: OneHost, tokens: Tokens, entry: Entry): Promise<Entry> {
    if (entry.ephemeralKey !== undefined) return {};
    const { home, env } = this.#place;
    const written = LOGINS.some((way) => entry[way] !== undefined);
    const named = entry.key === undefined ? one.paths('identityfile', tokens) : [];
    const usual =
      written || one.has('identityfile') ? [] : USUAL_KEYS.map((name) => join(home, '.ssh', name));
    const key: string[] = [];
    for (const file of [...named, ...usual]) {
      this.keys.add(file);
      const there = (await exists(file)) ? file : (await exists(`${file}.pub`)) ? `${file}.pub` : undefined;
      if (there !== undefined && (there === file || named.includes(file))) key.push(there);
      else if (named.includes(file))
        this.warnings.push(`the IdentityFile ${this.display(file, 0)} does not exist`);
    }
    const agent = one.agent(tokens, env, written);
    const only = /^yes$/i.test(one.first('identitiesonly') ?? '') && agent !== undefined && key.length > 0;
    return {
      ...(key.length === 0 ? {} : { key }),
      ...(agent === undefined || entry.agent !== undefined ? {} : { agent }),
      ...(only ? { identitiesOnly: true } : {}),
    };
  }

  /** @param outermost a jump host that is reached through another one takes no road of its own */
  async #road(one: OneHost, tokens: Tokens, entry: Entry, outermost: boolean): Promise<Entry> {
    const direct = one.direct();
    if (!outermost) return {};
    const proxyCommand = one.proxyCommand(tokens);
    if (proxyCommand !== undefined) return { proxyCommand };
    const specs = one.jumps(tokens);
    if (specs.length === 0) return direct;
    const via: string[] = [];
    for (const [index, spec] of specs.entries()) {
      const name = hopName(spec, this.#place.name);
      via.push(name);
      if (this.hops.has(name)) continue;
      this.hops.set(name, {}); // so that a circle ends; it is noticed where the ways are looked at
      const handed = entry.passphrase === undefined ? {} : { passphrase: entry.passphrase };
      const filled = await this.host(spec, handed, index === 0);
      const { passphrase, ...rest } = filled;
      this.hops.set(name, {
        sshConfig: spec.alias,
        ...rest,
        ...(filled.key === undefined || passphrase === undefined ? {} : { passphrase }),
      });
    }
    return { via };
  }
}

/** A jump host as messages name it; no entry of endpoints.yaml can have such a name. */
function hopName({ alias, user, port }: JumpSpec, endpoint: string): string {
  const who = user === undefined ? '' : `${user}@`;
  return `${who}${alias}${port === undefined ? '' : `:${port}`} (for ${endpoint})`;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}

function localUser(): string {
  try {
    return userInfo().username;
  } catch {
    return ''; // a user without a name, as in a container: the entry must say it
  }
}
