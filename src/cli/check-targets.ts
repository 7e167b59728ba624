/** What `ferry check` tries: each place that jobs use, as they use it, and the endpoints that were named. */

import type { Config } from '../config/config.ts';
import { isPlainObject } from '../config/references.ts';
import type { ProbeOptions } from '../endpoints/endpoint.ts';
import type { Job } from '../sync/job.ts';
import { unknownName } from './names.ts';

export type Use = NonNullable<ProbeOptions['use']>;

/** An endpoint, the folder below which it is tried, and how. */
export interface Target {
  readonly endpoint: string;
  readonly folder: string;
  readonly use: Use;
}

/** @throws Refusal when a name is neither a job's nor an endpoint's */
export function targetsOf(config: Config, names: readonly string[]): readonly Target[] {
  const targets = new Map<string, Target>();
  const add = (target: Target): void => {
    const id = `${target.endpoint}\0${target.folder}`;
    if (targets.get(id)?.use !== 'write') targets.set(id, target);
  };
  const isTarget = (name: string): boolean => [...targets.values()].some(({ endpoint }) => endpoint === name);
  const jumps = jumpHosts(config);
  for (const name of names.length > 0 ? names : [...config.jobs.keys(), ...config.endpoints.keys()]) {
    const job = config.jobs.get(name);
    if (job !== undefined) for (const target of usesOf(job)) add(target);
    else if (!config.endpoints.has(name))
      throw unknownName('job or endpoint', name, [...config.jobs.keys(), ...config.endpoints.keys()]);
    else if (!isTarget(name)) {
      const used = usedBy(config, name);
      // A jump host is walked on the way to what lies behind it.
      if (used === undefined && jumps.has(name) && names.length === 0) continue;
      add(used ?? { endpoint: name, folder: '', use: jumps.has(name) ? 'forward' : 'write' });
    }
  }
  return [...targets.values()];
}

/** A source that is kept as it is needs no permission to write. */
function usesOf(job: Job): readonly Target[] {
  const takes: Use = job.after.action === 'keep' ? 'read' : 'write';
  return [
    { endpoint: job.from.endpoint, folder: job.from.path, use: takes },
    ...job.to.map((place): Target => ({ endpoint: place.endpoint, folder: place.path, use: 'write' })),
  ];
}

/** How some job uses the endpoint, so that permissions are tried where they matter: a place that is written to, if any. */
function usedBy(config: Config, endpoint: string): Target | undefined {
  const uses = [...config.jobs.values()].flatMap(usesOf).filter((target) => target.endpoint === endpoint);
  return uses.find((target) => target.use === 'write') ?? uses[0];
}

function jumpHosts(config: Config): ReadonlySet<string> {
  const vias = [...config.endpoints.values()].flatMap(({ settings }) =>
    isPlainObject(settings) && Array.isArray(settings.via) ? settings.via : [],
  );
  return new Set(vias.filter((via) => typeof via === 'string'));
}
