/**
 * Progress for a person who waits: on a terminal a block that keeps itself current, with lines above it for
 * what is over; elsewhere plain lines. One line a file, but never a flood of them: then a summary every few
 * seconds.
 */

import type { Writable } from 'node:stream';
import type { Events } from '../sync/events.ts';
import { Activity } from './activity.ts';
import {
  alarmLine,
  deliveredLine,
  downLine,
  failedLine,
  goodLine,
  LineBudget,
  noteLine,
  retryLine,
} from './file-lines.ts';
import { formatDuration } from './format.ts';
import { listen } from './listen.ts';
import { describe, drawBlock, type Snapshot } from './progress-block.ts';

const DRAW_MS = 100;
const SUMMARY_MS = 3_000;
/** With nothing owed for so long, the next file begins a new count. */
const IDLE_MS = 2_000;

export interface ProgressOptions {
  readonly out: Writable & { readonly columns?: number; readonly rows?: number };
  /** Draw the block: `out` is a terminal. */
  readonly live: boolean;
  readonly color: boolean;
  /** Milliseconds; never runs backwards. */
  readonly now: () => number;
}

export interface Progress extends Disposable {
  /** What was owed before anything was attached; what comes to be owed later counts itself. */
  setTotal(files: number, bytes: number): void;
  /** A line of its own, above the block. */
  print(text: string): void;
  /** Removes the block; nothing is written any more. */
  stop(): void;
}

interface Screen {
  draw(lines: readonly string[]): void;
  print(text: string): void;
  clear(): void;
}

export async function createProgress(events: Events, options: ProgressOptions): Promise<Progress> {
  return new Meter(events, options, options.live ? await liveScreen(options.out) : plainScreen(options.out));
}

async function liveScreen(out: ProgressOptions['out']): Promise<Screen> {
  const { createLogUpdate } = await import('log-update');
  // Hiding the cursor would take signal handlers of its own to bring it back.
  const update = createLogUpdate(out, { showCursor: true });
  return {
    draw: (lines) => update(lines.join('\n')),
    print(text) {
      update.clear();
      out.write(`${text}\n`);
    },
    clear: () => update.clear(),
  };
}

function plainScreen(out: Writable): Screen {
  return { draw: () => undefined, print: (text) => void out.write(`${text}\n`), clear: () => undefined };
}

class Meter implements Progress {
  readonly #options: ProgressOptions;
  readonly #screen: Screen;
  readonly #activity: Activity;
  readonly #stack = new DisposableStack();
  readonly #files: LineBudget;
  readonly #troubles: LineBudget;
  #total = { files: 0, bytes: 0 };
  /** Counted before the present batch began. */
  #before = { files: 0, bytes: 0, failed: 0 };
  /** Delivered without a line of their own since the last summary. */
  #unsaid = 0;
  #turn = 0;
  #idleSinceMs: number | undefined;
  #drawn = false;

  constructor(events: Events, options: ProgressOptions, screen: Screen) {
    const { color, live, now } = options;
    this.#options = options;
    this.#screen = screen;
    this.#files = new LineBudget(now);
    this.#troubles = new LineBudget(now);
    this.#activity = this.#stack.use(new Activity(events, now));
    const trouble = (text: string): void => {
      if (this.#troubles.take()) this.print(text);
    };
    this.#stack.use(
      listen(events, {
        owed: ({ version }) => this.#add(1, version.sizeBytes),
        delivered: (delivery, receipt, ms) => {
          if (this.#files.take()) this.print(deliveredLine(delivery, receipt, ms, color));
          else this.#unsaid += 1;
        },
        superseded: (delivery, fault) => {
          this.#add(-1, -delivery.version.sizeBytes);
          if (fault.kind === 'skipped') trouble(noteLine(`${delivery.path}: ${fault.message}`, color));
        },
        attemptFailed: (delivery, fault, afterMs) => {
          if (afterMs !== undefined) trouble(retryLine(delivery, fault, afterMs, color));
        },
        failed: (delivery, fault) => trouble(failedLine(delivery, fault, color)),
        afterFailed: (_job, path, fault) =>
          trouble(noteLine(`${path} could not be put away: ${fault.message}`, color)),
        left: (_job, path, reason) => trouble(noteLine(`left ${path}: ${reason}`, color)),
        endpointDown: (endpoint, fault, nextMs) => trouble(downLine(endpoint, fault, nextMs, color)),
        endpointUp: (endpoint, ms) =>
          trouble(goodLine(`${endpoint} is back after ${formatDuration(ms)}`, color)),
        queue: (message, ok) => {
          if (!ok) trouble(noteLine(message, color));
        },
        alarm: (job, fault) => trouble(alarmLine(job, fault, color)),
        alarmOver: (job) => trouble(goodLine(`${job}: all clear`, color)),
      }),
    );
    const clock = setInterval(() => this.#tick(), live ? DRAW_MS : SUMMARY_MS);
    this.#stack.defer(() => clearInterval(clock));
  }

  setTotal(files: number, bytes: number): void {
    this.#add(files, bytes);
  }

  print(text: string): void {
    this.#screen.print(text);
    if (this.#drawn) this.#draw();
  }

  stop(): void {
    if (this.#stack.disposed) return;
    if (!this.#options.live && this.#unsaid > 0) this.#summary();
    this.#stack.dispose();
    if (this.#drawn) this.#screen.clear();
    this.#drawn = false;
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #add(files: number, bytes: number): void {
    this.#total = { files: this.#total.files + files, bytes: this.#total.bytes + bytes };
  }

  #snapshot(): Snapshot {
    const { delivered, failed, moving, movingBytes } = this.#activity;
    const done = {
      files: delivered.files + failed - this.#before.files - this.#before.failed,
      bytes: delivered.bytes - this.#before.bytes,
    };
    const total = {
      files: Math.max(this.#total.files, done.files + moving.length),
      bytes: Math.max(this.#total.bytes, done.bytes + movingBytes),
    };
    return {
      done,
      total,
      failed: failed - this.#before.failed,
      moving,
      movingBytes,
      rate: this.#activity.rate(),
    };
  }

  #tick(): void {
    if (!this.#options.live) {
      if (this.#unsaid > 0) this.#summary();
    } else this.#draw();
    this.#rest();
  }

  #draw(): void {
    const shot = this.#snapshot();
    if (shot.done.files >= shot.total.files && shot.moving.length === 0) {
      if (this.#drawn) this.#screen.clear();
      this.#drawn = false;
      return;
    }
    this.#turn += 1;
    this.#screen.draw(drawBlock(shot, this.#options.out.columns ?? 80, this.#options.color, this.#turn));
    this.#drawn = true;
  }

  #summary(): void {
    this.#unsaid = 0;
    this.#screen.print(describe(this.#snapshot()));
  }

  /** After a while with nothing to do, counting begins anew. */
  #rest(): void {
    const { delivered, failed, moving } = this.#activity;
    const open = this.#total.files - (delivered.files + failed - this.#before.files - this.#before.failed);
    const nowMs = this.#options.now();
    if (open > 0 || moving.length > 0) this.#idleSinceMs = undefined;
    else this.#idleSinceMs ??= nowMs;
    if (this.#idleSinceMs === undefined || nowMs - this.#idleSinceMs < IDLE_MS) return;
    this.#before = { ...delivered, failed };
    this.#total = { files: 0, bytes: 0 };
  }
}
