/** One job's file as a `Job`: parsed, its places found, its parts held against each other. */

import type { Job, Place } from '../sync/job.ts';
import { matchesOnlyHidden } from './checks.ts';
import type { EndpointEntry } from './config.ts';
import { archivePath, holdTogether, type OverlapOptions, type Side, type Sides } from './overlap.ts';
import { asItIsWritten, parse } from './parse.ts';
import { rootOf, tidyPath } from './places.ts';
import type { Finding, Findings, Path } from './problems.ts';
import { isPlainObject, type ReferenceOptions, resolveReferences } from './references.ts';
import { type JobInput, type JobParts, jobParts, type jobSchema, type PlaceInput } from './schema.ts';
import type { YamlFile } from './yaml.ts';

export interface JobOptions extends ReferenceOptions, OverlapOptions {
  readonly schema: ReturnType<typeof jobSchema>;
  /** A valid endpoint by its name, or one for a plain folder. `at` is where the job names it. */
  entryFor(place: PlaceInput, at: Path): Promise<EndpointEntry | undefined>;
}

export interface ReadJob extends Findings {
  readonly job: Job | undefined;
  /** Endpoints that it uses. */
  readonly entries: readonly EndpointEntry[];
}

export async function readJob(name: string, yaml: YamlFile, options: JobOptions): Promise<ReadJob> {
  const { data, file } = yaml;
  if (!isPlainObject(data)) {
    const message = data === null ? 'the file is empty' : 'must be a map of keys';
    const problem = { path: [], message, remedy: 'a job needs "from" and "to"' };
    return { job: undefined, problems: [problem], warnings: [], files: [], entries: [] };
  }
  const resolved = await resolveReferences(data, options);
  const parsed = await parse(options.schema, resolved.data, resolved.references);
  const problems: Finding[] = [...resolved.problems];
  const add = (findings: readonly Finding[]): void => {
    problems.push(...findings.filter((finding) => !problems.some((known) => covers(known, finding))));
  };
  if (!parsed.ok) add(parsed.findings);
  const parts = parsed.ok ? parsed.value : await jobParts(options.schema).parseAsync(resolved.data);
  const sides = await findSides(parts, options);
  const held = await holdTogether(parts, sides, options);
  add(held.map((finding) => asItIsWritten(finding, resolved.references)));
  const done =
    parsed.ok && problems.length + yaml.problems.length === 0
      ? build(name, file, parsed.value, sides, options)
      : undefined;
  // Only where this build knows no kind for plain folders.
  if (done === undefined && problems.length + yaml.problems.length === 0)
    problems.push({ path: ['from'], message: 'a plain folder cannot be used here' });
  const warnings = [
    ...resolved.warnings,
    ...hiddenPatterns(parts.match).map((finding) => asItIsWritten(finding, resolved.references)),
  ];
  return { job: done?.job, problems, warnings, files: resolved.files, entries: done?.entries ?? [] };
}

function covers(known: Finding, finding: Finding): boolean {
  return known.path.length > 0 && known.path.every((step, index) => finding.path[index] === step);
}

async function findSides({ from, to }: JobParts, options: JobOptions): Promise<Sides> {
  const find = async (place: PlaceInput | undefined, at: Path): Promise<Side | undefined> => {
    const entry = place === undefined ? undefined : await options.entryFor(place, at);
    if (place === undefined || entry === undefined) return undefined;
    return {
      entry,
      path: typeof place === 'string' ? '' : tidyPath(place.path, rootOf(entry) !== undefined),
    };
  };
  return {
    from: await find(from, ['from']),
    to: await Promise.all(to.map((place, index) => find(place, ['to', index]))),
  };
}

function hiddenPatterns(match: readonly string[]): Finding[] {
  return match.flatMap((pattern, index) =>
    matchesOnlyHidden(pattern)
      ? [
          {
            path: ['match', index],
            message: `"${pattern}" matches nothing, because dotfiles are never taken`,
            remedy: 'rename them, or leave the pattern out',
          },
        ]
      : [],
  );
}

function build(name: string, file: string, input: JobInput, { from, to }: Sides, options: JobOptions) {
  const targets = to.filter((side) => side !== undefined);
  if (from === undefined) return undefined;
  const { when, retry } = input;
  const job: Job = {
    name,
    from: placeOf(from),
    match: input.match,
    ignore: input.ignore,
    to: targets.map((side) => targetPlaceOf(side, options)),
    when: {
      watch: when.watch,
      cron: when.cron,
      timezone: when.timezone,
      catchUp: when.catchUp,
      rescanMs: when.rescan,
      pollMs: when.poll,
    },
    settleMs: input.settle,
    done: input.done,
    after:
      typeof input.after === 'string'
        ? { action: input.after }
        : { action: 'archive', path: archivePath(input.after.archive, from, options) },
    conflict: input.conflict,
    verify: input.verify,
    retry: { attempts: retry.attempts, delayMs: retry.delay, maxDelayMs: retry.maxDelay },
    order: input.order,
    preserve: input.preserve,
    historyMs: input.history,
    file,
  };
  return { job, entries: [from, ...targets].map((side) => side.entry) };
}

function placeOf({ entry, path }: Side): Place {
  return { endpoint: entry.name, path };
}

function targetPlaceOf(side: Side, { kinds }: JobOptions): Place {
  const maxBytes = kinds[side.entry.kind]?.maxBytes;
  return { ...placeOf(side), ...(maxBytes === undefined ? {} : { maxBytes }) };
}
