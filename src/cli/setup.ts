/** What most commands begin with: the configuration, the ledger, the endpoints; opened together, closed together. */

import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config, Loaded } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { formatProblems, problemCount } from '../config/problems.ts';
import { isPlainObject } from '../config/references.ts';
import { kinds } from '../endpoints/index.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { LEDGER_FILE, openLedger } from '../ledger/sqlite.ts';
import type { Secrets } from '../observe/secrets.ts';
import type { Job } from '../sync/job.ts';
import { type Cli, line, Refusal } from './cli.ts';
import { Endpoints } from './endpoints.ts';
import { unknownName } from './names.ts';

const SECRET_SETTINGS = ['password', 'passphrase'];

export interface Setup extends Read, AsyncDisposable {
  readonly ledger: Ledger;
  readonly endpoints: Endpoints;
}

/** The configuration as it is written now, with whatever is wrong with it. */
export function loadJobs(cli: Cli): Promise<Loaded> {
  const { jobsFolder, dataFolder, home, env } = cli.settings;
  return loadConfig({ jobsFolder, dataFolder, home, env, kinds });
}

export interface Read {
  readonly config: Config;
  /** Something that was not asked for is broken; it has been told on stderr. */
  readonly hasProblems: boolean;
}

/**
 * The configuration for a command about these jobs and endpoints; none named: about all of them.
 * @throws Refusal with every problem when one of those is broken, or nothing is valid: a person is told at once
 */
export async function readConfig(cli: Cli, names: readonly string[]): Promise<Read> {
  const { config, problems, warnings } = await loadJobs(cli);
  if (warnings.length > 0) line(cli.stderr, formatProblems(warnings));
  if (problems.length === 0) return { config, hasProblems: false };
  const told = `the configuration has ${problemCount(problems)}\n${formatProblems(problems)}`;
  const isThere = (name: string): boolean => config.jobs.has(name) || config.endpoints.has(name);
  if (!names.every(isThere) || config.jobs.size + config.endpoints.size === 0) throw new Refusal(told);
  line(cli.stderr, `ferry: ${told}`);
  return { config, hasProblems: true };
}

/** @param owner disposes of what is opened here */
export function openParts(
  cli: Cli,
  config: Config,
  owner: AsyncDisposableStack,
  warn: (endpoint: string, message: string) => void,
): { readonly ledger: Ledger; readonly endpoints: Endpoints } {
  const ledger = owner.use(openRecord(cli));
  return { ledger, endpoints: openEndpoints(cli, config, owner, warn) };
}

/** The endpoints alone, for commands that write nothing down. */
export function openEndpoints(
  cli: Cli,
  config: Config,
  owner: AsyncDisposableStack,
  warn: (endpoint: string, message: string) => void = (endpoint, message) =>
    line(cli.stderr, `ferry: ${endpoint}: ${message}`),
): Endpoints {
  const { dataFolder, env } = cli.settings;
  return owner.use(new Endpoints({ entries: config.endpoints, kinds, dataFolder, env, warn }));
}

/** @param names as for `readConfig` */
export async function openSetup(cli: Cli, names: readonly string[]): Promise<Setup> {
  const read = await readConfig(cli, names);
  const owner = new AsyncDisposableStack();
  const parts = openParts(cli, read.config, owner, (endpoint, message) =>
    line(cli.stderr, `ferry: ${endpoint}: ${message}`),
  );
  return { ...read, ...parts, [Symbol.asyncDispose]: () => owner.disposeAsync() };
}

/** Every secret that the configuration and the environment gave us, so that nothing can print it. */
export function secretsOf(cli: Cli, config: Config, secrets: Secrets): void {
  const { httpToken, redisUrl } = cli.settings;
  if (httpToken !== undefined) secrets.add(httpToken);
  const password = redisUrl === undefined ? undefined : /^\w+:\/\/[^@/]*?:(.*)@/.exec(redisUrl)?.[1];
  if (password !== undefined) for (const form of [password, decoded(password)]) secrets.add(form);
  for (const { settings } of config.endpoints.values()) collect(settings, secrets);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function collect(settings: unknown, secrets: Secrets): void {
  if (!isPlainObject(settings)) return;
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === 'string' && SECRET_SETTINGS.includes(name)) secrets.add(value);
    collect(value, secrets); // that of a proxy, say
  }
}

/** @throws Refusal naming the nearest job for each name that is none */
export function jobsNamed(config: Config, names: readonly string[]): readonly Job[] {
  return names.map((name) => {
    const job = config.jobs.get(name);
    if (job === undefined) throw unknownName('job', name, config.jobs.keys());
    return job;
  });
}

/**
 * For commands that ask the ledger alone: a job is also known that is broken, or whose file is gone and whose history is not.
 * @throws Refusal naming the nearest job when it is none
 */
export async function assertJob(cli: Cli, ledger: Ledger | undefined, name: string): Promise<void> {
  const recorded = ledger?.counts().map(({ job }) => job) ?? [];
  if (recorded.includes(name)) return;
  const { config, broken } = await loadJobs(cli);
  const known = [...config.jobs.keys(), ...broken.jobs, ...recorded];
  if (!known.includes(name)) throw unknownName('job', name, known);
}

/** The ledger alone, for commands that need no endpoint. */
export function openRecord(cli: Cli): Ledger {
  return openLedger({ folder: cli.settings.dataFolder, now: cli.now });
}

/** The ledger if there is one yet: whoever only looks does not make it. */
export function openRecordIfThere(cli: Cli): Ledger | undefined {
  return isThere(join(cli.settings.dataFolder, LEDGER_FILE)) ? openRecord(cli) : undefined;
}

/** A file in a folder that this user may not look into counts as there: opening it says so. */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}
