/** `ferry check`: tries every endpoint for real, step by step, and says what to do where one fails. */

import type { Config } from '../config/config.ts';
import type { ProbeStep } from '../endpoints/endpoint.ts';
import { paint } from '../observe/paint.ts';
import { asFault } from '../sync/errors.ts';
import { type Cli, EXIT, json, line } from './cli.ts';
import type { Options } from './commands.ts';
import { unknownName } from './names.ts';
import { openSetup, type Setup } from './setup.ts';

/** An endpoint, and the folder below which it is tried. */
interface Target {
  readonly endpoint: string;
  readonly folder: string;
}

export async function check(cli: Cli, names: readonly string[], options: Options): Promise<number> {
  await using setup = await openSetup(cli, names);
  const asJson = options.json === true;
  const targets = targetsOf(setup.config, names);
  if (!asJson)
    line(
      cli.stdout,
      `configuration: ${setup.config.jobs.size} jobs, ${setup.config.endpoints.size} endpoints, ${setup.hasProblems ? 'problems as above' : 'no problems'}`,
    );
  let bad = 0;
  for (const target of targets) if (!(await tryOne(cli, setup, target, asJson))) bad += 1;
  if (!asJson) line(cli.stdout, bad === 0 ? 'all well' : `${bad} of ${targets.length} need attention`);
  if (bad > 0) return EXIT.unreachable;
  return setup.hasProblems ? EXIT.usage : EXIT.ok;
}

/** Every place that the named jobs (or all) read from or write to, and the endpoints named themselves. */
function targetsOf(config: Config, names: readonly string[]): readonly Target[] {
  const targets = new Map<string, Target>();
  const add = (endpoint: string, folder: string): void => {
    targets.set(`${endpoint}\0${folder}`, { endpoint, folder });
  };
  for (const name of names.length > 0 ? names : [...config.jobs.keys(), ...config.endpoints.keys()]) {
    const job = config.jobs.get(name);
    if (job !== undefined) for (const place of [job.from, ...job.to]) add(place.endpoint, place.path);
    else if (config.endpoints.has(name)) {
      if (![...targets.values()].some((target) => target.endpoint === name))
        add(name, folderFor(config, name));
    } else throw unknownName('job or endpoint', name, [...config.jobs.keys(), ...config.endpoints.keys()]);
  }
  return [...targets.values()];
}

/** A folder that some job uses at this endpoint, so that permissions are tried where they matter. */
function folderFor(config: Config, endpoint: string): string {
  for (const job of config.jobs.values()) {
    for (const place of [...job.to, job.from]) if (place.endpoint === endpoint) return place.path;
  }
  return '';
}

async function tryOne(cli: Cli, setup: Setup, target: Target, asJson: boolean): Promise<boolean> {
  const { endpoint: name, folder } = target;
  try {
    const endpoint = await setup.endpoints.get(name);
    if (!asJson)
      line(
        cli.stdout,
        `\n${paint(cli.color, 'bold', name)}  ${endpoint.address}${folder === '' ? '' : `  ${folder}`}`,
      );
    let ok = true;
    for await (const step of endpoint.probe(folder, { signal: cli.signal })) {
      ok &&= step.ok;
      if (asJson) json(cli.stdout, { endpoint: name, kind: endpoint.kind, folder, ...step });
      else showStep(cli, step);
    }
    return ok;
  } catch (error) {
    const fault = asFault(error, cli.signal);
    const step: ProbeStep = {
      step: 'set-up',
      ok: false,
      saw: fault.message,
      ...(fault.advice === undefined ? {} : { advice: fault.advice }),
    };
    if (asJson) json(cli.stdout, { endpoint: name, folder, ...step });
    else showStep(cli, step);
    return false;
  }
}

function showStep(cli: Cli, step: ProbeStep): void {
  const mark = !step.ok
    ? paint(cli.color, 'red', '✗')
    : step.warning === true
      ? paint(cli.color, 'yellow', '!')
      : paint(cli.color, 'green', '✓');
  const time = step.ms === undefined ? '' : paint(cli.color, 'dim', `  ${Math.round(step.ms)} ms`);
  line(cli.stdout, `  ${mark} ${step.step.padEnd(12)} ${step.saw}${time}`);
  if (step.advice !== undefined) line(cli.stdout, `    ${paint(cli.color, 'yellow', '→')} ${step.advice}`);
}
