/**
 * Watches a job's source and says where to look. An event is a hint: it may come late, twice, or never; only
 * the scan decides. So this aims at being quick and cheap, and at knowing when it does not know: then it asks
 * for a look at the whole. What gets lost all the same is found by the periodic scan.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../sync/errors.ts';
import type { FilePath } from '../sync/names.ts';
import { AdaptiveTree, ORDINARY } from './adaptive-tree.ts';
import { Agenda, sortOut } from './agenda.ts';
import type { Ordinary } from './chokidar-tree.ts';
import { Root } from './root.ts';
import { hangs, isOnNetwork, limited, missing } from './trouble.ts';

/** Events within so many ms are passed on together. */
const TOGETHER_MS = 25;
/** How often the root is asked whether it is still there, and the same. */
const ROOT_CHECK_MS = 1_500;
/** How often the whole is looked at while some folders cannot be watched. */
const BLIND_MS = 5_000;
/** How often a network share is looked at as a whole: what other hosts write there causes no event here. */
const NETWORK_POLL_MS = 10_000;

export interface WatchOptions {
  /** Absolute. */
  readonly folder: FilePath;
  /** Look at the whole at this interval instead of watching. */
  readonly pollMs?: number | undefined;
  /** Folders (relative to `folder`) for which this says false are not gone into. */
  readonly enter?: (folder: FilePath) => boolean;
  /** Names (relative to `folder`) that nobody needs to hear of. */
  readonly ignore?: (path: FilePath) => boolean;
  /**
   * Something happened to these, relative to `folder`. Each may be a file, a folder (then everything below it
   * is meant), or gone.
   */
  readonly onPaths: (paths: ReadonlySet<FilePath>) => void;
  /** Anything may have happened. */
  readonly onWhole: (reason: string) => void;
  /** The watch does not work as it should; undefined: now it does. Told when that changes. */
  readonly onAlarm: (fault: Fault | undefined) => void;
  readonly signal: AbortSignal;
  /** One watch for the whole tree, as Windows and macOS have it. Default: there. */
  readonly recursive?: boolean;
  /** Up to here chokidar watches the tree. */
  readonly ordinary?: Ordinary;
  readonly rootCheckMs?: number;
  readonly blindMs?: number;
}

export interface FolderWatch extends AsyncDisposable {
  /** How it gets to know: told by the system, by looking again and again, or both (a network share). */
  readonly by: 'events' | 'polling' | 'both';
  /** What the system's events come through: it changes over by itself, once. */
  readonly engine: 'chokidar' | 'folders';
  /** How many folders are watched. */
  readonly folders: number;
}

/**
 * Resolves when everything is watched, so that a scan from now on misses nothing; or when it is known that
 * this cannot be yet: then `onAlarm` has been told, and it goes on trying until the signal fires.
 */
export async function watchFolder(options: WatchOptions): Promise<FolderWatch> {
  const watcher = new Watcher(options);
  await watcher.started.promise;
  return watcher;
}

class Watcher implements FolderWatch {
  readonly started = Promise.withResolvers<void>();
  readonly #options: WatchOptions;
  readonly #root: Root;
  readonly #tree: AdaptiveTree;
  readonly #clocks: NodeJS.Timeout[] = [];
  #agenda = new Agenda();
  #timer: NodeJS.Timeout | undefined;
  /** The pass under way: there is never more than one. */
  #pass: Promise<void> | undefined;
  /** Of the root that is watched; undefined while there is none. */
  #identity: string | undefined;
  #firstPass = true;
  #onNetwork = false;
  #blind: NodeJS.Timeout | undefined;
  #alarmed: string | undefined;
  #closed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#root = new Root(options.folder);
    this.#tree = new AdaptiveTree({
      root: options.folder,
      enter: options.enter ?? (() => true),
      recursive: options.recursive ?? process.platform !== 'linux',
      ordinary: options.ordinary ?? ORDINARY,
      onEvent: (path, structural) => this.#onEvent(path, structural),
      onDoubt: (reason) => this.#onDoubt(reason),
    });
    options.signal.addEventListener('abort', this.#close, { once: true });
    if (options.signal.aborted) this.#close();
    else this.#begin();
  }

  get by(): 'events' | 'polling' | 'both' {
    if (this.#options.pollMs !== undefined) return 'polling';
    return this.#onNetwork ? 'both' : 'events';
  }

  get engine(): 'chokidar' | 'folders' {
    return this.#tree.engine;
  }

  get folders(): number {
    return this.#tree.watched;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    // A file system that hangs must not hold us up.
    await Promise.race([this.#pass, sleep(1_000, undefined, { ref: false })]);
  }

  readonly #close = (): void => {
    this.#closed = true;
    this.#options.signal.removeEventListener('abort', this.#close);
    clearTimeout(this.#timer);
    clearTimeout(this.#blind);
    for (const clock of this.#clocks) clearInterval(clock);
    this.#tree[Symbol.dispose]();
    this.started.resolve();
  };

  #begin(): void {
    const { pollMs, rootCheckMs = ROOT_CHECK_MS } = this.#options;
    this.#every(rootCheckMs, () => this.#tick());
    if (pollMs !== undefined) this.#every(pollMs, () => this.#poll());
    this.#run();
  }

  #every(ms: number, act: () => void): void {
    this.#clocks.push(setInterval(act, ms));
  }

  #onEvent(path: FilePath, structural: boolean): void {
    this.#agenda.note(path, structural);
    this.#arm(TOGETHER_MS);
  }

  #onDoubt(reason: string): void {
    this.#agenda.doubt ??= reason;
    this.#arm(TOGETHER_MS);
  }

  #poll(): void {
    if (this.#identity !== undefined) this.#options.onWhole('poll');
  }

  /** Each pass begins at the root; while nothing happens, this makes one all the same. */
  #tick(): void {
    if (this.#root.hangs) {
      this.#alarm(hangs(this.#options.folder));
      this.started.resolve();
    }
    this.#arm(0);
  }

  #arm(ms: number): void {
    if (this.#timer !== undefined || this.#pass !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => this.#run(), ms);
  }

  #run(): void {
    this.#timer = undefined;
    const startedMs = performance.now();
    this.#pass = this.#once().finally(() => {
      this.#pass = undefined;
      this.started.resolve();
      // While a storm lasts, at most half of the time goes into it.
      if (!this.#agenda.empty) this.#arm(Math.max(TOGETHER_MS, performance.now() - startedMs));
    });
  }

  async #once(): Promise<void> {
    const agenda = this.#agenda;
    this.#agenda = new Agenda();
    const first = this.#firstPass;
    this.#firstPass = false;
    try {
      const identity = await this.#root.ask();
      if (this.#closed) return;
      if (identity !== this.#identity || agenda.suspect) await this.#adopt(identity, first);
      else if (agenda.doubt !== undefined) await this.#lookAtAll(agenda.doubt);
      else await this.#lookAtSome(agenda.events);
    } catch (error) {
      this.#lost(error);
      return;
    }
    if (!this.#closed) this.#limits();
  }

  /** A root that was not watched before. */
  async #adopt(identity: string, first: boolean): Promise<void> {
    if (this.#options.pollMs === undefined) {
      await this.#tree.open();
      if (!this.#onNetwork && !this.#closed && (await isOnNetwork(this.#options.folder))) {
        this.#onNetwork = true;
        this.#every(NETWORK_POLL_MS, () => this.#poll());
      }
    }
    if (this.#closed) return;
    const before = this.#identity;
    this.#identity = identity;
    this.#alarm(undefined);
    if (!first)
      this.#options.onWhole(before === undefined ? 'the folder is there' : 'the folder was replaced');
  }

  async #lookAtAll(reason: string): Promise<void> {
    await this.#tree.sync();
    if (!this.#closed) this.#options.onWhole(reason);
  }

  async #lookAtSome(events: ReadonlyMap<FilePath, boolean>): Promise<void> {
    const { enter, folder, ignore, onPaths } = this.#options;
    const { folders, rootSuspect, others } = await sortOut(events, folder, this.#tree);
    this.#agenda.suspect ||= rootSuspect;
    const plain = others.filter((path) => ignore?.(path) !== true);
    if (plain.length > 0 && !this.#closed) onPaths(new Set(plain));
    // Only now, since a large folder takes its time.
    const entered = folders.filter((path) => enter?.(path) !== false);
    if (entered.length > 0) await this.#tree.refresh(entered);
    if (entered.length > 0 && !this.#closed) onPaths(new Set(entered));
  }

  #lost(error: unknown): void {
    if (this.#closed) return;
    this.#identity = undefined;
    this.#tree.close();
    this.#alarm(missing(this.#options.folder, error));
  }

  /** While the system refuses to watch some folders, the whole is looked at again and again. */
  #limits(): void {
    const { limit } = this.#tree;
    this.#alarm(limit === undefined ? undefined : limited(this.#options.folder, limit));
    if (limit === undefined || this.#blind !== undefined) return;
    this.#blind = setTimeout(() => {
      this.#blind = undefined;
      this.#onDoubt('not every folder can be watched');
    }, this.#options.blindMs ?? BLIND_MS);
  }

  #alarm(fault: Fault | undefined): void {
    if (this.#closed || fault?.message === this.#alarmed) return;
    this.#alarmed = fault?.message;
    this.#options.onAlarm(fault);
  }
}
