/** What is wrong, and what to do about each: gathered from a view of how things stand, the gravest first. */

import { formatCount, formatDuration } from '../observe/format.ts';
import type { Delivery } from '../sync/delivery.ts';
import type { Overview } from './overview.ts';

export interface Trouble {
  readonly title: string;
  readonly message: string;
  readonly advice: string | undefined;
  /** What to type when it is mended. */
  readonly command: string | undefined;
  /** It waits for a person; otherwise Ferry goes on trying. */
  readonly grave: boolean;
}

export function troublesOf(view: Overview): readonly Trouble[] {
  const found = [...alarms(view), ...endpoints(view), ...failures(view)];
  const named = [...view.jobs, ...view.endpoints].map((one) => one.name);
  // What is about a job or an endpoint has been said.
  const others = view.health.reasons.filter(
    (reason) => found.length === 0 || !named.some((name) => reason.includes(name)),
  );
  if (!view.health.ready) found.push(...others.map((reason) => healthTrouble(reason, view.health.live)));
  return found.sort((a, b) => Number(b.grave) - Number(a.grave));
}

function alarms({ jobs }: Overview): readonly Trouble[] {
  return jobs.flatMap(({ name, alarm }) =>
    alarm === undefined
      ? []
      : [
          {
            title: `The source of ${name}`,
            message: alarm.message,
            advice: alarm.advice,
            command: undefined,
            grave: true,
          },
        ],
  );
}

function endpoints({ endpoints, nowMs }: Overview): readonly Trouble[] {
  return endpoints.flatMap(({ name, state, fault, sinceMs, nextProbeMs, owed }) => {
    if (state === 'up') return [];
    const lasting =
      sinceMs === undefined ? `is ${state}` : `has been ${state} for ${formatDuration(nowMs - sinceMs)}`;
    const next =
      nextProbeMs === undefined
        ? ''
        : `; the next try is in ${formatDuration(Math.max(0, nextProbeMs - nowMs))}`;
    const waiting = owed === 0 ? '' : `; ${formatCount(owed, 'delivery waits', 'deliveries wait')}`;
    return [
      {
        title: `${name} ${lasting}`,
        message: `${fault?.message ?? 'No reason was recorded'}${waiting}${next}.`,
        advice: fault?.advice,
        command: state === 'stopped' ? `ferry check ${name} && ferry resume ${name}` : `ferry check ${name}`,
        grave: state === 'stopped',
      },
    ];
  });
}

/** Failed deliveries with the same message are one trouble. */
function failures({ failed, jobs }: Overview): readonly Trouble[] {
  const groups = new Map<string, Delivery[]>();
  for (const delivery of failed) {
    const key = JSON.stringify([delivery.job, delivery.endpoint, delivery.error?.message]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [delivery]);
    else group.push(delivery);
  }
  const shown = new Map<string, number>();
  const cards = [...groups.values()].flatMap((group): Trouble[] => {
    const [first] = group;
    if (first === undefined) return [];
    shown.set(first.job, (shown.get(first.job) ?? 0) + group.length);
    const names = group.slice(0, 3).map((one) => one.path);
    const more = group.length > names.length ? ` and ${group.length - names.length} more` : '';
    return [
      {
        title: `${first.job}: ${formatCount(group.length, 'file')} could not be delivered to ${first.endpoint}`,
        message: `${first.error?.message ?? 'No reason was recorded'}: ${names.join(', ')}${more}`,
        advice: first.error?.advice,
        command: group.length === 1 ? `ferry retry ${first.id}` : `ferry retry --job ${first.job}`,
        grave: true,
      },
    ];
  });
  for (const { name, failed: count } of jobs) {
    const rest = count - (shown.get(name) ?? 0);
    if (rest <= 0) continue;
    cards.push({
      title: `${name}: ${formatCount(rest, 'more file')} failed`,
      message: 'Too many to show here.',
      advice: undefined,
      command: `ferry history --job ${name} --state failed`,
      grave: true,
    });
  }
  return cards;
}

function healthTrouble(reason: string, live: boolean): Trouble {
  return {
    title: live ? 'Not ready' : 'Not working',
    message: reason,
    advice: undefined,
    command: undefined,
    grave: !live,
  };
}
