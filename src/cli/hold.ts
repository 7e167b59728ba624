/** `ferry pause` and `ferry resume`: hold and release endpoints and jobs. A running worker notices within a second. */

import type { Config } from '../config/config.ts';
import { archiveAt, destinationAt } from '../sync/mounts.ts';
import { type Cli, EXIT, json, line } from './cli.ts';
import type { Options } from './commands.ts';
import { unknownName } from './names.ts';
import { openRecord, readConfig } from './setup.ts';

export async function pause(cli: Cli, names: readonly string[], options: Options): Promise<number> {
  await assertKnown(cli, names);
  using ledger = openRecord(cli);
  for (const name of names) {
    ledger.pause(name, cli.now());
    tell(cli, options, name, true);
  }
  return EXIT.ok;
}

export async function resume(cli: Cli, names: readonly string[], options: Options): Promise<number> {
  const config = await assertKnown(cli, names);
  const written = [...config.jobs.values()].flatMap((job) =>
    [...job.to.map(destinationAt), archiveAt(job) ?? []].flat(),
  );
  using ledger = openRecord(cli);
  for (const name of names) {
    ledger.resume(name);
    // Whatever its source, or what is written there, lies on now is what it is meant to lie on.
    if (ledger.job(name)?.mount !== undefined) ledger.setJob(name, { mount: undefined });
    for (const { key, resumed } of written) if (resumed === name) ledger.setMount(key, undefined);
    // An endpoint in trouble is tried again: whoever resumes it has mended it.
    if ((ledger.endpoint(name)?.state ?? 'up') !== 'up') {
      ledger.setEndpoint({
        endpoint: name,
        state: 'up',
        fault: undefined,
        sinceMs: cli.now(),
        nextProbeMs: undefined,
      });
    }
    tell(cli, options, name, false);
  }
  return EXIT.ok;
}

async function assertKnown(cli: Cli, names: readonly string[]): Promise<Config> {
  const { config } = await readConfig(cli, names);
  const known = [...config.jobs.keys(), ...config.endpoints.keys()];
  for (const name of names) {
    if (!known.includes(name)) throw unknownName('job or endpoint', name, known);
  }
  return config;
}

function tell(cli: Cli, options: Options, name: string, paused: boolean): void {
  if (options.json === true) json(cli.stdout, { name, paused });
  else
    line(cli.stdout, `${name} is ${paused ? 'paused: nothing is sent, everything due is kept' : 'released'}`);
}
