/**
 * Group commits: what has to survive a power cut, written together, and what need not, along with it. Calls of one turn of the event loop, and all that
 * come while the disk is busy, share one transaction and one flush; each call succeeds or fails for itself.
 *
 * In WAL mode a transaction is durable once the log is flushed. SQLite would do that inside COMMIT
 * (`synchronous = FULL`) and hold up the whole process meanwhile; here the log is flushed through a descriptor of our own, in
 * Node's thread pool. SQLite places no locks on the log file, so opening it beside SQLite is harmless.
 */

import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs';
import type { Database } from './database.ts';
import { closedFault, sqliteFault } from './faults.ts';

interface Call {
  readonly work: () => void;
  /** It is told when it is on the disk; else as soon as it is written. */
  readonly durable: boolean;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class Commits implements Disposable {
  readonly #db: Database;
  #waiting: Call[] = [];
  /** Written, and not known to be on the disk. */
  #unflushed: Call[] = [];
  #state: 'idle' | 'scheduled' | 'flushing' | 'closed' = 'idle';
  /** Somebody waits for what is written in this turn. */
  #applying = false;
  #log: number | undefined;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Runs `work` soon, within a transaction; resolves when it would survive a power cut. @throws Fault, and what `work` throws */
  add(work: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'closed') return reject(closedFault(this.#db.file));
      this.#waiting.push({ work, durable: true, resolve, reject });
      this.#schedule();
    });
  }

  /** As `add`, for what need not survive a power cut: it waits for this turn of the event loop, and for no disk. */
  soon(work: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'closed') return reject(closedFault(this.#db.file));
      this.#waiting.push({ work, durable: false, resolve, reject });
      if (this.#applying) return;
      this.#applying = true;
      setImmediate(() => {
        this.#applying = false;
        this.apply();
      });
    });
  }

  /** Applies what waits, at once, so that the calls that follow see it. Its promises still wait for the disk. */
  apply(): void {
    const written = this.#write();
    this.#unflushed.push(...written);
    if (this.#unflushed.length > 0) this.#schedule();
  }

  [Symbol.dispose](): void {
    if (this.#state === 'closed') return;
    const flushing = this.#state === 'flushing';
    const calls = [...this.#unflushed, ...this.#write()];
    this.#unflushed = [];
    this.#state = 'closed';
    try {
      if (calls.length > 0) fdatasyncSync(this.#openLog());
      for (const call of calls) call.resolve();
    } catch (error) {
      for (const call of calls) call.reject(sqliteFault(error, this.#db.file));
    }
    // A flush under way closes it when it is done.
    if (!flushing) this.#closeLog();
  }

  #schedule(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'scheduled';
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    if (this.#state === 'closed') return;
    const calls = [...this.#unflushed, ...this.#write()];
    this.#unflushed = [];
    this.#state = 'idle';
    if (calls.length === 0) return;
    try {
      fdatasync(this.#openLog(), (error) => this.#flushed(calls, error));
      this.#state = 'flushing';
    } catch (error) {
      for (const call of calls) call.reject(sqliteFault(error, this.#db.file));
    }
  }

  #flushed(calls: readonly Call[], error: Error | null): void {
    for (const call of calls) {
      if (error === null) call.resolve();
      else call.reject(sqliteFault(error, this.#db.file));
    }
    if (this.#state === 'closed') {
      this.#closeLog();
      return;
    }
    this.#state = 'idle';
    if (this.#waiting.length + this.#unflushed.length > 0) this.#schedule();
  }

  /** Writes what waits in one transaction and returns the calls that succeeded and wait for the disk; those that failed are rejected. */
  #write(): readonly Call[] {
    const calls = this.#waiting;
    if (calls.length === 0) return [];
    this.#waiting = [];
    const written = this.#writeAll(calls);
    for (const { durable, resolve } of written) if (!durable) resolve();
    return written.filter(({ durable }) => durable);
  }

  #writeAll(calls: readonly Call[]): readonly Call[] {
    try {
      this.#db.write(() => {
        for (const call of calls) call.work();
      });
      return calls;
    } catch {
      return this.#writeEach(calls);
    }
  }

  /** Again, so that what fails undoes only itself. That costs more, and is seldom needed. */
  #writeEach(calls: readonly Call[]): readonly Call[] {
    const failed = new Map<Call, unknown>();
    try {
      this.#db.write(() => {
        for (const call of calls) {
          try {
            this.#db.part(call.work);
          } catch (error) {
            // A full or failing disk ends the whole transaction.
            if (!this.#db.inTransaction) throw error;
            failed.set(call, error);
          }
        }
      });
    } catch (error) {
      for (const call of calls) call.reject(failed.get(call) ?? error);
      return [];
    }
    for (const [call, error] of failed) call.reject(error);
    return calls.filter((call) => !failed.has(call));
  }

  #openLog(): number {
    this.#log ??= openSync(`${this.#db.file}-wal`, 'r+');
    return this.#log;
  }

  #closeLog(): void {
    if (this.#log === undefined) return;
    closeSync(this.#log);
    this.#log = undefined;
  }
}
