/** A broken edit keeps the old: what is written but not valid is taken from the configuration that ran before. */

import type { Config, Loaded } from '../config/config.ts';

export function keepBroken({ config, broken }: Loaded, before: Config): Config {
  const endpoints = new Map(config.endpoints);
  for (const [name, entry] of before.endpoints) {
    const isBroken =
      broken.endpoints.has(name) || (broken.endpointsFile && entry.file.endsWith('endpoints.yaml'));
    if (!endpoints.has(name) && isBroken) endpoints.set(name, entry);
  }
  const jobs = new Map(config.jobs);
  for (const [name, job] of before.jobs) {
    if (jobs.has(name) || !broken.jobs.has(name)) continue;
    jobs.set(name, job);
    for (const place of [job.from, ...job.to]) {
      const entry = before.endpoints.get(place.endpoint);
      if (entry !== undefined && !endpoints.has(place.endpoint)) endpoints.set(place.endpoint, entry);
    }
  }
  return { ...config, jobs, endpoints };
}
