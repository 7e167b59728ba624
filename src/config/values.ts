/** The kinds of values that jobs and endpoints are written in: durations, sizes and paths. Leaf module: only zod. */

import { resolve } from 'node:path';
import { z } from 'zod';

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** `300ms`, `5s`, `15m`, `2h`, `90d` → milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  return parseQuantity(text, DURATION_UNITS);
}

/** `512B`, `64KiB`, `10MB` → bytes; undefined when it is none. */
export function parseSize(text: string): number | undefined {
  return parseQuantity(text, SIZE_UNITS);
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  if (match === null) return undefined;
  const unit = units[match[2] ?? ''];
  return unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/** Milliseconds, written as a duration. */
export const duration = z.union([z.string(), z.number()]).transform((value, context) => {
  const ms = typeof value === 'string' ? parseDuration(value) : value === 0 ? 0 : undefined;
  if (ms !== undefined) return ms;
  context.addIssue({
    code: 'custom',
    message: `"${value}" is not a duration; write it as 300ms, 5s, 15m or 2h`,
  });
  return z.NEVER;
});

/** Bytes, written as a size. */
export const size = z.union([z.string(), z.number().int().nonnegative()]).transform((value, context) => {
  const bytes = typeof value === 'string' ? parseSize(value) : value;
  if (bytes !== undefined) return bytes;
  context.addIssue({
    code: 'custom',
    message: `"${value}" is not a size; write it as 64KiB, 10MB or a number of bytes`,
  });
  return z.NEVER;
});

/** A path on this host as it is written → absolute. */
export function absolutePath(text: string, base: string, home: string): string {
  return text === '~' || text.startsWith('~/') ? resolve(home, text.slice(2)) : resolve(base, text);
}

/** What a kind of endpoint builds its settings from. */
export interface Values {
  readonly duration: typeof duration;
  readonly size: typeof size;
  /** A path on this host: `~/` and paths relative to the folder that holds `jobs/` become absolute. */
  readonly path: z.ZodType<string>;
}

/** Where an entry is filled from other files. */
export interface FillPlace {
  /** Of the endpoint. */
  readonly name: string;
  /** The folder that holds `jobs/`: where relative paths start. */
  readonly base: string;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The settings of an endpoint as they are written. */
export type Entry = Readonly<Record<string, unknown>>;

/** An entry with what it takes from other files; what it says itself wins. */
export interface Filled {
  readonly entry: Entry;
  /** Further entries of the same kind that it needs, by names that nobody can write. */
  readonly hops: ReadonlyMap<string, Entry>;
  /** Absolute paths of what was read or looked for. */
  readonly files: readonly string[];
  /** Each with its own file and line in it. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** How entries of a kind are filled. */
export interface Filling {
  /** The setting that asks for it. */
  readonly by: string;
  /** Settings that need not be written then. */
  readonly gives: readonly string[];
  fill(entry: Entry, place: FillPlace): Promise<Filled>;
}

/** @param base the folder that holds `jobs/` @param home of the user who runs Ferry */
export function valuesFor(base: string, home: string): Values {
  const path = z
    .string()
    .min(1)
    // The content of a file where its path was meant: resolving it would spread a secret.
    .refine((text) => !/[\0\r\n]/.test(text), {
      error: 'must be a path on one line, not the content of a file',
      abort: true,
    })
    .transform((text) => absolutePath(text, base, home));
  return { duration, size, path };
}
