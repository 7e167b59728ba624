/**
 * The log: pino, one line an event. JSON for machines, plain lines for a person at a terminal. Whatever is
 * logged, no secret and no control character of a file's name gets through.
 */

import type { Logger } from 'pino';
import { formatLine } from './log-line.ts';
import { Secrets } from './secrets.ts';

export type Log = Logger;

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export function isLogLevel(text: string): text is LogLevel {
  return LOG_LEVELS.some((level) => level === text);
}

export interface LogOptions {
  readonly level: LogLevel;
  /** Standard error, as a rule. */
  readonly out: { write(text: string): unknown };
  /** Lines for a person instead of JSON. */
  readonly human: boolean;
  readonly color: boolean;
  /** May grow while the log is in use. */
  readonly secrets?: Secrets;
  /** In every JSON line: the site, say. */
  readonly base?: Readonly<Record<string, string>>;
}

/** Fields that hold secrets, should anyone ever log an endpoint's settings as they are. */
const REDACTED = [
  'password',
  'passphrase',
  'secret',
  'token',
  'key',
  'authorization',
  'secretAccessKey',
  'sessionToken',
];

export async function createLog(options: LogOptions): Promise<Log> {
  const { pino, stdTimeFunctions } = await import('pino');
  const { base = {}, color, human, level, out, secrets = new Secrets() } = options;
  return pino(
    {
      level,
      base: human ? null : base,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[secret]' },
      serializers: { err: describeError },
    },
    {
      write(line: string): void {
        if (!human && secrets.absentFromJson(line)) {
          out.write(line);
          return;
        }
        const masked = secrets.maskAll(JSON.parse(line));
        out.write(human ? formatLine(masked, color) : `${JSON.stringify(masked)}\n`);
      },
    },
  );
}

/** An error with what it says, why, and where; nothing else that a library may have hung on it. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const { cause, message, name, stack } = error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return { name, message, code, stack, ...(cause === undefined ? {} : { cause: describeError(cause) }) };
}
