/**
 * The sources of the running jobs: for each a scanner, what triggers it (watcher, rescan clock) and its alarms.
 * Follows the configuration: a job that changed starts anew, one that is gone stops.
 */

import type { Config } from '../config/config.ts';
import { rootOf } from '../config/places.ts';
import { noteOf } from '../sync/delivery.ts';
import { asFault, type Fault } from '../sync/errors.ts';
import type { Job } from '../sync/job.ts';
import { type FilePath, joinPath } from '../sync/names.ts';
import { Scanner, type ScannerOptions } from '../sync/scan.ts';
import { enters } from '../sync/select.ts';
import { type FolderWatch, watchFolder } from '../triggers/watch.ts';

export type SourcesOptions = Omit<ScannerOptions, 'job'>;

interface Source {
  readonly job: Job;
  readonly root: FilePath | undefined;
  readonly scanner: Scanner;
  readonly stop: AbortController;
  /** Resolves when it is watched and has been looked at once. */
  readonly started: Promise<void>;
  watch: FolderWatch | undefined;
  rescan: NodeJS.Timeout | undefined;
}

export class Sources implements AsyncDisposable {
  readonly #options: SourcesOptions;
  readonly #sources = new Map<string, Source>();
  readonly #stopping = new Set<Promise<void>>();

  constructor(options: SourcesOptions) {
    this.#options = options;
  }

  /** Files seen that are still settling, over all jobs. */
  get waiting(): number {
    return [...this.#sources.values()].reduce((sum, source) => sum + source.scanner.waiting, 0);
  }

  /** Takes these jobs from now on. Resolves when every new one is watched and has been looked at once. */
  async follow(config: Config): Promise<void> {
    const before = new Map(this.#sources);
    for (const job of config.jobs.values()) {
      const entry = config.endpoints.get(job.from.endpoint);
      const folder = entry === undefined ? undefined : rootOf(entry);
      const root = folder === undefined ? undefined : joinPath(folder, job.from.path);
      const running = before.get(job.name);
      if (running !== undefined && running.root === root && same(running.job, job)) {
        before.delete(job.name);
        continue;
      }
      if (running !== undefined) this.#retire(running);
      before.delete(job.name);
      this.#sources.set(job.name, this.#begin(job, root));
    }
    for (const [name, source] of before) {
      this.#sources.delete(name);
      this.#retire(source);
    }
    await Promise.all([...this.#sources.values()].map((source) => source.started));
  }

  /** Asks for a look at the whole source of a job. Its trouble is an alarm, not an error here. */
  scanAll(job: string, reason: string): Promise<void> {
    return this.#quietly(this.#sources.get(job)?.scanner.scanAll(reason));
  }

  /** Asks for a look at some paths. */
  scanPaths(job: string, paths: Iterable<FilePath>, reason: string): Promise<void> {
    return this.#quietly(this.#sources.get(job)?.scanner.scanPaths(paths, reason));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const source of this.#sources.values()) this.#retire(source);
    this.#sources.clear();
    await Promise.allSettled(this.#stopping);
  }

  #begin(job: Job, root: FilePath | undefined): Source {
    const stop = new AbortController();
    const scanner = new Scanner({ ...this.#options, job });
    const source: Source = {
      job,
      root,
      scanner,
      stop,
      started: Promise.resolve(),
      watch: undefined,
      rescan: undefined,
    };
    return Object.assign(source, { started: this.#start(source) });
  }

  async #start(source: Source): Promise<void> {
    const { job, root, scanner, stop } = source;
    if (!job.when.watch) return;
    // A remote source cannot be watched, so it is looked at again and again; so is a share that asks for it.
    const everyMs =
      root === undefined ? (job.when.pollMs ?? Math.min(job.when.rescanMs, 60_000)) : job.when.rescanMs;
    source.rescan = setInterval(() => void this.#quietly(scanner.scanAll('rescan')), everyMs);
    if (root !== undefined) {
      const watch = await watchFolder({
        folder: root,
        pollMs: job.when.pollMs,
        enter: enters(job),
        onPaths: (paths) => void this.#quietly(scanner.scanPaths(paths, 'watch')),
        onWhole: (reason) => void this.#quietly(scanner.scanAll(reason)),
        onAlarm: (fault) => this.#alarm(job, fault),
        signal: stop.signal,
      });
      source.watch = watch;
      if (stop.signal.aborted) await watch[Symbol.asyncDispose]();
    }
    await this.#quietly(scanner.scanAll('start'));
  }

  /** Trouble of the watcher; the source's own is the scanner's to tell. */
  #alarm(job: Job, fault: Fault | undefined): void {
    const { ledger, events } = this.#options;
    ledger.setJob(job.name, { alarm: fault === undefined ? undefined : noteOf(fault) });
    if (fault === undefined) events.emit('alarmOver', job.name);
    else events.emit('alarm', job.name, fault);
  }

  async #quietly(scan: Promise<unknown> | undefined): Promise<void> {
    try {
      await scan;
    } catch (error) {
      // A scanner tells its faults as an alarm before it throws them; anything else is a defect and must be seen.
      if (asFault(error) !== error) throw error;
    }
  }

  #retire(source: Source): void {
    source.stop.abort();
    clearInterval(source.rescan);
    const stopped = Promise.allSettled([
      source.scanner[Symbol.asyncDispose](),
      source.watch?.[Symbol.asyncDispose](),
    ])
      .then(() => undefined)
      .finally(() => this.#stopping.delete(stopped));
    this.#stopping.add(stopped);
  }
}

function same(a: Job, b: Job): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
