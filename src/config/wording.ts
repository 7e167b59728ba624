/** A schema's issues in words for people: what is wrong, at which key, and what was probably meant. */

import { z } from 'zod';
import { didYouMean, nearest } from './nearest.ts';
import { type Finding, listOf, type Path } from './problems.ts';
import { isPlainObject } from './references.ts';

export type Issue = z.core.$ZodIssue;

const MISSING = 'is missing';
const EMPTY = 'is empty: give it a value, or leave the key out';

/** The schema's wording where it has none of its own. @returns undefined to leave the library's */
export function word(issue: z.core.$ZodRawIssue): string | undefined {
  const { input } = issue;
  switch (issue.code) {
    case 'invalid_type':
      if (input == null) return input === undefined ? MISSING : EMPTY;
      if (issue.expected === 'int' && typeof input === 'number') return 'must be a whole number';
      return `must be ${TYPES[issue.expected] ?? issue.expected}, not ${typeOf(input)}`;
    case 'invalid_value':
      if (input == null) return input === undefined ? MISSING : EMPTY;
      return `must be ${listOf(issue.values.map(String))}${typeof input === 'string' ? `, not "${input}"` : ''}`;
    case 'invalid_union':
      return input === undefined ? MISSING : input === null ? EMPTY : 'is none of what can stand here';
    case 'too_small':
      if (issue.origin === 'string') return 'must not be empty';
      if (issue.origin === 'array') return 'must hold at least one';
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`;
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`;
    default:
      return undefined;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys',
  record: 'a map of keys',
};

function typeOf(input: unknown): string {
  if (input === null) return 'empty';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'boolean') return String(input);
  if (typeof input === 'number') return 'a number';
  return typeof input === 'string' ? 'text' : 'a map of keys';
}

/** One issue as findings; of unknown keys, one each. */
export function toFindings(issue: Issue, schema: z.ZodType): Finding[] {
  const path = pathOf(issue);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, schema));
  const message =
    path.length === 0
      ? issue.message
      : `${/^(is|must) /.test(issue.message) ? `"${labelOf(path)}"` : `${labelOf(path)}:`} ${issue.message}`;
  const remedy = issue.code === 'custom' ? issue.params?.remedy : remedyFor(issue);
  return [{ path, message, ...(typeof remedy === 'string' ? { remedy } : {}) }];
}

function remedyFor(issue: Issue): string | undefined {
  const given = issue.input;
  if (issue.code === 'invalid_value' && typeof given === 'string')
    return didYouMean(given, issue.values.map(String));
  if (issue.code !== 'invalid_type') return undefined;
  if (issue.expected === 'string' && (typeof given === 'number' || typeof given === 'boolean'))
    return 'put quotes around it';
  if (issue.expected !== 'boolean' || typeof given !== 'string') return undefined;
  return /^(yes|on|y)$/i.test(given) ? 'write true' : /^(no|off|n)$/i.test(given) ? 'write false' : undefined;
}

function unknownKey(key: string, path: Path, schema: z.ZodType): Finding {
  const known = shapeAt(schema, path);
  const names = Object.keys(known);
  const meant = nearest(key, names);
  const under =
    meant === undefined ? names.find((name) => Object.hasOwn(keysOf(known[name]), key)) : undefined;
  const remedy =
    meant !== undefined
      ? `did you mean "${meant}"?`
      : under !== undefined
        ? `it belongs under "${under}"`
        : names.length > 0
          ? `known here: ${names.join(', ')}`
          : undefined;
  const where = path.length === 0 ? '' : ` in "${labelOf(path)}"`;
  const message = `unknown key "${key}"${where}`;
  return { path: [...path, key], on: 'key', message, ...(remedy === undefined ? {} : { remedy }) };
}

/** The keys that a schema knows at a path, each with its JSON schema. */
function shapeAt(schema: z.ZodType, path: Path): Readonly<Record<string, unknown>> {
  let at: unknown = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  for (const step of path) at = typeof step === 'number' ? itemsOf(at) : keysOf(at)[step];
  return keysOf(at);
}

function keysOf(schema: unknown): Readonly<Record<string, unknown>> {
  if (!isPlainObject(schema)) return {};
  const own = isPlainObject(schema.properties) ? schema.properties : {};
  const others = branchesOf(schema).flatMap((branch) => Object.entries(keysOf(branch)));
  return { ...Object.fromEntries(others), ...own };
}

function itemsOf(schema: unknown): unknown {
  if (!isPlainObject(schema)) return undefined;
  return (
    schema.items ??
    branchesOf(schema)
      .map(itemsOf)
      .find((items) => items !== undefined)
  );
}

function branchesOf(schema: Readonly<Record<string, unknown>>): unknown[] {
  return [schema.anyOf, schema.oneOf, schema.allOf].flatMap((list) => (Array.isArray(list) ? list : []));
}

export function pathOf(issue: Issue): Path {
  return issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
}

/** `retry.attempts`, `match[2]` (counted from 1). */
function labelOf(path: Path): string {
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step + 1}]` : index === 0 ? step : `.${step}`))
    .join('');
}
