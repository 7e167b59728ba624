/** What every command gets, and how it ends. */

import type { Writable } from 'node:stream';

/** The environment, read once. All paths absolute. */
export interface Settings {
  readonly jobsFolder: string;
  readonly dataFolder: string;
  /** Undefined: an embedded queue. */
  readonly redisUrl: string | undefined;
  /** `host:port` or `off`. */
  readonly http: string;
  readonly httpToken: string | undefined;
  readonly site: string;
  readonly logLevel: string;
  readonly home: string;
  /** For `${env:NAME}`, an agent's socket and the PATH of programs that Ferry starts. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Terminal extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Cli {
  readonly settings: Settings;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  readonly color: boolean;
  readonly colorErr: boolean;
  /** Fires when a person or the system asks us to stop. */
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** A yes or no; no where nobody can answer. */
  readonly ask: (question: string) => Promise<boolean>;
}

export const EXIT = {
  ok: 0,
  /** A delivery failed. */
  failed: 1,
  /** Bad configuration or usage. */
  usage: 2,
  /** An endpoint could not be reached, or the time was up. */
  unreachable: 3,
  interrupted: 130,
} as const;

/** Ends a command with a message for a person. */
export class Refusal extends Error {
  readonly code: number;

  constructor(message: string, code: number = EXIT.usage) {
    super(message);
    this.code = code;
  }
}

export function line(out: Writable, text: string): void {
  out.write(`${text}\n`);
}

/** One JSON object a line: what `--json` promises. */
export function json(out: Writable, value: unknown): void {
  out.write(`${JSON.stringify(value)}\n`);
}
