/**
 * Reads a jobs folder as a whole: what is valid becomes the configuration, what is not becomes a list of problems,
 * all at once. Never throws for what people write; a broken file keeps no other from being used.
 */

import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { Kind } from '../endpoints/index.ts';
import { codeOf } from '../sync/errors.ts';
import type { Job } from '../sync/job.ts';
import { checkCron, checkGlob, checkMarker, checkTimezone } from './checks.ts';
import type { EndpointEntry, Loaded } from './config.ts';
import { type Entries, folderEntry, readEntries } from './entries.ts';
import { configFiles, ENDPOINTS_FILE, jobNameOf } from './folder.ts';
import { readJob } from './jobs.ts';
import { Schemas } from './kind-schemas.ts';
import { checkName } from './name.ts';
import { checkPlace, type Known } from './places.ts';
import type { Advice } from './problems.ts';
import { Report } from './report.ts';
import { robsOf } from './rivals.ts';
import { jobSchema } from './schema.ts';
import { whyUnreadable } from './secret-files.ts';
import { absolutePath, type Values, valuesFor } from './values.ts';

export interface LoadOptions {
  readonly jobsFolder: string;
  /** Of the user who runs Ferry: what `~` stands for. */
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly kinds: Readonly<Record<string, Kind>>;
  /** Where Ferry keeps its own data: no source may hold it. */
  readonly dataFolder?: string;
  /** Problems name files as seen from here; default: the folder that holds the jobs folder. */
  readonly cwd?: string;
}

interface Reading extends LoadOptions {
  readonly folder: string;
  /** The folder that holds the jobs folder: where relative paths start. */
  readonly base: string;
  readonly values: Values;
  readonly schemas: Schemas;
  readonly report: Report;
}

export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  const folder = resolve(options.jobsFolder);
  const base = dirname(folder);
  const report = new Report(options.cwd ?? base);
  const values = valuesFor(base, options.home);
  const schemas = new Schemas(options.kinds, values);
  const reading = { ...options, folder, base, values, schemas, report };
  const files = await list(reading);
  const endpointsFile = files.find((file) => basename(file) === ENDPOINTS_FILE);
  const endpoints = await readEndpoints(endpointsFile, reading);
  const jobs = await readJobs(
    files.filter((file) => file !== endpointsFile),
    endpoints,
    reading,
  );
  return {
    config: {
      jobs: jobs.valid,
      endpoints: new Map([...endpoints.valid, ...jobs.folders]),
      folder,
      files: report.files,
    },
    problems: report.problems,
    warnings: report.warnings,
    broken: { jobs: jobs.broken, endpoints: endpoints.broken, endpointsFile: endpoints.unreadable },
  };
}

/** The files to read; says so when there is nothing to do. */
async function list({ folder, report }: Reading): Promise<readonly string[]> {
  const files = await configFiles(folder).catch((error: unknown) => {
    const message = codeOf(error) === 'ENOTDIR' ? 'this is not a folder' : whyUnreadable(error);
    report.problem(folder, { message });
    return undefined;
  });
  if (files === undefined) return [];
  const noJob = { message: 'there is no job in this folder', remedy: 'write a file NAME.yaml for each job' };
  const noFolder = {
    message: 'there is no such folder',
    remedy: '`ferry init` makes one, with a first job in it',
  };
  const begin = { ...noJob, remedy: '`ferry init` writes a first one' };
  if (files.length === 0) report.problem(folder, (await exists(folder)) ? begin : noFolder);
  // Endpoints alone can be trusted and checked before there is any job.
  else if (files.every((file) => basename(file) === ENDPOINTS_FILE)) report.warning(folder, noJob);
  return files;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

type KnownEntries = Known & Pick<Entries, 'valid' | 'broken'>;

async function readEndpoints(file: string | undefined, reading: Reading): Promise<KnownEntries> {
  if (file === undefined) return { valid: new Map(), broken: new Set(), unreadable: false };
  const yaml = await reading.report.read(file);
  if (yaml?.data === undefined) return { valid: new Map(), broken: new Set(), unreadable: true };
  const entries = await readEntries(yaml, { ...reading, file });
  reading.report.add(yaml, entries);
  return { ...entries, unreadable: false };
}

async function readJobs(files: readonly string[], known: KnownEntries, reading: Reading) {
  const valid = new Map<string, Job>();
  const broken = new Set<string>();
  const folders = new Map<string, EndpointEntry>();
  const { report } = reading;
  const zones = new Map<string, Advice | undefined>();
  const schema = jobSchema({
    place: (place) => checkPlace(place, known),
    cron: checkCron,
    // Asking costs a millisecond, and most jobs name the same one.
    timezone: (text) => {
      if (!zones.has(text)) zones.set(text, checkTimezone(text));
      return zones.get(text);
    },
    glob: checkGlob,
    marker: checkMarker,
  });
  const absolute = (path: string): string => absolutePath(path, reading.base, reading.home);
  const byName = Map.groupBy(files, (file) => jobNameOf(basename(file)));
  for (const file of files) {
    const name = jobNameOf(basename(file));
    const fault = wrongName(
      name,
      byName.get(name)?.find((other) => other !== file),
    );
    if (fault !== undefined) report.problem(file, fault);
    const yaml = await report.read(file);
    const read =
      yaml?.data === undefined
        ? undefined
        : await readJob(name, yaml, {
            ...reading,
            schema,
            absolute,
            entryFor: async (place, at) =>
              typeof place === 'string'
                ? folderEntry(absolute(place), { ...reading, file, line: yaml.at(at).line })
                : known.valid.get(place.endpoint),
          });
    if (yaml !== undefined && read !== undefined) report.add(yaml, read);
    if (read?.job === undefined || fault !== undefined) broken.add(name);
    else {
      valid.set(name, read.job);
      for (const entry of read.entries)
        if (!known.valid.has(entry.name) && !folders.has(entry.name)) folders.set(entry.name, entry);
    }
  }
  for (const file of files) {
    const job = valid.get(jobNameOf(basename(file)));
    const robs = job === undefined ? undefined : robsOf(job, valid.values());
    if (robs !== undefined) report.warning(file, robs);
  }
  return { valid, broken, folders };
}

/** @param twin another file of the same name */
function wrongName(name: string, twin: string | undefined): Advice | undefined {
  if (`${name}.yaml` === ENDPOINTS_FILE)
    return { message: 'this name is kept for the endpoints', remedy: `call the file ${ENDPOINTS_FILE}` };
  if (twin !== undefined)
    return { message: `${basename(twin)} is a job of the same name`, remedy: 'rename one of them' };
  return checkName(name, 'a job');
}
