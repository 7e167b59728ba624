/**
 * Writes pinned host keys into endpoints.yaml and leaves everything else in it as it is, to the byte: the text is
 * spliced at the places that the parser gives, and what comes out is read back before it replaces the file.
 */

import { randomBytes } from 'node:crypto';
import { chmod, chown, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isMap, isNode, isScalar, isSeq, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { codeOf, Fault, messageOf } from '../sync/errors.ts';
import { isPlainObject } from './references.ts';

/**
 * Adds fingerprints (`SHA256:…`) to an endpoint's `hostKey`; those that are there stay. Links are followed, the
 * file's mode is kept, and a reader sees the old file or the new one.
 * @throws Fault `permanent` when it cannot be written, with the line to add by hand as advice
 */
export async function pinHostKeys(
  file: string,
  endpoint: string,
  fingerprints: readonly string[],
): Promise<void> {
  const byHand = `write it yourself, below "${endpoint}" in ${file}: hostKey: ${flowList(fingerprints)}`;
  try {
    const target = await realpath(file);
    const text = await readFile(target, 'utf8');
    const changed = withHostKeys(text, endpoint, fingerprints);
    if (changed === undefined) {
      const message = `the host key cannot be put into ${file} without changing other things in it`;
      throw new Fault('permanent', message, { code: 'CANNOT_EDIT', advice: byHand });
    }
    if (changed !== text) await replaceFile(target, changed);
  } catch (error) {
    if (error instanceof Fault) throw error;
    const code = codeOf(error);
    throw new Fault('permanent', `the host key could not be written: ${messageOf(error)}`, {
      advice: byHand,
      cause: error,
      ...(code === undefined ? {} : { code }),
    });
  }
}

/** @returns the text with the keys added; undefined where that cannot be done, and nothing else be changed */
export function withHostKeys(
  text: string,
  endpoint: string,
  fingerprints: readonly string[],
): string | undefined {
  const document = parseDocument(text, PARSE);
  const entry = isMap(document.contents) ? document.contents.get(endpoint, true) : undefined;
  if (document.errors.length > 0 || !isMap(entry)) return undefined;
  const before: unknown = document.toJS();
  const had = keysOf(before, endpoint);
  const all = [...new Set([...had, ...fingerprints])];
  if (all.length === had.length) return text;
  const changed = splice(text, entry, all, all.slice(had.length));
  return changed !== undefined && isOnlyThat(before, changed, endpoint, all) ? changed : undefined;
}

const PARSE = { prettyErrors: false, merge: true, logLevel: 'error' } as const;

function splice(
  text: string,
  entry: YAMLMap,
  all: readonly string[],
  added: readonly string[],
): string | undefined {
  const pair = entry.items.find((item) => isScalar(item.key) && item.key.value === 'hostKey');
  if (pair !== undefined) return spliceValue(text, pair, all, added);
  const list = `hostKey: ${flowList(all)}`;
  const last = entry.items.at(-1);
  if (entry.flow === true) {
    const at = last === undefined ? (entry.range?.[0] ?? 0) + 1 : endOf(last);
    return at === undefined ? undefined : insert(text, at, last === undefined ? ` ${list} ` : `, ${list}`);
  }
  // Behind a line that surely is a single one.
  const anchor = ['host', 'port', 'user', 'type']
    .map((key) => entry.items.find((item) => isSimple(item, key)))
    .find((item) => item !== undefined);
  const first = entry.items[0];
  const start = isNode(first?.key) ? first.key.range?.[0] : undefined;
  const at = anchor === undefined ? undefined : endOf(anchor);
  if (at === undefined || start === undefined) return undefined;
  const indent = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
  const lineEnd = text.indexOf('\n', at);
  const newline = text[lineEnd - 1] === '\r' ? '\r\n' : '\n';
  if (lineEnd < 0) return `${text}${newline}${indent}${list}${newline}`;
  return insert(text, lineEnd + 1, `${indent}${list}${newline}`);
}

/** In place of the value, or behind the last item of a list that is written one item a line. */
function spliceValue(
  text: string,
  pair: Pair,
  all: readonly string[],
  added: readonly string[],
): string | undefined {
  const { key, value } = pair;
  if (isSeq(value) && value.flow !== true) {
    const last = value.items.at(-1);
    const range = isNode(last) ? last.range : undefined;
    const start = value.range?.[0];
    if (range == null || start === undefined) return undefined;
    const indent = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
    const lineEnd = text.indexOf('\n', range[1]);
    const newline = lineEnd > 0 && text[lineEnd - 1] === '\r' ? '\r\n' : '\n';
    const lines = added.map((print) => `${indent}- "${print}"${newline}`).join('');
    return lineEnd < 0 ? `${text}${newline}${lines}` : insert(text, lineEnd + 1, lines);
  }
  if (isNode(value) && value.range != null && value.range[1] > value.range[0]) {
    return text.slice(0, value.range[0]) + flowList(all) + text.slice(value.range[1]);
  }
  const colon = isNode(key) && key.range != null ? text.indexOf(':', key.range[1]) : -1;
  return colon < 0 ? undefined : insert(text, colon + 1, ` ${flowList(all)}`);
}

function isSimple(pair: Pair, key: string): boolean {
  return (
    isScalar(pair.key) &&
    pair.key.value === key &&
    isScalar(pair.value) &&
    pair.value.type !== 'BLOCK_LITERAL' &&
    pair.value.type !== 'BLOCK_FOLDED'
  );
}

function endOf({ key, value }: Pair): number | undefined {
  return (isNode(value) ? value.range?.[1] : undefined) ?? (isNode(key) ? key.range?.[1] : undefined);
}

function insert(text: string, at: number, what: string): string {
  return text.slice(0, at) + what + text.slice(at);
}

function flowList(fingerprints: readonly string[]): string {
  return `[ ${fingerprints.map((print) => `"${print}"`).join(', ')} ]`;
}

function keysOf(data: unknown, endpoint: string): readonly string[] {
  const entry = isPlainObject(data) ? data[endpoint] : undefined;
  const keys = isPlainObject(entry) ? entry.hostKey : undefined;
  return (Array.isArray(keys) ? keys : [keys]).filter((key) => typeof key === 'string');
}

function isOnlyThat(before: unknown, changed: string, endpoint: string, keys: readonly string[]): boolean {
  const document = parseDocument(changed, PARSE);
  if (document.errors.length > 0 || !isPlainObject(before)) return false;
  const entry = before[endpoint];
  const expected = { ...before, [endpoint]: { ...(isPlainObject(entry) ? entry : {}), hostKey: [...keys] } };
  return isDeepStrictEqual(document.toJS(), expected);
}

async function replaceFile(file: string, text: string): Promise<void> {
  const found = await stat(file);
  const temporary = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await using handle = await open(temporary, 'wx', 0o600);
    await handle.writeFile(text);
    await chmod(temporary, found.mode & 0o7777);
    // Only root can; another user keeps the file as its own.
    await chown(temporary, found.uid, found.gid).catch(() => undefined);
    await handle.sync();
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
