/**
 * The scanner of one job: takes requests to look (from a watcher, a schedule, a person), looks, and writes what
 * is due into the ledger. Only here do deliveries come into being, so a lost, doubled or early request cannot
 * lose, double or tear a file.
 *
 * One look at a time; requests that come meanwhile are merged into the next. Files that are still settling are
 * looked at again by themselves, and so is a source that could not be reached: whoever asked for that look (a cron line
 * at night) does not ask again.
 */

import type { Session } from '../endpoints/endpoint.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { After } from './after.ts';
import { type NewDelivery, noteOf } from './delivery.ts';
import { asFault, Fault } from './errors.ts';
import type { Events, ScanSummary } from './events.ts';
import { type Examination, examineAll, examineSome, type Finding } from './examine.ts';
import { destinationOf, type Job } from './job.ts';
import { isUnmounted, mountPointOf } from './mounts.ts';
import { type FilePath, folderOf } from './names.ts';
import type { Places } from './places.ts';
import { Settling } from './settling.ts';

/** Deliveries written in one transaction. */
const BATCH = 1_000;
/** More paths than this and the whole source is looked at instead. */
const MANY_PATHS = 1_000;
/** Files that settle within so many ms of each other are looked at together. */
const TOGETHER_MS = 20;
/** Files of which each is reported; beyond, only the summary counts them. */
const MAX_LEFT_REPORTS = 100;
/** How often a source that is not mounted is asked whether it is again, or is accepted as it is. */
const MOUNT_CHECK_MS = 2_000;
/** How soon one that could not be reached is tried again: later each time, up to the second. */
const AGAIN_MS = 5_000;
const MOST_AGAIN_MS = 300_000;
/** A file whose remote name was taken is looked at again once a day, unless a person asks. */
export const SKIPPED_AGAIN_MS = 24 * 3_600_000;
/** The reason of those looks. */
const AGAIN = 'tried again';

export interface ScannerOptions {
  readonly job: Job;
  readonly ledger: Ledger;
  readonly places: Places;
  readonly after: After;
  readonly events: Events;
  readonly now: () => number;
  /** See `Examination`; default `SKIPPED_AGAIN_MS`. */
  readonly skippedAgainMs?: number;
  /** Deliveries were made for these endpoints. */
  readonly onOwed: (endpoints: ReadonlySet<string>) => void;
}

const NOTHING = { whole: false, paths: new Set<FilePath>() };

interface Request {
  readonly whole: boolean;
  readonly paths: ReadonlySet<FilePath>;
  readonly reason: string;
  readonly done: PromiseWithResolvers<ScanSummary>;
}

export class Scanner implements AsyncDisposable {
  readonly job: Job;
  readonly #options: ScannerOptions;
  readonly #settling: Settling;
  readonly #stop = new AbortController();
  /** Files that are not due yet, and when to look again. */
  readonly #waiting = new Map<FilePath, number>();
  #next: Request | undefined;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #againTimer: NodeJS.Timeout | undefined;
  #againMs = AGAIN_MS;
  #refused: Pick<Request, 'whole' | 'paths'> = NOTHING;
  #alarmed = false;
  #disowned = false;

  constructor(options: ScannerOptions) {
    this.#options = options;
    this.job = options.job;
    this.#settling = new Settling(options.job.settleMs);
    this.#alarmed = options.ledger.job(options.job.name)?.alarm !== undefined;
  }

  /** Files seen that are still settling. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Whether there may be more to find: a look is under way or overdue, or a file is settling that was first seen less
   * than `patienceMs` ago. One that never settles is not waited for.
   */
  mayFind(patienceMs: number): boolean {
    if (this.#running !== undefined) return true;
    const nowMs = this.#options.now();
    for (const [path, lookAgainMs] of this.#waiting) {
      const seenMs = this.#settling.firstSeenMs(path) ?? 0;
      if (lookAgainMs <= nowMs || nowMs - seenMs < patienceMs) return true;
    }
    return false;
  }

  /**
   * Looks at the whole source.
   * @throws Fault when it cannot be listed (also shown as an alarm), `aborted` when the scanner was stopped
   */
  scanAll(reason: string): Promise<ScanSummary> {
    return this.#request(true, new Set(), reason);
  }

  /** Looks at some paths, relative to the source. Errors as `scanAll`. */
  scanPaths(paths: Iterable<FilePath>, reason: string): Promise<ScanSummary> {
    const wanted = new Set<FilePath>();
    for (const path of paths) {
      wanted.add(path);
      if (this.job.done !== undefined) wanted.add(folderOf(path));
    }
    return this.#request(wanted.size > MANY_PATHS, wanted, reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Fault('aborted', 'stopped before it was done'));
    clearTimeout(this.#timer);
    clearTimeout(this.#againTimer);
    await this.#running;
  }

  #request(whole: boolean, paths: ReadonlySet<FilePath>, reason: string): Promise<ScanSummary> {
    const before = this.#next;
    const done = before?.done ?? Promise.withResolvers<ScanSummary>();
    const merged = before === undefined ? paths : new Set([...before.paths, ...paths]);
    this.#next = {
      whole: whole || before?.whole === true || merged.size > MANY_PATHS,
      paths: merged,
      reason: before?.reason ?? reason,
      done,
    };
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
    return done.promise;
  }

  async #work(): Promise<void> {
    // What is asked for in the same turn of the event loop is looked at together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#next !== undefined) {
      const request = this.#next;
      this.#next = undefined;
      try {
        request.done.resolve(await this.#look(request));
      } catch (error) {
        request.done.reject(error);
      }
    }
  }

  async #look(request: Request): Promise<ScanSummary> {
    const { events, ledger, now, places } = this.#options;
    const startedMs = now();
    const tally = { files: 0, owed: 0, owedBytes: 0, left: 0 };
    try {
      this.#disown();
      await using place = await places.open(this.job.from.endpoint, this.#stop.signal);
      await this.#assertMounted(place.session);
      const examination: Examination = {
        job: this.job,
        session: place.session,
        ledger,
        settling: this.#settling,
        now,
        skippedAgainMs: this.#options.skippedAgainMs ?? SKIPPED_AGAIN_MS,
        signal: this.#stop.signal,
        unreadable: (path, fault) => events.emit('left', this.job.name, path, fault.message, fault),
      };
      if (request.whole) this.#waiting.clear();
      const findings = request.whole ? examineAll(examination) : examineSome(examination, request.paths);
      for (const path of request.paths) this.#waiting.delete(path);
      await this.#act(findings, tally);
    } catch (error) {
      throw this.#alarm(asFault(error, this.#stop.signal), request);
    }
    this.#alarmOver();
    this.#arm();
    const summary: ScanSummary = {
      job: this.job.name,
      reason: request.reason,
      files: tally.files,
      owed: tally.owed,
      owedBytes: tally.owedBytes,
      waiting: this.#waiting.size,
      ms: now() - startedMs,
    };
    if (request.whole) ledger.setJob(this.job.name, { lastScanMs: now() });
    events.emit('scanned', summary);
    return summary;
  }

  async #act(
    findings: AsyncIterable<Finding>,
    tally: { files: number; owed: number; owedBytes: number; left: number },
  ): Promise<void> {
    let batch: NewDelivery[] = [];
    const flush = (): void => {
      const made = this.#owe(batch);
      tally.owed += made.length;
      for (const delivery of made) tally.owedBytes += delivery.version.sizeBytes;
      batch = [];
    };
    for await (const { path, entry, verdict } of findings) {
      if (verdict.is === 'left') {
        this.#reportLeft(path, entry.kind, verdict.why, tally);
        continue;
      }
      tally.files += 1;
      if (verdict.is === 'refused')
        this.#options.events.emit('left', this.job.name, path, verdict.why, verdict.fault);
      else if (verdict.is === 'due') {
        batch.push(...verdict.deliveries);
        if (batch.length >= BATCH) flush();
      } else if (verdict.is === 'waiting') {
        if (verdict.lookAgainMs !== undefined) this.#waiting.set(path, verdict.lookAgainMs);
      } else if (verdict.is === 'delivered') {
        await this.#options.after.perform(this.job, path, entry.version, verdict.ids, this.#stop.signal);
      }
    }
    flush();
  }

  #owe(batch: readonly NewDelivery[]): readonly { version: { sizeBytes: number } }[] {
    if (batch.length === 0) return [];
    const { ledger, events, now, onOwed } = this.#options;
    const made = ledger.owe(batch, now());
    for (const delivery of made) events.emit('owed', delivery);
    if (made.length > 0) onOwed(new Set(made.map((delivery) => delivery.endpoint)));
    return made;
  }

  /** What is still owed to destinations that the job had before it was edited. Once: an edited job gets a new scanner. */
  #disown(): void {
    if (this.#disowned) return;
    const { ledger, now } = this.#options;
    const why = noteOf(new Fault('vanished', `job ${this.job.name} does not deliver there any more`));
    ledger.disown(this.job.name, this.job.to.map(destinationOf), why, now());
    this.#disowned = true;
  }

  #reportLeft(path: FilePath, kind: string, why: string, tally: { left: number }): void {
    if (kind === 'file') return;
    tally.left += 1;
    if (tally.left <= MAX_LEFT_REPORTS) this.#options.events.emit('left', this.job.name, path, why);
  }

  /** @throws Fault `unreachable` UNMOUNTED */
  async #assertMounted(session: Session): Promise<void> {
    const { ledger } = this.#options;
    const remembered = ledger.job(this.job.name)?.mount;
    const mount = await mountPointOf(session, this.job, remembered, this.#stop);
    if (mount !== remembered) ledger.setJob(this.job.name, { mount });
  }

  #alarm(fault: Fault, request: Request): Fault {
    if (fault.kind === 'aborted') return fault;
    if (isUnmounted(fault)) this.#tryAgain(request, MOUNT_CHECK_MS);
    else if (fault.kind === 'unreachable' || fault.kind === 'transient') {
      this.#tryAgain(request, this.#againMs);
      this.#againMs = Math.min(this.#againMs * 2, MOST_AGAIN_MS);
    }
    const isTold = this.#alarmed && (!request.whole || request.reason === AGAIN);
    this.#alarmed = true;
    this.#options.ledger.setJob(this.job.name, { alarm: noteOf(fault) });
    if (!isTold) this.#options.events.emit('alarm', this.job.name, fault);
    return fault;
  }

  /** Asks again for the look that could not be, and for those that are refused meanwhile. */
  #tryAgain({ whole, paths }: Request, afterMs: number): void {
    if (this.#stop.signal.aborted) return;
    clearTimeout(this.#againTimer);
    this.#refused = {
      whole: whole || this.#refused.whole,
      paths: new Set([...this.#refused.paths, ...paths]),
    };
    this.#againTimer = setTimeout(() => {
      const refused = this.#refused;
      this.#refused = NOTHING;
      this.#request(refused.whole, refused.paths, AGAIN).catch(() => undefined);
    }, afterMs);
  }

  #alarmOver(): void {
    this.#againMs = AGAIN_MS;
    if (!this.#alarmed) return;
    this.#alarmed = false;
    this.#options.ledger.setJob(this.job.name, { alarm: undefined });
    this.#options.events.emit('alarmOver', this.job.name);
  }

  /** Sets the clock for the next file that may have settled. */
  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#waiting.size === 0 || this.#stop.signal.aborted) return;
    let earliest = Number.POSITIVE_INFINITY;
    for (const at of this.#waiting.values()) earliest = Math.min(earliest, at);
    this.#timer = setTimeout(() => this.#lookAgain(), Math.max(1, earliest - this.#options.now()));
  }

  #lookAgain(): void {
    const until = this.#options.now() + TOGETHER_MS;
    const ready = [...this.#waiting].filter(([, at]) => at <= until).map(([path]) => path);
    // A failed look has raised its alarm; the next whole scan tries again.
    this.#request(ready.length > MANY_PATHS, new Set(ready), 'settled').catch(() => this.#waiting.clear());
  }
}
