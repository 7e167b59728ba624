/**
 * Due times of a cron line. Light: knows the cron library alone.
 *
 * Around a change of the clock the library goes on from the last due time (`next`), and so do we: a time that is skipped in
 * spring comes an hour later that day (02:30 becomes 03:30), one that happens twice in autumn counts once, the first time;
 * lines that are due every so many minutes or each hour follow real time. Its `prev` says otherwise on those days, and is not used.
 */

import { CronExpressionParser } from 'cron-parser';

export interface CronLine {
  readonly pattern: string;
  /** Undefined: this host's time zone. */
  readonly timezone: string | undefined;
}

/** The first due time after a moment, or undefined when there is none any more. */
export function nextDue({ pattern, timezone }: CronLine, afterMs: number): number | undefined {
  const options = { currentDate: new Date(afterMs), ...(timezone === undefined ? {} : { tz: timezone }) };
  try {
    return CronExpressionParser.parse(pattern, options).next().getTime();
  } catch {
    return undefined;
  }
}

/** The first due time that lies between the last one honoured and now: it was missed, with all that follow it. */
export function missedDue(line: CronLine, lastMs: number, nowMs: number): number | undefined {
  const due = nextDue(line, lastMs);
  return due !== undefined && due <= nowMs ? due : undefined;
}
