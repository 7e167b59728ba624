/**
 * What lies in a folder at the partner: asked for by StartDirectoryListing, which writes it into the bucket after a
 * while. The API tells nobody when it fails (a folder that is missing, a login that may not list), so what has not come
 * in time is given up. One listing of a folder serves everybody who asked before it began.
 *
 * https://docs.aws.amazon.com/transfer/latest/userguide/sftp-connector-list-dir.html
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { asFault, Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, joinPath, nameOf, OWN_PREFIX, printable } from '../../sync/names.ts';
import type { Api } from './api.ts';
import { folderAddress, type Staging } from './staging.ts';

/** The API's limit. */
const MOST_ITEMS = 10_000;
const FIRST_LOOK_MS = 200;
const MOST_WAIT_MS = 2_000;
/** Of listings that have come. */
const KEPT_MS = 60_000;
/** Where listings are put, below the staging folder. */
const FOLDER = `${OWN_PREFIX}listings`;

export interface Seen {
  /** Undefined where the server does not tell. */
  readonly sizeBytes: number | undefined;
  readonly modifiedMs: number | undefined;
}

export interface Listing {
  /** When it was asked for, by this host's clock. */
  readonly askedMs: number;
  /** By name. */
  readonly files: ReadonlyMap<string, Seen>;
  readonly folders: ReadonlySet<string>;
  /** There is more than 10,000 entries, so that what is not in it may be there all the same. */
  readonly truncated: boolean;
}

/** As the service writes it. */
const Output = z.object({
  files: z
    .array(
      z.object({
        filePath: z.string(),
        modifiedTimestamp: z.union([z.string(), z.number()]).optional(),
        size: z.number().optional(),
      }),
    )
    .default([]),
  paths: z.array(z.object({ path: z.string() })).default([]),
  truncated: z.union([z.boolean(), z.string()]).default(false),
});

export interface ListingsOptions {
  readonly name: string;
  readonly api: Api;
  readonly staging: Staging;
  readonly timeoutMs: number;
  /** How soon it is looked for at first. */
  readonly pollMs: number;
  readonly now: () => number;
}

interface Asked {
  readonly askedMs: number;
  readonly listing: Promise<Listing>;
}

/** One at a time for each folder; who asks for a newer one than is under way shares the next. */
interface Turn {
  asked: Asked | undefined;
  underWay: boolean;
  next: Promise<Listing> | undefined;
}

export class Listings implements AsyncDisposable {
  readonly #options: ListingsOptions;
  readonly #folders = new Map<FilePath, Turn>();
  readonly #stop = new AbortController();

  constructor(options: ListingsOptions) {
    this.#options = options;
  }

  /**
   * A listing that was asked for at or after that moment. @throws Fault `transient` LISTING_FAILED when none has come,
   * and whatever the API or the bucket says
   */
  async of(folder: FilePath, sinceMs: number, signal: AbortSignal): Promise<Listing> {
    return await orAborted(this.#ask(folder, sinceMs), signal);
  }

  /** The same, if it comes within so long; it goes on coming otherwise, for who asks again. */
  async soon(
    folder: FilePath,
    sinceMs: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<Listing | undefined> {
    const timer = new AbortController();
    try {
      const late = sleep(waitMs, undefined, { signal: timer.signal }).catch(() => undefined);
      return await Promise.race([this.of(folder, sinceMs, signal), late]);
    } finally {
      timer.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const turns = [...this.#folders.values()];
    await Promise.allSettled(turns.flatMap(({ asked, next }) => [asked?.listing, next]));
  }

  #ask(folder: FilePath, sinceMs: number): Promise<Listing> {
    this.#forget();
    const turn = this.#folders.get(folder) ?? { asked: undefined, underWay: false, next: undefined };
    this.#folders.set(folder, turn);
    if (turn.asked !== undefined && turn.asked.askedMs >= sinceMs) return turn.asked.listing;
    if (turn.asked === undefined || !turn.underWay) return this.#begin(folder, turn);
    turn.next ??= turn.asked.listing
      .catch(() => undefined)
      .then(() => {
        turn.next = undefined;
        return this.#begin(folder, turn);
      });
    return turn.next;
  }

  #begin(folder: FilePath, turn: Turn): Promise<Listing> {
    const askedMs = this.#options.now();
    const listing = this.#fetch(folder, askedMs);
    const asked = { askedMs, listing };
    turn.asked = asked;
    turn.underWay = true;
    listing
      .catch(() => {
        // A failure is told to those who waited for it, and serves nobody else.
        if (turn.asked === asked) turn.asked = undefined;
      })
      .finally(() => {
        turn.underWay = false;
      });
    return listing;
  }

  #forget(): void {
    const oldMs = this.#options.now() - KEPT_MS;
    for (const [folder, { asked, underWay, next }] of this.#folders) {
      if (!underWay && next === undefined && (asked?.askedMs ?? 0) < oldMs) this.#folders.delete(folder);
    }
  }

  async #fetch(folder: FilePath, askedMs: number): Promise<Listing> {
    const { api, staging, timeoutMs, pollMs, name } = this.#options;
    const { signal } = this.#stop;
    const untilMs = performance.now() + timeoutMs;
    const output = await api.list(
      folder === '' ? '.' : folder,
      folderAddress(staging, FOLDER),
      MOST_ITEMS,
      signal,
    );
    const path = joinPath(FOLDER, nameOf(output));
    for (let waitMs = Math.min(FIRST_LOOK_MS, pollMs); ; waitMs = Math.min(waitMs * 1.5, MOST_WAIT_MS)) {
      await sleep(waitMs, undefined, { signal }).catch(() => throwIfAborted(signal));
      const written = await staging.read(path, signal);
      if (written !== undefined) {
        await staging.remove(path, signal);
        return parse(written, askedMs);
      }
      if (performance.now() > untilMs) break;
    }
    throw new Fault(
      'transient',
      `${name}: no listing of ${printable(folder)} came within ${timeoutMs / 1000} s`,
      {
        code: 'LISTING_FAILED',
        advice:
          'Is that folder there at the partner, and may the login list it? The log of the connector in CloudWatch (aws/transfer/c-…) tells; a connector makes no folders.',
      },
    );
  }
}

function parse(written: Buffer, askedMs: number): Listing {
  try {
    const { files, paths, truncated } = Output.parse(JSON.parse(written.toString('utf8')));
    return {
      askedMs,
      files: new Map(
        files.map(({ filePath, modifiedTimestamp, size }) => [
          nameOf(filePath),
          { sizeBytes: size, modifiedMs: millisecondsOf(modifiedTimestamp) },
        ]),
      ),
      folders: new Set(paths.map(({ path }) => nameOf(path.replace(/\/+$/, '')))),
      truncated: String(truncated) === 'true',
    };
  } catch (cause) {
    throw new Fault('transient', 'the listing that the connector wrote cannot be read', {
      code: 'BAD_LISTING',
      cause,
    });
  }
}

/** ISO 8601, or seconds since the epoch. */
function millisecondsOf(timestamp: string | number | undefined): number | undefined {
  if (timestamp === undefined) return undefined;
  const ms = typeof timestamp === 'number' ? timestamp * 1000 : Date.parse(timestamp);
  return Number.isNaN(ms) ? undefined : ms;
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  throwIfAborted(signal);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(asFault(signal.reason, signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
