/** Jobs that take files away from each other: what one deletes or archives once it has sent it, another may never see. */

import type { Job } from '../sync/job.ts';
import type { Advice } from './problems.ts';

/** @returns about the first other job that may go without files of its source, because this one removes them */
export function robsOf(job: Job, jobs: Iterable<Job>): Advice | undefined {
  if (job.after.action === 'keep') return undefined;
  for (const other of jobs) {
    if (other.name === job.name || !sharesFiles(job, other)) continue;
    return {
      message: `"after" takes files away that the job ${other.name}, which has the same "from", may not have sent yet`,
      remedy: 'write both destinations into "to" of one job, or give each job a "match" of its own',
    };
  }
  return undefined;
}

/** Only where it is certain: whether two patterns can match one name is not asked, nor what `ignore` leaves of it. */
function sharesFiles(one: Job, other: Job): boolean {
  const isSure = one.ignore.length + other.ignore.length === 0;
  const isSamePlace = one.from.endpoint === other.from.endpoint && one.from.path === other.from.path;
  return isSure && isSamePlace && (one.match.some(isIn(other.match)) || other.match.some(isIn(one.match)));
}

function isIn(patterns: readonly string[]): (pattern: string) => boolean {
  return (pattern) => pattern === '**' || patterns.includes(pattern);
}
