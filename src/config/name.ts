/** What jobs and endpoints may be called: names that fit on a command line, in a queue and in a metric. */

import type { Advice } from './problems.ts';

export const MAX_NAME = 64;

/** @param what `a job`, `an endpoint` */
export function checkName(name: string, what: string): Advice | undefined {
  if (name === '') return { message: `${what} must have a name` };
  if (name.length > MAX_NAME)
    return { message: `the name of ${what} has at most ${MAX_NAME} characters, and this has ${name.length}` };
  if (/^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]*$/u.test(name)) return undefined;
  const plain = name.replace(/[^\p{L}\p{M}\p{N}._-]+/gu, '-').replace(/^[^\p{L}\p{N}]+|-+$/gu, '');
  return {
    message: `"${name}" cannot be the name of ${what}: letters, digits, ".", "_" and "-" may be in it, and a letter or digit comes first`,
    ...(plain === '' ? {} : { remedy: `call it "${plain}"` }),
  };
}
