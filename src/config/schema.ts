/** What may stand in a job's file: its keys, their defaults, and what each is for. Also the source of the editors' schema. */

import { z } from 'zod';
import type { Advice, Finding } from './problems.ts';
import { duration } from './values.ts';

/** A folder on this host, or a path at an endpoint. */
export type PlaceInput = string | { readonly endpoint: string; readonly path: string };

/** What the schema asks about values that it cannot judge by itself. An answer is a fault; none is a yes. */
export interface Checks {
  place(place: PlaceInput): readonly Finding[];
  cron(text: string): Promise<Advice | undefined>;
  timezone(text: string): Advice | undefined;
  glob(pattern: string): Advice | undefined;
  marker(pattern: string): Advice | undefined;
}

/** Durations within bounds. */
function durationFrom(leastMs: number, least: string) {
  return duration.refine((ms) => ms >= leastMs, { error: `must be at least ${least}` });
}

/** A text, checked; the checks' remedy goes along as a parameter of the issue. */
function checkedText(check: (text: string) => Advice | undefined | Promise<Advice | undefined>) {
  return z.string().superRefine(async (text, context) => {
    const fault = await check(text);
    if (fault !== undefined) context.addIssue(customIssue(fault, []));
  });
}

function customIssue(fault: Advice, path: Finding['path']) {
  return {
    code: 'custom' as const,
    message: fault.message,
    path: [...path],
    params: { remedy: fault.remedy },
  };
}

/** A union's own words for a value that fits none of its branches. */
function orElse(text: string) {
  return {
    error: (issue: { readonly input?: unknown }) => (issue.input == null ? undefined : `must be ${text}`),
  };
}

function oneOrMore<Item extends z.ZodType>(item: Item, text: string, least = 1) {
  return z
    .union([item, z.array(item).min(least)], orElse(text))
    .transform((value): readonly z.output<Item>[] => (Array.isArray(value) ? value : [value]));
}

export function jobSchema(checks: Checks) {
  const remote = z.strictObject({
    endpoint: z.string().min(1).describe('Name of an entry in endpoints.yaml.'),
    path: z.string().default('').describe('A folder there: absolute, or relative to where a login starts.'),
  });
  const place = z
    .union(
      [z.string().min(1).describe('A folder on this host.'), remote],
      orElse('a folder, or { endpoint: NAME, path: FOLDER }'),
    )
    .superRefine((value, context) => {
      for (const fault of checks.place(value)) context.addIssue(customIssue(fault, fault.path));
    });
  const globs = (what: string, least: number) =>
    oneOrMore(checkedText(checks.glob), 'a pattern, or a list of patterns', least).describe(what);

  return z.strictObject({
    from: place.describe('Where files are taken from: a folder on this host, or { endpoint, path }.'),
    match: globs(
      'Patterns of the files to take, relative to "from". Default: all. Dotfiles never.',
      1,
    ).default(['**']),
    ignore: globs('Patterns of the files to leave.', 0).default([]),
    to: oneOrMore(place, 'a folder, { endpoint: NAME, path: FOLDER }, or a list of these').describe(
      'Where files go: one place, or a list; each file goes to every one.',
    ),
    when: whenSchema(checks)
      .prefault({})
      .describe('What makes the job look for files. Default: only by hand.'),
    settle: duration
      .prefault('5s')
      .describe('A file is due when it has not changed for so long. Default: 5s.'),
    done: checkedText(checks.marker)
      .optional()
      .describe(
        'A file is due only when its marker stands beside it: {name} is its name, {stem} the name without extension.',
      ),
    after: z
      .union(
        [z.enum(['keep', 'delete']), z.strictObject({ archive: z.string().min(1) })],
        orElse('keep, delete or { archive: FOLDER }'),
      )
      .default('keep')
      .describe(
        'What happens to a file once every destination has confirmed it: keep, delete, or { archive: FOLDER }.',
      ),
    conflict: z
      .enum(['replace', 'skip', 'rename', 'fail'])
      .default('replace')
      .describe('When the remote name is taken by other content. Default: replace.'),
    verify: z
      .enum(['size', 'checksum'])
      .default('size')
      .describe('What must agree before a file counts as delivered. Default: size.'),
    retry: z
      .strictObject({
        attempts: z
          .int()
          .min(1)
          .max(1000)
          .default(8)
          .describe('Tries before a file waits for a person. Default: 8.'),
        delay: durationFrom(1, '1ms')
          .prefault('5s')
          .describe('Wait before the second try; doubles each time. Default: 5s.'),
        maxDelay: durationFrom(1, '1ms')
          .prefault('15m')
          .describe('Longest wait between two tries. Default: 15m.'),
      })
      .refine(({ delay, maxDelay }) => delay <= maxDelay, {
        path: ['delay'],
        error: 'must not be longer than maxDelay',
      })
      .prefault({})
      .describe("Tries of a file that fails by its own fault. An endpoint's trouble costs none."),
    order: z
      .enum(['none', 'name', 'mtime'])
      .default('none')
      .describe('Send one after another, in this order. Default: none, many at once.'),
    preserve: z
      .strictObject({
        mtime: z
          .boolean()
          .default(true)
          .describe("Set the delivered file's modification time to the source's. Default: true."),
        mode: z.boolean().default(false).describe("Set its permissions to the source's. Default: false."),
      })
      .prefault({})
      .describe('What besides the content goes along.'),
    history: durationFrom(3_600_000, '1h')
      .prefault('400d')
      .describe('How long ended deliveries are remembered. Default: 400d.'),
  });
}

function whenSchema(checks: Checks) {
  return z
    .strictObject({
      watch: z.boolean().default(false).describe('Look whenever something changes in the source folder.'),
      cron: checkedText(checks.cron)
        .optional()
        .describe('Look at these times: minute hour day month weekday.'),
      timezone: checkedText(checks.timezone)
        .optional()
        .describe("Time zone of cron, such as Asia/Tokyo. Default: this host's."),
      catchUp: z
        .enum(['once', 'none'])
        .default('once')
        .describe('After times that passed while Ferry was not running: look once, or not. Default: once.'),
      rescan: durationFrom(1000, '1s')
        .prefault('5m')
        .describe('Look at the whole of a watched folder so often. Default: 5m.'),
      poll: durationFrom(100, '100ms')
        .optional()
        .describe(
          "Watch by looking so often instead of the system's events: for network shares and servers.",
        ),
    })
    .refine(({ watch, poll }) => watch || poll === undefined, {
      path: ['poll'],
      error: 'says how to watch, but watch is not true',
      params: { remedy: 'add watch: true' },
    })
    .refine(({ cron, timezone }) => cron !== undefined || timezone === undefined, {
      path: ['timezone'],
      error: 'is for cron, and there is none',
      params: { remedy: 'add cron, or leave timezone out' },
    });
}

export type JobInput = z.output<ReturnType<typeof jobSchema>>;

/** Of a job that is not valid as a whole, what is valid by itself: enough to hold its places against each other. */
export function jobParts({ shape }: ReturnType<typeof jobSchema>) {
  const place = shape.from.optional().catch(undefined);
  return z.object({
    from: place,
    match: shape.match.catch([]),
    ignore: shape.ignore.catch([]),
    to: z.preprocess((value) => (Array.isArray(value) ? value : [value]), z.array(place).readonly()),
    when: shape.when.optional().catch(undefined),
    after: shape.after.optional().catch(undefined),
  });
}

export type JobParts = z.output<ReturnType<typeof jobParts>>;
