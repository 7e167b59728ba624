// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so
/**
 * `${env:NAME}` and `${file:/path}` in any text of the configuration; `$${` stands for a plain `${`.
 *
 * Problems and warnings are worded from the text as written, never from what a reference stands for; `Reference`
 * keeps both, so that other messages can be brought back to the text as written (`asWritten`).
 */

import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { didYouMean } from './nearest.ts';
import type { Advice, Finding, Path } from './problems.ts';
import { isOpen, whyUnreadable } from './secret-files.ts';

export interface ReferenceOptions {
  /** Where relative paths start. */
  readonly base: string;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A text that held references. */
export interface Reference {
  readonly path: Path;
  readonly raw: string;
  readonly resolved: string;
  /** Each reference in it, with what it stands for. */
  readonly parts: readonly { readonly raw: string; readonly value: string }[];
}

export interface Resolved {
  /** The same data with every reference replaced. */
  readonly data: unknown;
  readonly references: readonly Reference[];
  /** References that stand for nothing; the text is left as it is written. */
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
  /** Absolute paths of the files that were read. */
  readonly files: readonly string[];
}

const MAX_SECRET_BYTES = 1024 * 1024;
const REMEDY = 'name a file that holds the value and nothing else';
const HOW = 'write ${env:NAME} or ${file:/path}, or $${ for a plain ${';
const UNCLOSED: Advice = { message: '"${" without a closing "}"', remedy: HOW };

export async function resolveReferences(data: unknown, options: ReferenceOptions): Promise<Resolved> {
  const walk = new Walk(options);
  const resolved = await walk.value(data, []);
  return {
    data: resolved,
    references: walk.references,
    problems: walk.problems,
    warnings: walk.warnings,
    files: walk.files,
  };
}

/** A message with what references stand for replaced by how they are written. */
export function asWritten(message: string, references: readonly Reference[]): string {
  const swaps = references
    .flatMap(({ raw, resolved, parts }) => [{ raw, value: resolved }, ...parts])
    .filter(({ value }) => value !== '')
    .sort((a, b) => b.value.length - a.value.length);
  let out = message;
  // So short a text is found in every sentence: only where it is quoted.
  for (const { raw, value } of swaps)
    for (const form of new Set([value, JSON.stringify(value).slice(1, -1), value.trim()]))
      if (form.length < 4) out = out.replaceAll(`"${form}"`, () => `"${raw}"`);
      else out = out.replaceAll(form, () => raw);
  return out;
}

class Walk {
  readonly references: Reference[] = [];
  readonly problems: Finding[] = [];
  readonly warnings: Finding[] = [];
  readonly files: string[] = [];
  readonly #options: ReferenceOptions;

  constructor(options: ReferenceOptions) {
    this.#options = options;
  }

  async value(data: unknown, path: Path): Promise<unknown> {
    if (typeof data === 'string') return data.includes('${') ? this.#text(data, path) : data;
    if (Array.isArray(data)) {
      const items: unknown[] = [];
      for (const [index, item] of data.entries()) items.push(await this.value(item, [...path, index]));
      return items;
    }
    if (!isPlainObject(data)) return data;
    const entries: [string, unknown][] = [];
    for (const [key, item] of Object.entries(data))
      entries.push([key, await this.value(item, [...path, key])]);
    return Object.fromEntries(entries);
  }

  async #text(raw: string, path: Path): Promise<string> {
    const parts: { raw: string; value: string }[] = [];
    let resolved = '';
    let at = 0;
    let failed = false;
    for (const match of raw.matchAll(/\$\$\{|\$\{([^}]*)(\}?)/g)) {
      resolved += raw.slice(at, match.index);
      at = match.index + match[0].length;
      if (match[1] === undefined) {
        resolved += '${';
        continue;
      }
      const found = match[2] === '' ? UNCLOSED : await this.#lookUp(match[1], match[0], path);
      if (typeof found === 'string') {
        resolved += found;
        parts.push({ raw: match[0], value: found });
      } else {
        failed = true;
        this.problems.push({ path, ...found });
      }
    }
    if (failed) return raw;
    resolved += raw.slice(at);
    if (parts.length > 0) this.references.push({ path, raw, resolved, parts });
    return resolved;
  }

  #lookUp(inside: string, raw: string, path: Path): Promise<string | Advice> | string | Advice {
    const colon = inside.indexOf(':');
    const source = inside.slice(0, Math.max(colon, 0));
    const name = inside.slice(colon + 1).trim();
    if (source === 'env') return this.#variable(name, raw);
    if (source === 'file') return this.#file(name, raw, path);
    // Only a misspelt reference is repeated: what else holds `${` may be part of a password.
    const meant = colon < 0 ? undefined : didYouMean(source, ['env', 'file']);
    if (meant !== undefined) return { message: `${raw} is not a reference`, remedy: meant };
    return { message: '"${…}" is not a reference', remedy: HOW };
  }

  #variable(name: string, raw: string): string | Advice {
    const { env } = this.#options;
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value !== undefined && value !== '') return value;
    if (value === '')
      return {
        message: `${raw}: the environment variable is set, but empty`,
        remedy: `give ${name} a value`,
      };
    const names = Object.keys(env).filter((known) => env[known] !== undefined);
    const remedy = didYouMean(name, names) ?? `set ${name} where Ferry is started`;
    return { message: `${raw}: the environment variable is not set`, remedy };
  }

  async #file(name: string, raw: string, path: Path): Promise<string | Advice> {
    if (name === '') return { message: `${raw} names no file`, remedy: HOW };
    const file = name.startsWith('~/')
      ? resolve(this.#options.home, name.slice(2))
      : resolve(this.#options.base, name);
    if (!this.files.includes(file)) this.files.push(file);
    try {
      await using handle = await open(file, 'r');
      const found = await handle.stat();
      if (!found.isFile()) return { message: `${raw}: this is not a file`, remedy: REMEDY };
      if (found.size > MAX_SECRET_BYTES)
        return { message: `${raw}: this file is too large for a value (over 1 MiB)`, remedy: REMEDY };
      if (isOpen(file, found.mode)) this.#warnReadable(raw, name, path);
      const text = new TextDecoder('utf-8', { fatal: true }).decode(await handle.readFile());
      const value = text.replace(/\r?\n$/, '');
      return value === '' ? { message: `${raw}: the file is empty`, remedy: 'put the value into it' } : value;
    } catch (error) {
      const remedy = name === file ? REMEDY : `looked for it at ${file}`;
      return { message: `${raw}: ${whyUnreadable(error)}`, remedy };
    }
  }

  #warnReadable(raw: string, name: string, path: Path): void {
    this.warnings.push({
      path,
      message: `${raw}: every user of this host can read it`,
      remedy: `chmod 600 ${name}`,
    });
  }
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
