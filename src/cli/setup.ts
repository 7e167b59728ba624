/** What most commands begin with: the configuration, the ledger, the endpoints; opened together, closed together. */

import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { nearest } from '../config/nearest.ts';
import { formatProblems } from '../config/problems.ts';
import { kinds } from '../endpoints/index.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { openLedger } from '../ledger/sqlite.ts';
import type { Job } from '../sync/job.ts';
import { type Cli, EXIT, line, Refusal } from './cli.ts';
import { Endpoints } from './endpoints.ts';

export interface Setup extends AsyncDisposable {
  readonly config: Config;
  readonly ledger: Ledger;
  readonly endpoints: Endpoints;
}

/** @throws Refusal when anything in the configuration is wrong: a person at a command line is told at once */
export async function readConfig(cli: Cli): Promise<Config> {
  const { jobsFolder, home, env } = cli.settings;
  const { config, problems } = await loadConfig({ jobsFolder, home, env, kinds });
  if (problems.length === 0) return config;
  throw new Refusal(`the configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}\n${formatProblems(problems)}`);
}

export async function openSetup(cli: Cli): Promise<Setup> {
  const config = await readConfig(cli);
  const { dataFolder, env } = cli.settings;
  const ledger = openLedger({ folder: dataFolder, now: cli.now });
  const endpoints = new Endpoints({
    entries: config.endpoints,
    kinds,
    dataFolder,
    env,
    warn: (endpoint, message) => line(cli.stderr, `ferry: ${endpoint}: ${message}`),
  });
  return {
    config,
    ledger,
    endpoints,
    async [Symbol.asyncDispose]() {
      await endpoints[Symbol.asyncDispose]();
      ledger[Symbol.dispose]();
    },
  };
}

/** @throws Refusal naming the nearest job for each name that is none */
export function jobsNamed(config: Config, names: readonly string[]): readonly Job[] {
  return names.map((name) => {
    const job = config.jobs.get(name);
    if (job !== undefined) return job;
    const near = nearest(name, [...config.jobs.keys()]);
    const known = [...config.jobs.keys()].join(', ');
    const hint = near !== undefined ? `; did you mean ${near}?` : known === '' ? '; there are none yet, try `ferry init`' : `; there are ${known}`;
    throw new Refusal(`there is no job ${name}${hint}`, EXIT.usage);
  });
}

/** The ledger alone, for commands that need no endpoint. */
export function openRecord(cli: Cli): Ledger {
  return openLedger({ folder: cli.settings.dataFolder, now: cli.now });
}
