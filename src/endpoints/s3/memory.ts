/** What all sessions of an endpoint share: how much may be under way, and what has been learned about the server. */

import { Allowance, Turns } from './allowance.ts';
import type { S3Settings } from './settings.ts';

/** Bodies held in memory: the parts of a large file that are on their way. */
const BODY_BYTES = 32 * 1024 * 1024;

export interface MemoryOptions {
  readonly warn: (message: string) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export class Memory {
  readonly requests: Allowance;
  readonly bodies = new Allowance(BODY_BYTES);
  /** Sends that look at a name before they take it, one after another for each name. */
  readonly names = new Turns();
  /** Multipart uploads of this process that are under way, by id. */
  readonly uploads = new Set<string>();
  /** The server takes `If-None-Match: *`, or at least does not refuse it. */
  conditions = true;
  readonly now: () => number;
  readonly #warn: (message: string) => void;
  readonly #warned = new Set<string>();

  constructor({ connections }: S3Settings, { warn, now }: MemoryOptions) {
    this.requests = new Allowance(connections);
    this.#warn = warn;
    this.now = now;
  }

  warnOnce(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.#warn(message);
  }
}
