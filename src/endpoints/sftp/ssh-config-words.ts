/** The single values of an ssh_config: tokens, variables, paths, durations, lists of ciphers, jump hosts. */

import { absolutePath, type FillPlace } from '../../config/values.ts';
import { fitsAny } from './patterns.ts';

/** What `%h` and its like stand for, by their letter. */
export type Tokens = Readonly<Record<string, string>>;

/** @throws Error naming the token that stands for nothing here */
export function withTokens(text: string, tokens: Tokens): string {
  return text.replace(/%(.?)/gs, (whole, letter: string) => {
    const value = tokens[letter] ?? (letter === '%' ? '%' : undefined);
    if (value === undefined) throw new Error(`${whole} stands for nothing that Ferry knows here`);
    return value;
  });
}

/** `${NAME}` replaced. @throws Error naming a variable that is not set */
export function withVariables(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replace(/\$\{([^}]*)\}/g, (whole, name: string) => {
    const value = env[name];
    if (value === undefined) throw new Error(`${whole} is not set in the environment`);
    return value;
  });
}

/** As everywhere in the configuration: relative paths start at the folder that holds `jobs/`. */
export function absolute(text: string, { base, home }: Pick<FillPlace, 'base' | 'home'>): string {
  return absolutePath(text, base, home);
}

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  '': 1,
  s: 1,
  m: 60,
  h: 3_600,
  d: 86_400,
  w: 604_800,
};

/** `90`, `1m30s` as sshd_config(5), "TIME FORMATS", has it → seconds; undefined when it is none. */
export function seconds(text: string): number | undefined {
  if (!/^(\d+[smhdw]?)+$/i.test(text)) return undefined;
  return [...text.matchAll(/(\d+)([smhdw]?)/gi)].reduce(
    (sum, [, count, unit = '']) => sum + Number(count) * (UNIT_SECONDS[unit.toLowerCase()] ?? 0),
    0,
  );
}

/** The ciphers of a list that are known here; `+`, `-` and `^` add to, take from and go before those. */
export function ciphersOf(text: string, known: readonly string[]): readonly string[] {
  const sign = /^[+^-]/.exec(text)?.[0] ?? '';
  const patterns = text.slice(sign.length).split(',');
  if (sign === '-') return known.filter((cipher) => !fitsAny(patterns, cipher));
  const named = patterns.filter((cipher) => known.includes(cipher));
  if (sign === '+') return known;
  return sign === '^' ? [...new Set([...named, ...known])] : named;
}

export interface JumpSpec {
  readonly alias: string;
  readonly user?: string;
  readonly port?: number;
}

/** One of `ProxyJump`'s: `[user@]host[:port]` or `ssh://…`; undefined when it is none. */
export function jumpSpec(text: string): JumpSpec | undefined {
  const match = /^(?:ssh:\/\/)?(?:([^\s]+)@)?(?:\[([^\]\s]+)\]|([^\s:@/[\]]+))(?::(\d+))?\/?$/.exec(
    text.trim(),
  );
  const [, user, bracketed, plain, port] = match ?? [];
  const alias = bracketed ?? plain;
  if (alias === undefined || (port !== undefined && !isPort(Number(port)))) return undefined;
  return {
    alias,
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port: Number(port) }),
  };
}

export function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}
