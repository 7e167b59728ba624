/** Names of jobs and endpoints as a person gives them: what is none is refused, with the nearest that is. */

import { nearest } from '../config/nearest.ts';
import { Refusal } from './cli.ts';

/** @param what the word for what was asked for: "job", "endpoint", "job or endpoint" */
export function unknownName(what: string, name: string, known: Iterable<string>): Refusal {
  const names = [...new Set(known)];
  const near = nearest(name, names);
  return new Refusal(
    `there is no ${what} ${name}; ${near === undefined ? listed(names) : `did you mean ${near}?`}`,
  );
}

const MOST_LISTED = 12;

function listed(names: readonly string[]): string {
  if (names.length === 0) return 'there are none yet, try `ferry init`';
  const more = names.length - MOST_LISTED;
  return `there ${names.length === 1 ? 'is' : 'are'} ${names.slice(0, MOST_LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
