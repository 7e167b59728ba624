/** Judges single values of a job: cron lines, time zones, patterns, marker names. The cron library is loaded when needed. */

import picomatch from 'picomatch';
import { messageOf } from '../sync/errors.ts';
import { didYouMean, nearest } from './nearest.ts';
import type { Advice } from './problems.ts';

const CRON_HELP = 'write minute hour day month weekday, as in "0 2 * * *" for every night at two';
const CRON_NAMES = [
  '@hourly',
  '@daily',
  '@weekly',
  '@monthly',
  '@yearly',
  '@weekdays',
  '@weekends',
  '@minutely',
];

/** Five fields, or six with seconds first, or a name such as `@daily`. */
export async function checkCron(text: string): Promise<Advice | undefined> {
  const fields = text.trim().split(/\s+/);
  if (text.trim().startsWith('@')) {
    if (CRON_NAMES.includes(text.trim())) return undefined;
    return {
      message: `"${text}" is not a cron name`,
      remedy: didYouMean(text, CRON_NAMES) ?? `there are ${CRON_NAMES.join(', ')}`,
    };
  }
  if (text.trim() === '' || fields.length < 5 || fields.length > 6) {
    const count = text.trim() === '' ? 0 : fields.length;
    return { message: `"${text}" has ${count} field${count === 1 ? '' : 's'}, not five`, remedy: CRON_HELP };
  }
  // The library draws `H` anew each time it reads it.
  if (fields.some((field) => /\bH\b/i.test(field)))
    return { message: `"${text}": H is not understood`, remedy: CRON_HELP };
  const { CronExpressionParser } = await import('cron-parser');
  try {
    CronExpressionParser.parse(text, { tz: 'UTC' }).next();
    return undefined;
  } catch (error) {
    return {
      message: `"${text}" is not a cron line (${messageOf(error).replace(/^[A-Z]/, (first) => first.toLowerCase())})`,
      remedy: CRON_HELP,
    };
  }
}

export function checkTimezone(text: string): Advice | undefined {
  if (isTimezone(text)) return undefined;
  const known = Intl.supportedValuesOf('timeZone');
  const city = known.find(
    (zone) => zone.split('/').at(-1)?.toLowerCase() === text.replaceAll(' ', '_').toLowerCase(),
  );
  const meant = city ?? nearest(text, known);
  return {
    message: `"${text}" is not a time zone`,
    remedy:
      meant === undefined
        ? 'write a name such as Asia/Tokyo, Europe/Berlin or UTC'
        : `did you mean "${meant}"?`,
  };
}

function isTimezone(text: string): boolean {
  // Offsets such as +09:00 are known here, but not to the cron library.
  if (!/^[A-Za-z]/.test(text)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

/** A pattern of paths relative to the job's source. */
export function checkGlob(pattern: string): Advice | undefined {
  if (pattern.trim() === '')
    return { message: 'an empty pattern matches nothing', remedy: 'write "**" for all files' };
  const said = `"${pattern}"`;
  if (pattern.startsWith('!'))
    return {
      message: `${said}: a pattern does not begin with "!"`,
      remedy: `put "${pattern.slice(1)}" under "ignore"`,
    };
  if (pattern.startsWith('/') || /^[A-Za-z]:[\\/]/.test(pattern))
    return { message: `${said} is an absolute path`, remedy: 'patterns start at "from"' };
  if (pattern.startsWith('~'))
    return { message: `${said} begins with ~`, remedy: 'patterns start at "from"' };
  if (pattern.split('/').includes('..'))
    return { message: `${said} leads out of "from"`, remedy: 'patterns start at "from" and stay below it' };
  if (pattern.endsWith('/'))
    return { message: `${said} means a folder, and only files are matched`, remedy: `write "${pattern}**"` };
  if (/\\[A-Za-z0-9_]/.test(pattern))
    return { message: `${said} holds a backslash`, remedy: 'separate folders by "/"' };
  if (unbalanced(pattern))
    return {
      message: `${said} has a bracket without its partner`,
      remedy: 'write \\ before a bracket that belongs to the name',
    };
  try {
    picomatch.makeRe(pattern, { strictBrackets: true, debug: true });
    return undefined;
  } catch {
    return {
      message: `${said} is not a pattern`,
      remedy: 'use *, **, ?, [a-z] and {a,b}; write \\ before a character that belongs to the name',
    };
  }
}

function unbalanced(pattern: string): boolean {
  const plain = pattern.replace(/\\./g, '');
  return [
    ['[', ']'],
    ['{', '}'],
    ['(', ')'],
  ].some(([open = '', close = '']) => plain.split(open).length !== plain.split(close).length);
}

/** Patterns that only dotfiles could match, which are never picked up. */
export function matchesOnlyHidden(pattern: string): boolean {
  return pattern.split('/').some((part) => part.startsWith('.') && part !== '.');
}

/** `{name}.done`: what the marker of a file is called. */
export function checkMarker(pattern: string): Advice | undefined {
  const said = `"${pattern}"`;
  const names = [...pattern.matchAll(/\{([^}]*)\}/g)].map((match) => match[1] ?? '');
  const strange = names.find((name) => name !== 'name' && name !== 'stem');
  if (strange !== undefined) {
    const meant = nearest(strange, ['name', 'stem']);
    const remedy = meant === undefined ? 'there are {name} and {stem}' : `did you mean {${meant}}?`;
    return { message: `${said} holds {${strange}}, which stands for nothing`, remedy };
  }
  if (names.length === 0)
    return {
      message: `${said} would be one marker for all files`,
      remedy:
        'write {name} for the name of the file, or {stem} for it without extension, as in "{name}.done"',
    };
  if (pattern.includes('/'))
    return { message: `${said} holds a folder`, remedy: 'a marker stands beside its file' };
  if (pattern === '{name}')
    return { message: `${said} is the file itself`, remedy: 'add something to it, as in "{name}.done"' };
  return undefined;
}
