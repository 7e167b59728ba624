/**
 * Parses data with a schema and says what does not fit as findings. Data may hold resolved references; findings show
 * those as they are written.
 */

import type { z } from 'zod';
import type { Finding, Path } from './problems.ts';
import { asWritten, isPlainObject, type Reference } from './references.ts';
import { type Issue, pathOf, toFindings, word } from './wording.ts';

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly findings: readonly Finding[] };

const HOW = { error: word, reportInput: true } as const;

/**
 * Parses data that may hold resolved references: where the schema wants a number or a truth value and a
 * reference gave text, the text is read as YAML would read it.
 */
export async function parse<Value>(
  schema: z.ZodType<Value>,
  data: unknown,
  references: readonly Reference[] = [],
): Promise<Parsed<Value>> {
  const first = await schema.safeParseAsync(data, HOW);
  if (first.success) return { ok: true, value: first.data };
  const converted = convert(data, flatten(first.error.issues), references);
  const last = converted === undefined ? first : await schema.safeParseAsync(converted, HOW);
  if (last.success) return { ok: true, value: last.data };
  const findings = choose(last.error.issues).flatMap((issue) => toFindings(issue, schema));
  return {
    ok: false,
    findings: withoutEchoes(findings).map((finding) => asItIsWritten(finding, references)),
  };
}

/** Of a union, the branch that fits the value's shape; where none does, the union's own issue. */
function choose(issues: readonly Issue[]): Issue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
    const branches = issue.errors.map((branch) => choose(branch));
    const fitting = branches
      .filter((branch) => !branch.some(isMismatch))
      .sort((a, b) => a.length - b.length)[0];
    return fitting === undefined
      ? [issue]
      : fitting.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
  });
}

/** The value as a whole is of another type than this branch is about. */
function isMismatch(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_value')
    return issue.values.every((value) => typeof value !== typeof issue.input);
  return issue.code === 'invalid_type' || issue.code === 'invalid_union';
}

/** All issues, those inside unions too. */
function flatten(issues: readonly Issue[], under: Path = []): Issue[] {
  return issues.flatMap((issue) => {
    const path = [...under, ...pathOf(issue)];
    const inner =
      issue.code === 'invalid_union' ? issue.errors.flatMap((branch) => flatten(branch, path)) : [];
    return [{ ...issue, path }, ...inner];
  });
}

function convert(data: unknown, issues: readonly Issue[], references: readonly Reference[]): unknown {
  let out: unknown;
  for (const issue of issues) {
    if (issue.code !== 'invalid_type') continue;
    const reference = references.find(({ path }) => samePath(path, pathOf(issue)));
    const value = reference === undefined ? undefined : scalar(reference.resolved, issue.expected);
    if (value !== undefined) out = replaceAt(out ?? data, pathOf(issue), value);
  }
  return out;
}

function scalar(text: string, expected: string): number | boolean | undefined {
  if (expected === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined;
  if (expected !== 'number' && expected !== 'int') return undefined;
  return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined;
}

function replaceAt(data: unknown, path: Path, value: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (Array.isArray(data))
    return data.map((item, index) => (index === step ? replaceAt(item, rest, value) : item));
  return isPlainObject(data) ? { ...data, [step]: replaceAt(data[step], rest, value) } : data;
}

/** What a misspelt key was meant to be is not missing as well. */
function withoutEchoes(findings: readonly Finding[]): Finding[] {
  const meant = (path: Path): string => `did you mean "${path.at(-1)}"?`;
  return findings.filter(
    ({ path, message }) =>
      !message.endsWith(' is missing') ||
      !findings.some(
        (other) =>
          other.on === 'key' &&
          samePath(other.path.slice(0, -1), path.slice(0, -1)) &&
          other.remedy === meant(path),
      ),
  );
}

/** Messages about a value that came by a reference show the reference. */
export function asItIsWritten(finding: Finding, references: readonly Reference[]): Finding {
  const below = references.filter(({ path }) => finding.path.every((step, index) => path[index] === step));
  // Further away only what is long enough to be a secret rather than a word of the message.
  const others = references.map((one) => ({
    ...one,
    parts: one.parts.filter(({ value }) => value.length >= 6),
  }));
  const far = others.filter(
    (one) => !below.some(({ path }) => samePath(path, one.path)) && one.parts.length > 0,
  );
  const write = (text: string): string => asWritten(asWritten(text, below), far);
  return {
    ...finding,
    message: write(finding.message),
    ...(finding.remedy === undefined ? {} : { remedy: write(finding.remedy) }),
  };
}

function samePath(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((step, index) => String(step) === String(b[index]));
}
