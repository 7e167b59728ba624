/** endpoints.yaml as entries: each parsed by its kind's own schema, with the files and endpoints that it names looked after. */

import type { z } from 'zod';
import type { EndpointEntry } from './config.ts';
import { fingerprintOf, hashOf } from './fingerprint.ts';
import type { Schemas } from './kind-schemas.ts';
import { checkName } from './name.ts';
import { checkFiles } from './named-files.ts';
import { didYouMean } from './nearest.ts';
import { allNeeds, brokenNeeds, type Need, type Needs, needsOf } from './needs.ts';
import { asItIsWritten, parse } from './parse.ts';
import { folderEndpoint } from './places.ts';
import { type Finding, type Findings, listOf } from './problems.ts';
import { isPlainObject, type Reference, type ReferenceOptions, resolveReferences } from './references.ts';
import type { Filled, Values } from './values.ts';
import type { YamlFile } from './yaml.ts';

export interface EntriesOptions extends ReferenceOptions {
  /** Absolute path of endpoints.yaml. */
  readonly file: string;
  readonly schemas: Schemas;
  readonly values: Values;
}

export interface Entries extends Findings {
  readonly valid: ReadonlyMap<string, EndpointEntry>;
  /** Written, but not valid. */
  readonly broken: ReadonlySet<string>;
}

export async function readEntries(yaml: YamlFile, options: EntriesOptions): Promise<Entries> {
  const nothing = { valid: new Map(), broken: new Set<string>(), problems: [], warnings: [], files: [] };
  const { data } = yaml;
  if (data === undefined || data === null) return nothing;
  if (!isPlainObject(data)) {
    const message = 'must be a map: the name of each endpoint, and below it its settings';
    return { ...nothing, problems: [{ path: [], message }] };
  }
  const read = new Map<string, ReadEntry>();
  for (const [name, raw] of Object.entries(data)) {
    const { hops, ...entry } = await readEntry(name, raw, yaml.at([name], 'key').line, options);
    read.set(name, entry);
    for (const [hop, filled] of hops) read.set(hop, filled);
  }
  const names = [...read.keys()];
  const written = Object.keys(data);
  const valid = new Map<string, EndpointEntry>();
  for (const [name, { entry }] of read) if (entry !== undefined) valid.set(name, entry);
  for (const { line } of yaml.problems) valid.delete(nameAtLine(yaml, written, line) ?? '');
  const needs = new Map([...read].map(([name, entry]) => [name, entry.needs]));
  const isValid = (name: string): boolean => valid.has(name);
  const kindOf = (name: string): string | undefined => kindIn(data, name);
  const unmet = brokenNeeds({ names, needs, kindOf, valid: isValid }).map(({ name, ...finding }) => {
    valid.delete(name);
    return placed(name, asItIsWritten(finding, read.get(name)?.references ?? []), read.get(name)?.filledBy);
  });
  return {
    valid: withNeeds(valid, needs),
    broken: new Set(names.filter((name) => !valid.has(name))),
    problems: [...allOf(read, 'problems'), ...unmet],
    warnings: allOf(read, 'warnings'),
    files: [...read.values()].flatMap(({ files }) => files),
  };
}

function allOf(read: ReadonlyMap<string, ReadEntry>, what: 'problems' | 'warnings'): readonly Finding[] {
  return [...read].flatMap(([name, entry]) =>
    entry[what].map((finding) => placed(name, finding, entry.filledBy)),
  );
}

/** An endpoint changes with those that it needs. */
function withNeeds(
  entries: ReadonlyMap<string, EndpointEntry>,
  needs: Needs,
): ReadonlyMap<string, EndpointEntry> {
  const whole = [...entries].map(([name, entry]): readonly [string, EndpointEntry] => {
    const others = allNeeds(name, needs).map((other) => entries.get(other)?.fingerprint);
    const fingerprint =
      others.length === 0 ? entry.fingerprint : hashOf([entry.fingerprint, ...others].join());
    return [name, { ...entry, fingerprint }];
  });
  return new Map(whole);
}

interface ReadEntry extends Findings {
  readonly entry: EndpointEntry | undefined;
  readonly needs: readonly Need[];
  readonly references: readonly Reference[];
  /** Of a jump host that came with an entry: that entry and its setting, where its problems belong. */
  readonly filledBy?: readonly [entry: string, setting: string];
}

async function readEntry(
  name: string,
  raw: unknown,
  line: number,
  options: EntriesOptions,
): Promise<ReadEntry & { readonly hops: ReadonlyMap<string, ReadEntry> }> {
  const hops = new Map<string, ReadEntry>();
  const nothing = { entry: undefined, needs: [], references: [], warnings: [], files: [], hops };
  const badName = checkName(name, 'an endpoint');
  const problems: Finding[] = badName === undefined ? [] : [{ path: [], on: 'key', ...badName }];
  const found = findKind(raw, options.schemas);
  if ('message' in found) return { ...nothing, problems: [...problems, found] };

  const { type: _, ...rest } = found.settings;
  const resolved = await resolveReferences(rest, options);
  const filled = await fill(name, found.name, resolved.data, options);
  const parsed = await parse(found.schema, filled.data, resolved.references);
  const files = await checkFiles(resolved, options.values);
  problems.push(...resolved.problems, ...filled.problems, ...files.problems);
  // What a reference that stands for nothing is worth, nobody knows.
  if (!parsed.ok)
    problems.push(
      ...parsed.findings.filter((finding) => !resolved.problems.some((at) => isBelow(finding, at))),
    );
  const read = {
    needs: needsOf(filled.data),
    hops,
    references: resolved.references,
    problems,
    warnings: [...resolved.warnings, ...filled.warnings, ...files.warnings],
    files: [...resolved.files, ...filled.files, ...files.files],
  };
  const common = {
    kind: found.name,
    file: options.file,
    line,
    fingerprint: await fingerprintOf(raw, read.files),
  };
  for (const [hop, data] of filled.hops) {
    const made = await parse(found.schema, data, resolved.references);
    hops.set(hop, {
      entry: made.ok ? { name: hop, settings: made.value, ...common } : undefined,
      needs: needsOf(data),
      references: resolved.references,
      problems: made.ok ? [] : made.findings,
      warnings: [],
      files: [],
      filledBy: [name, filled.by],
    });
  }
  if (!parsed.ok || problems.length > 0) return { ...read, entry: undefined };
  return { ...read, entry: { name, settings: parsed.value, ...common } };
}

interface FilledData extends Findings {
  readonly data: unknown;
  readonly hops: Filled['hops'];
  /** The setting that asked for it. */
  readonly by: string;
}

/** What an entry takes from the files of other programs, if it does. */
async function fill(name: string, kind: string, data: unknown, options: EntriesOptions): Promise<FilledData> {
  const { base, home, env, schemas } = options;
  const filling = schemas.filling(kind);
  if (filling === undefined || !isPlainObject(data) || data[filling.by] === undefined)
    return { data, hops: new Map(), by: '', problems: [], warnings: [], files: [] };
  const { by } = filling;
  const { entry, hops, files, problems, warnings } = await filling.fill(data, { name, base, home, env });
  const finding = (said: string): Finding => ({ path: [by], message: `${by}: ${said}` });
  return { data: entry, hops, by, files, problems: problems.map(finding), warnings: warnings.map(finding) };
}

type FoundKind = {
  readonly name: string;
  readonly schema: z.ZodType;
  readonly settings: Readonly<Record<string, unknown>>;
};

function findKind(raw: unknown, schemas: Schemas): FoundKind | Finding {
  const known = schemas.names;
  if (!isPlainObject(raw))
    return { path: [], message: 'must be a map of settings', remedy: `begin with "type": ${listOf(known)}` };
  const name = raw.type;
  if (name === undefined)
    return { path: [], message: '"type" is missing', remedy: `it is one of ${listOf(known)}` };
  const schema = typeof name === 'string' ? schemas.get(name) : undefined;
  if (typeof name === 'string' && schema !== undefined) return { name, schema, settings: raw };
  const remedy =
    (typeof name === 'string' ? didYouMean(name, known) : undefined) ?? `it is one of ${listOf(known)}`;
  return {
    path: ['type'],
    message: typeof name === 'string' ? `there is no type "${name}"` : '"type" must be text',
    remedy,
  };
}

/** The entry that a line belongs to. */
function nameAtLine(yaml: YamlFile, names: readonly string[], line: number): string | undefined {
  const lineOf = (name: string): number => yaml.at([name], 'key').line;
  return names.toSorted((a, b) => lineOf(a) - lineOf(b)).findLast((name) => lineOf(name) <= line);
}

function kindIn(data: unknown, name: string): string | undefined {
  const entry = isPlainObject(data) && Object.hasOwn(data, name) ? data[name] : undefined;
  return isPlainObject(entry) && typeof entry.type === 'string' ? entry.type : undefined;
}

function underName(name: string, { path, on, message, remedy }: Finding): Finding {
  return {
    path: [name, ...path],
    ...(on === undefined ? {} : { on }),
    message: `${name}: ${message}`,
    ...(remedy === undefined ? {} : { remedy }),
  };
}

function placed(name: string, finding: Finding, filledBy: ReadEntry['filledBy']): Finding {
  if (filledBy === undefined) return underName(name, finding);
  const [entry, setting] = filledBy;
  return underName(entry, {
    ...finding,
    path: [setting],
    message: `${setting}: ${name}: ${finding.message}`,
  });
}

function isBelow(finding: Finding, at: Finding): boolean {
  return at.path.every((step, index) => finding.path[index] === step);
}

/** The `local` endpoint that a plain folder in a job stands for; undefined where there is no such kind. */
export async function folderEntry(
  folder: string,
  { schemas, file, line }: Pick<EntriesOptions, 'schemas' | 'file'> & { readonly line: number },
): Promise<EndpointEntry | undefined> {
  const parsed = await schemas.get('local')?.safeParseAsync({ path: folder });
  if (parsed?.success !== true) return undefined;
  const name = folderEndpoint(folder);
  return { name, kind: 'local', settings: parsed.data, file, line, fingerprint: hashOf(name) };
}
