/** The first thing that a person sees: what runs, where to drop a file, and where it will appear. */

import type { Config } from '../config/config.ts';
import { rootOf } from '../config/places.ts';
import type { Job, Place } from '../sync/job.ts';
import { joinPath, printable } from '../sync/names.ts';

export interface BannerOptions {
  readonly config: Config;
  /** What people know each endpoint as. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly queue: string;
  readonly url: string | undefined;
  readonly jobsFolder: string;
}

export function bannerOf(options: BannerOptions): readonly string[] {
  const { config, queue, url } = options;
  const lines = [
    `Ferry is running ${config.jobs.size === 1 ? '1 job' : `${config.jobs.size} jobs`}. The queue: ${queue}.`,
  ];
  for (const job of config.jobs.values()) lines.push(...jobLines(job, options));
  if (config.jobs.size === 0)
    lines.push(`  There is no job in ${options.jobsFolder} yet; \`ferry init\` writes a first one.`);
  lines.push(
    url === undefined
      ? 'Health and dashboards are off (FERRY_HTTP=off).'
      : `Status page, health, metrics, queues: ${url}`,
  );
  lines.push('Ctrl-C stops it; what is being sent may finish.', '');
  return lines;
}

function jobLines(job: Job, options: BannerOptions): readonly string[] {
  const from = placeText(job.from, options);
  const does = job.when.watch
    ? `drop files into ${from}`
    : job.when.cron === undefined
      ? `\`ferry run ${job.name}\` sends from ${from}`
      : `at ${job.when.cron} from ${from}`;
  return [
    `  ${job.name}: ${does}`,
    ...job.to.map((place) => `    they appear in ${placeText(place, options)}`),
  ];
}

function placeText(place: Place, { config, addresses }: BannerOptions): string {
  const entry = config.endpoints.get(place.endpoint);
  const root = entry === undefined ? undefined : rootOf(entry);
  if (root !== undefined) return printable(joinPath(root, place.path));
  const address = addresses.get(place.endpoint) ?? place.endpoint;
  // A sandbox keeps its files here, too: show where to look.
  if (entry?.kind === 'sandbox') return printable(joinPath(address.replace(/^sandbox /, ''), place.path));
  return `${place.endpoint}:${printable(place.path)}  (${address})`;
}
