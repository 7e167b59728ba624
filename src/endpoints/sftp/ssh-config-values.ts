/** The values that an ssh_config has for one host, each in the form that an entry of endpoints.yaml has it. */

import { hostname } from 'node:os';
import type { Entry, FillPlace } from '../../config/values.ts';
import { messageOf } from '../../sync/errors.ts';
import { CIPHERS } from './settings.ts';
import type { Statement } from './ssh-config-file.ts';
import type { HostAnswer } from './ssh-config-host.ts';
import {
  absolute,
  ciphersOf,
  isPort,
  type JumpSpec,
  jumpSpec,
  seconds,
  type Tokens,
  withTokens,
  withVariables,
} from './ssh-config-words.ts';

const USUAL_HOSTS = ['~/.ssh/known_hosts', '~/.ssh/known_hosts2'];
const SYSTEM_HOSTS = ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'];

export interface HostPlace extends FillPlace {
  readonly alias: string;
  readonly localUser: string;
}

/** The values of one host, in the form that an entry has them. */
export class OneHost {
  readonly #found: HostAnswer;
  readonly #place: HostPlace;
  readonly #problem: (statement: Statement, why: string) => void;

  constructor(found: HostAnswer, place: HostPlace, problem: (statement: Statement, why: string) => void) {
    this.#found = found;
    this.#place = place;
    this.#problem = problem;
  }

  has(keyword: string): boolean {
    return this.#found.values.has(keyword);
  }

  first(keyword: string): string | undefined {
    return this.#found.values.get(keyword)?.[0]?.args[0];
  }

  /** What a statement gives, if there is one and it makes sense. */
  #read<Value>(keyword: string, read: (statement: Statement) => Value): Value | undefined {
    const statement = this.#found.values.get(keyword)?.[0];
    if (statement === undefined) return undefined;
    try {
      return read(statement);
    } catch (error) {
      this.#problem(statement, messageOf(error));
      return undefined;
    }
  }

  /** Those that do not depend on the server. */
  tokens(): Tokens {
    const { alias, home, localUser } = this.#place;
    const local = hostname();
    const short = local.split('.')[0] ?? local;
    const key = this.first('hostkeyalias') ?? alias;
    const uid = String(process.getuid?.() ?? '');
    return { d: home, i: uid, k: key, L: short, l: local, n: alias, u: localUser };
  }

  hostName(): string {
    const { alias } = this.#place;
    return this.#read('hostname', ({ args }) => withTokens(args[0] ?? '', { h: alias })) ?? alias;
  }

  port(): number | undefined {
    return this.#read('port', ({ args: [given = ''] }) => {
      if (!/^\d+$/.test(given) || !isPort(Number(given))) throw new Error(`Port ${given} is not a port`);
      return Number(given);
    });
  }

  limits(): Entry {
    const duration = (keyword: string, name: string): Entry => {
      const found = this.#read(keyword, ({ args: [given = ''] }) => {
        const value = given.toLowerCase() === 'none' ? 0 : seconds(given);
        if (value === undefined) throw new Error(`${given} is not a time`);
        return value;
      });
      return found === undefined || found === 0 ? {} : { [name]: `${found}s` };
    };
    const ciphers = this.#read('ciphers', ({ args: [given = ''] }) => {
      const known = ciphersOf(given, CIPHERS);
      if (known.length === 0)
        throw new Error(`Ferry knows none of these ciphers; it has ${CIPHERS.join(', ')}`);
      return known;
    });
    return {
      ...duration('connecttimeout', 'connectTimeout'),
      ...duration('serveraliveinterval', 'keepAlive'),
      ...(ciphers === undefined ? {} : { ciphers }),
    };
  }

  /** Of a connection that is opened from here. */
  direct(): Entry {
    const bindAddress = this.first('bindaddress');
    const family = this.#read('addressfamily', ({ args: [given = ''] }) => {
      const value = given.toLowerCase();
      if (!['any', 'inet', 'inet6'].includes(value)) throw new Error(`AddressFamily ${given} is none`);
      return value;
    });
    return {
      ...(bindAddress === undefined || bindAddress === '*' ? {} : { bindAddress }),
      ...(family === undefined ? {} : { addressFamily: family }),
    };
  }

  hostKeys(tokens: Tokens): Entry {
    const alias = this.first('hostkeyalias');
    const files = (keyword: string, usual: readonly string[]): readonly string[] =>
      (this.has(keyword) ? this.paths(keyword, tokens) : usual).map((file) => absolute(file, this.#place));
    return {
      knownHosts: [
        ...files('userknownhostsfile', USUAL_HOSTS),
        ...files('globalknownhostsfile', SYSTEM_HOSTS),
      ],
      ...(alias === undefined ? {} : { hostKeyAlias: alias }),
    };
  }

  /** All files that a keyword names, absolute; `none` is none. */
  paths(keyword: string, tokens: Tokens): readonly string[] {
    const { env } = this.#place;
    const found: string[] = [];
    for (const statement of this.#found.values.get(keyword) ?? []) {
      for (const arg of statement.args) {
        if (/^none$/i.test(arg)) continue;
        try {
          found.push(absolute(withTokens(withVariables(arg, env), tokens), this.#place));
        } catch (error) {
          this.#problem(statement, messageOf(error));
        }
      }
    }
    return [...new Set(found)];
  }

  /** @param written the entry has another way to log in, and none is added that was not asked for */
  agent(tokens: Tokens, env: FillPlace['env'], written: boolean): true | string | undefined {
    const there = (env.SSH_AUTH_SOCK ?? '') !== '';
    const given = this.first('identityagent');
    if (given === undefined) return there && !written ? true : undefined;
    if (/^none$/i.test(given)) return undefined;
    if (given === 'SSH_AUTH_SOCK') return there ? true : undefined;
    if (/^\$\w+$/.test(given)) return env[given.slice(1)];
    return this.paths('identityagent', tokens)[0];
  }

  /** With the tokens replaced that `proxyCommand` in endpoints.yaml does not know. */
  proxyCommand(tokens: Tokens): { readonly shell: string } | undefined {
    return this.#read('proxycommand', ({ rest }) => {
      if (/^none$/i.test(rest)) return undefined;
      if (/^yes$/i.test(this.first('proxyusefdpass') ?? ''))
        throw new Error('Ferry takes no connection from a ProxyCommand by ProxyUseFdpass');
      const escaped = (letter: string): string => (tokens[letter] ?? '').replaceAll('%', '%%');
      const shell = withTokens(rest, {
        h: '%h',
        p: '%p',
        r: '%r',
        n: escaped('n'),
        k: escaped('k'),
        '%': '%%',
      });
      return { shell };
    });
  }

  jumps({ h = '', n = '', p = '', r = '' }: Tokens): readonly JumpSpec[] {
    const specs = this.#read('proxyjump', ({ rest }) => {
      if (/^none$/i.test(rest)) return [];
      return withTokens(rest, { h, n, p, r })
        .split(',')
        .map((each) => {
          const spec = jumpSpec(each);
          if (spec === undefined) throw new Error(`ProxyJump ${each} is not [user@]host[:port]`);
          return spec;
        });
    });
    return specs ?? [];
  }
}
