/** A job as the heart sees it: parsed, resolved, with every default filled in. Made by config/, data only. */

import type { FilePath } from './names.ts';

export interface Place {
  /** Name of an endpoint; a plain folder in `from` or `archive` is a `local` endpoint that config/ made for it. */
  readonly endpoint: string;
  readonly path: FilePath;
  /** Of a destination that takes no larger file, whatever is done. */
  readonly maxBytes?: number;
}

export interface Job {
  readonly name: string;
  readonly from: Place;
  readonly match: readonly string[];
  readonly ignore: readonly string[];
  /** At least one. */
  readonly to: readonly Place[];
  readonly when: {
    readonly watch: boolean;
    readonly cron: string | undefined;
    readonly timezone: string | undefined;
    readonly catchUp: 'once' | 'none';
    /** How often a watched root is scanned as a whole, whatever the watcher says. */
    readonly rescanMs: number;
    /** Watch by polling at this interval (network shares), or undefined for the system's events. */
    readonly pollMs: number | undefined;
  };
  readonly settleMs: number;
  /** Marker name with `{name}` (whole name) and `{stem}` (without extension) replaced, or undefined. */
  readonly done: string | undefined;
  /**
   * An archive's path is one of the source endpoint's; a folder outside a `local` endpoint's root is written as an
   * absolute path, one inside it relative to that root.
   */
  readonly after:
    | { readonly action: 'keep' }
    | { readonly action: 'delete' }
    | { readonly action: 'archive'; readonly path: FilePath };
  readonly conflict: 'replace' | 'skip' | 'rename' | 'fail';
  readonly verify: 'size' | 'checksum';
  readonly retry: { readonly attempts: number; readonly delayMs: number; readonly maxDelayMs: number };
  /**
   * `name`, `mtime`: one file at a time to each endpoint, the first of those that are owed. Nothing overtakes a file that is
   * tried again; once it has failed the next one goes, and a `ferry retry` sends it out of turn.
   */
  readonly order: 'none' | 'name' | 'mtime';
  readonly preserve: { readonly mtime: boolean; readonly mode: boolean };
  /** How long ended deliveries are remembered. */
  readonly historyMs: number;
  /** Where it is written, for messages. */
  readonly file: string;
}

/** A destination's identity in the ledger: `endpoint:path`. A job that points elsewhere owes its files anew. */
export function destinationOf(place: Place): string {
  return `${place.endpoint}:${place.path}`;
}
