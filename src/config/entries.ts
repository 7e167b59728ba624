/** endpoints.yaml as entries: each parsed by its kind's own schema, with the files and jump hosts that it names looked after. */

import type { z } from 'zod';
import type { EndpointEntry } from './config.ts';
import { fingerprintOf, hashOf } from './fingerprint.ts';
import { brokenRoads, hopsOf } from './hops.ts';
import { checkName } from './name.ts';
import { checkFiles } from './named-files.ts';
import { didYouMean } from './nearest.ts';
import { asItIsWritten, parse } from './parse.ts';
import { folderEndpoint } from './places.ts';
import { type Finding, listOf } from './problems.ts';
import { isPlainObject, type Reference, type ReferenceOptions, resolveReferences } from './references.ts';
import type { Schemas } from './schemas.ts';
import type { Values } from './values.ts';
import type { YamlFile } from './yaml.ts';

export interface EntriesOptions extends ReferenceOptions {
  /** Absolute path of endpoints.yaml. */
  readonly file: string;
  readonly schemas: Schemas;
  readonly values: Values;
}

export interface Entries {
  readonly valid: ReadonlyMap<string, EndpointEntry>;
  /** Written, but not valid. */
  readonly broken: ReadonlySet<string>;
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
  /** Files that the entries refer to. */
  readonly files: readonly string[];
}

export async function readEntries(yaml: YamlFile, options: EntriesOptions): Promise<Entries> {
  const out = {
    valid: new Map<string, EndpointEntry>(),
    problems: [] as Finding[],
    warnings: [] as Finding[],
    files: [] as string[],
  };
  if (yaml.data === undefined || yaml.data === null) return { ...out, broken: new Set() };
  if (!isPlainObject(yaml.data)) {
    const message = 'must be a map: the name of each endpoint, and below it its settings';
    return { ...out, broken: new Set(), problems: [{ path: [], message }] };
  }
  const vias = new Map<string, readonly string[]>();
  const references = new Map<string, readonly Reference[]>();
  for (const [name, raw] of Object.entries(yaml.data)) {
    const read = await readEntry(name, raw, yaml.at([name], 'key').line, options);
    out.problems.push(...read.problems.map((finding) => underName(name, finding)));
    out.warnings.push(...read.warnings.map((finding) => underName(name, finding)));
    out.files.push(...read.files);
    vias.set(name, read.via);
    references.set(name, read.references);
    if (read.entry !== undefined) out.valid.set(name, read.entry);
  }
  const names = Object.keys(yaml.data);
  for (const { line } of yaml.problems) out.valid.delete(nameAtLine(yaml, names, line) ?? '');
  const whole = new Map<string, EndpointEntry>();
  const kindOf = (name: string): string | undefined => kindIn(yaml.data, name);
  for (const finding of brokenRoads({ names, vias, kindOf, valid: (name) => out.valid.has(name) })) {
    out.problems.push(underName(finding.name, asItIsWritten(finding, references.get(finding.name) ?? [])));
    out.valid.delete(finding.name);
  }
  for (const [name, entry] of out.valid) {
    const hops = hopsOf(name, vias).map((hop) => out.valid.get(hop)?.fingerprint ?? '');
    if (hops.length > 0)
      whole.set(name, { ...entry, fingerprint: hashOf([entry.fingerprint, ...hops].join()) });
    else whole.set(name, entry);
  }
  return { ...out, valid: whole, broken: new Set(names.filter((name) => !whole.has(name))) };
}

interface ReadEntry {
  readonly entry: EndpointEntry | undefined;
  readonly via: readonly string[];
  readonly references: readonly Reference[];
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly files: readonly string[];
}

async function readEntry(
  name: string,
  raw: unknown,
  line: number,
  options: EntriesOptions,
): Promise<ReadEntry> {
  const nothing = { entry: undefined, via: [], references: [], warnings: [], files: [] };
  const badName = checkName(name, 'an endpoint');
  const problems: Finding[] = badName === undefined ? [] : [{ path: [], on: 'key', ...badName }];
  const found = findKind(raw, options.schemas);
  if ('message' in found) return { ...nothing, problems: [...problems, found] };

  const { type: _, ...rest } = found.settings;
  const resolved = await resolveReferences(rest, options);
  const parsed = await parse(found.schema, resolved.data, resolved.references);
  const files = await checkFiles(resolved, options.values);
  problems.push(...resolved.problems, ...files.problems);
  // What a reference that stands for nothing is worth, nobody knows.
  if (!parsed.ok)
    problems.push(
      ...parsed.findings.filter((finding) => !resolved.problems.some((at) => isBelow(finding, at))),
    );
  const read = {
    via: viaOf(resolved.data),
    references: resolved.references,
    problems,
    warnings: [...resolved.warnings, ...files.warnings],
    files: [...resolved.files, ...files.files],
  };
  if (!parsed.ok || problems.length > 0) return { ...read, entry: undefined };
  const fingerprint = await fingerprintOf(raw, read.files);
  return {
    ...read,
    entry: { name, kind: found.name, settings: parsed.value, file: options.file, line, fingerprint },
  };
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
  return names.findLast((name) => yaml.at([name], 'key').line <= line);
}

function kindIn(data: unknown, name: string): string | undefined {
  const entry = isPlainObject(data) && Object.hasOwn(data, name) ? data[name] : undefined;
  return isPlainObject(entry) && typeof entry.type === 'string' ? entry.type : undefined;
}

function viaOf(data: unknown): readonly string[] {
  if (!isPlainObject(data)) return [];
  const via = Array.isArray(data.via) ? data.via : [data.via];
  return via.filter((name) => typeof name === 'string');
}

function underName(name: string, { path, on, message, remedy }: Finding): Finding {
  return {
    path: [name, ...path],
    ...(on === undefined ? {} : { on }),
    message: `${name}: ${message}`,
    ...(remedy === undefined ? {} : { remedy }),
  };
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
