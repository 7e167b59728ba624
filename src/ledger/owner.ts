/**
 * Who a claim belongs to, and whether that process still lives. An owner that takes or claims anything holds a lock on
 * `owners/<id>.lock` until it ends; the kernel drops it with the process, SIGKILL included. A lock that can be had
 * means a dead owner.
 *
 * A lock file is a SQLite database on which `BEGIN EXCLUSIVE` stays open, and it is touched through SQLite alone:
 * POSIX drops all of a process's locks on a file when any descriptor of it is closed, and SQLite is the one that
 * keeps count of them within a process (https://sqlite.org/src/file/src/os_unix.c, "Posix Advisory Locking").
 * Locks are made, and dead ones swept, inside a write transaction of the ledger, hence never at the same time.
 */

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Fault } from '../sync/errors.ts';
import { type Database, makeFolder } from './database.ts';
import { isBusy, isMissing, sqliteFault } from './faults.ts';
import { textOf } from './rows.ts';

const SUFFIX = '.lock';
/** How long two that ask for a worker's lock in the same moment give way to each other. */
const WORKER_BUSY_MS = 300;

const NAMED = 'SELECT DISTINCT owner FROM deliveries INDEXED BY at_work WHERE owner IS NOT NULL';

const RECORD_INTERRUPTED = `INSERT INTO attempts (delivery, nth, started_at_ms, ended_at_ms, outcome, counted)
  SELECT id, (SELECT coalesce(max(nth), 0) + 1 FROM attempts WHERE delivery = id), updated_at_ms, ?, 'interrupted', 0
  FROM deliveries INDEXED BY sending WHERE state = 'sending' AND owner = ?`;

const PUT_BACK = `UPDATE deliveries INDEXED BY at_work
  SET state = 'due', owner = NULL, generation = generation + 1, updated_at_ms = ?
  WHERE owner IS NOT NULL AND owner = ?`;

export class Owner implements Disposable {
  readonly id: string;
  readonly #db: Database;
  readonly #folder: string;
  #held: Disposable | undefined;

  constructor(db: Database, folder: string, id: string) {
    this.#db = db;
    this.#folder = join(folder, 'owners');
    this.id = id;
  }

  /** Shows that this owner lives, from its first take or claim on. Within a write transaction. */
  lock(): void {
    if (this.#held !== undefined) return;
    makeFolder(this.#folder);
    const file = this.#file(this.id);
    const held = hold(file, { create: true, waitMs: 0 });
    // The name is random and new: nobody else can hold it.
    if (typeof held === 'string') throw new Fault('permanent', `the lock ${file} is ${held}`);
    this.#held = held;
  }

  recover(nowMs: number): number {
    const dead: { readonly owner: string; readonly lock: Disposable | undefined }[] = [];
    try {
      return this.#db.write(() => {
        for (const owner of new Set([...this.#named(), ...this.#files()])) {
          if (owner === this.id) continue;
          const lock = hold(this.#file(owner), { create: false, waitMs: 0 });
          if (lock === 'busy') continue;
          dead.push({ owner, lock: lock === 'missing' ? undefined : lock });
        }
        return dead.reduce((sum, { owner }) => sum + this.#putBack(owner, nowMs), 0);
      });
    } finally {
      for (const { owner, lock } of dead) {
        // Its rows are back (or, where that failed, will be found by their names): the file has done its work.
        rmSync(this.#file(owner), { force: true });
        lock?.[Symbol.dispose]();
      }
    }
  }

  [Symbol.dispose](): void {
    if (this.#held === undefined) return;
    rmSync(this.#file(this.id), { force: true });
    this.#held[Symbol.dispose]();
    this.#held = undefined;
  }

  #putBack(owner: string, nowMs: number): number {
    this.#db.run(RECORD_INTERRUPTED, nowMs, owner);
    return this.#db.run(PUT_BACK, nowMs, owner).changes;
  }

  #named(): readonly string[] {
    return this.#db.all(NAMED).map(([owner]) => textOf(owner));
  }

  #files(): readonly string[] {
    try {
      const names = readdirSync(this.#folder).filter((name) => name.endsWith(SUFFIX));
      return names.map((name) => name.slice(0, -SUFFIX.length));
    } catch {
      return [];
    }
  }

  #file(owner: string): string {
    return join(this.#folder, `${owner}${SUFFIX}`);
  }
}

/** Makes the caller the only worker on a data folder until it disposes of this or dies; undefined when another is. */
export function lockWorker(folder: string): Disposable | undefined {
  makeFolder(folder);
  const held = hold(join(folder, `worker${SUFFIX}`), { create: true, waitMs: WORKER_BUSY_MS });
  return typeof held === 'string' ? undefined : held;
}

function hold(
  file: string,
  { create, waitMs }: { readonly create: boolean; readonly waitMs: number },
): Disposable | 'busy' | 'missing' {
  const url = pathToFileURL(file);
  url.searchParams.set('mode', create ? 'rwc' : 'rw');
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(url, { timeout: waitMs });
    // In memory: a journal beside the lock would outlive a killed process.
    db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    const held = db;
    return {
      [Symbol.dispose]: () => {
        if (held.isOpen) held.close();
      },
    };
  } catch (error) {
    db?.close();
    if (isBusy(error)) return 'busy';
    if (!create && isMissing(error)) return 'missing';
    throw sqliteFault(error, file);
  }
}
