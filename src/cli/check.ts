/** `ferry check`: tries every endpoint for real, step by step, and says what to do where one fails. */

import { parseDuration } from '../config/values.ts';
import { failedStep, type ProbeOptions, type ProbeStep } from '../endpoints/endpoint.ts';
import { asFault } from '../sync/errors.ts';
import { CheckReport } from './check-report.ts';
import { type Target, targetsOf } from './check-targets.ts';
import { type Cli, EXIT, json, line } from './cli.ts';
import type { Options } from './commands.ts';
import { openSetup, type Setup } from './setup.ts';

export async function check(cli: Cli, given: readonly string[], options: Options): Promise<number> {
  const { names, idle } = idleOf(given, options.idle);
  await using setup = await openSetup(cli, names);
  const targets = targetsOf(setup.config, names);
  const report = options.json === true ? undefined : new CheckReport(cli);
  if (report !== undefined) line(cli.stdout, configurationLine(setup));
  const broken: string[] = [];
  for (const target of targets) {
    const step = await tryOne(cli, setup, target, idle, report);
    if (step !== undefined) broken.push(`${target.endpoint} (${step})`);
  }
  report?.summary(targets.length, broken);
  if (broken.length > 0) return EXIT.unreachable;
  return setup.hasProblems ? EXIT.usage : EXIT.ok;
}

/** `--idle` may stand before a name, which is then no duration. */
function idleOf(
  names: readonly string[],
  option: Options[string],
): { readonly names: readonly string[]; readonly idle?: ProbeOptions['idle'] } {
  if (option === undefined || option === false) return { names };
  if (option === true) return { names, idle: {} };
  const upToMs = parseDuration(option);
  return upToMs === undefined ? { names: [option, ...names], idle: {} } : { names, idle: { upToMs } };
}

function configurationLine({ config, hasProblems }: Setup): string {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  const { jobs, endpoints } = config;
  return `configuration: ${count(jobs.size, 'job')}, ${count(endpoints.size, 'endpoint')}, ${hasProblems ? 'problems as above' : 'no problems'}`;
}

/** Resolves to the step at which it broke, if it did. */
async function tryOne(
  cli: Cli,
  setup: Setup,
  { endpoint: name, folder, use }: Target,
  idle: ProbeOptions['idle'],
  report: CheckReport | undefined,
): Promise<string | undefined> {
  let broken: string | undefined;
  const show = (kind: string | undefined, step: ProbeStep): void => {
    if (!step.ok) broken ??= step.host === undefined ? step.step : `${step.host}: ${step.step}`;
    if (report !== undefined) report.step(step);
    else json(cli.stdout, { endpoint: name, ...(kind === undefined ? {} : { kind }), folder, ...step });
  };
  try {
    const endpoint = await setup.endpoints.get(name);
    report?.heading(name, endpoint.address, [folder, USES[use]].filter((part) => part !== '').join('  '));
    const options = { signal: cli.signal, use, ...(idle === undefined ? {} : { idle }) };
    for await (const step of endpoint.probe(folder, options)) show(endpoint.kind, step);
  } catch (error) {
    show(undefined, failedStep('set-up', asFault(error, cli.signal)));
  }
  return broken;
}

const USES: Readonly<Record<Target['use'], string>> = {
  write: '',
  read: 'jobs only take files from here',
  forward: 'a jump host',
};
