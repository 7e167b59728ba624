/**
 * One open SQLite file: settings, migrations, transactions and prepared statements. Every error that leaves here is a
 * Fault. Statements run to their end at once (no cursor stays open), so a slow reader never holds the log back.
 */

import { closeSync, existsSync, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { codeOf, Fault, messageOf } from '../sync/errors.ts';
import { corruptFault, isBusy, newerFault, sqliteFault } from './faults.ts';
import { MIGRATIONS } from './schema.ts';

/** The values of a row, in the order of the statement's columns. */
export type Row = readonly unknown[];
export type Value = SQLInputValue;

/** 'Fery' as a number: marks the file as Ferry's for `file` and for us. */
const APPLICATION_ID = 0x46657279;
/** How long a call waits for another process's write. Those last milliseconds. */
const BUSY_MS = 10_000;
const CACHE_KIB = 8192;
/** Pages of log after which a commit moves them into the file: 16 MiB, so that hot pages move seldom. */
const CHECKPOINT_PAGES = 4000;
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;

export class Database implements Disposable {
  readonly file: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #wrote = false;

  /** Opens or creates. @throws Fault `permanent` (damaged, newer, no permission), `transient` (locked, disk full) */
  constructor(file: string, migrations: readonly string[] = MIGRATIONS) {
    this.file = file;
    makeFolder(dirname(file));
    makePrivate(file);
    try {
      this.#db = new DatabaseSync(file, { timeout: BUSY_MS });
    } catch (error) {
      throw sqliteFault(error, file);
    }
    try {
      this.#settle();
      this.#migrate(migrations);
    } catch (error) {
      this.#db.close();
      throw sqliteFault(error, file);
    }
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  all(sql: string, ...values: readonly Value[]): readonly Row[] {
    try {
      return this.#statement(sql)
        .all(...values)
        .map(rowOf);
    } catch (error) {
      throw sqliteFault(error, this.file);
    }
  }

  /** For reads only: it does not run the statement to its end, where a write would report a full disk. */
  get(sql: string, ...values: readonly Value[]): Row | undefined {
    try {
      const row = this.#statement(sql).get(...values);
      return row === undefined ? undefined : rowOf(row);
    } catch (error) {
      throw sqliteFault(error, this.file);
    }
  }

  /** Returns how many rows changed, and the id of the last one made. */
  run(sql: string, ...values: readonly Value[]): { readonly changes: number; readonly id: number } {
    try {
      this.#wrote = true;
      const { changes, lastInsertRowid } = this.#statement(sql).run(...values);
      return { changes: Number(changes), id: Number(lastInsertRowid) };
    } catch (error) {
      throw sqliteFault(error, this.file);
    }
  }

  /** Runs `work` in one write transaction, alone among processes; whatever it throws undoes all of it. */
  write<T>(work: () => T): T {
    this.run('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.run('COMMIT');
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.run('ROLLBACK');
      throw error;
    }
  }

  /** Within a `write`: undoes only what `work` did when it throws. */
  part<T>(work: () => T): T {
    this.run('SAVEPOINT part');
    try {
      const result = work();
      this.run('RELEASE part');
      return result;
    } catch (error) {
      // A full disk or a failing one may have ended the whole transaction already.
      if (this.#db.isTransaction) {
        this.run('ROLLBACK TO part');
        this.run('RELEASE part');
      }
      throw error;
    }
  }

  /** Makes `name(a, b)` callable in SQL. */
  define(name: string, fn: (a: SQLOutputValue, b: SQLOutputValue) => boolean): void {
    this.#db.function(name, { deterministic: true, directOnly: true }, (a, b) => (fn(a, b) ? 1 : 0));
  }

  [Symbol.dispose](): void {
    if (!this.#db.isOpen) return;
    try {
      if (this.#wrote) this.#db.exec('PRAGMA wal_checkpoint(PASSIVE)');
    } catch {
      // The log is complete by itself: the next one to open the file takes it from there.
    }
    this.#db.close();
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#db.prepare(sql);
    // Half the time of objects.
    made.setReturnArrays(true);
    this.#statements.set(sql, made);
    return made;
  }

  /**
   * `synchronous = NORMAL`: a commit survives the process. What has to survive a power cut is flushed by
   * `Commits`, off the thread that works.
   */
  #settle(): void {
    this.#db.exec(`PRAGMA cache_size = -${CACHE_KIB}; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY`);
    untilFree(() => this.#db.exec('PRAGMA journal_mode = WAL'));
    this.#db.exec(
      `PRAGMA synchronous = NORMAL;
       PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
       PRAGMA journal_size_limit = ${LOG_LIMIT_BYTES}`,
    );
  }

  #migrate(migrations: readonly string[]): void {
    if (this.#version(migrations.length) === migrations.length) return;
    this.write(() => {
      // Again, now that nobody else can write: another process may have come first.
      for (const sql of migrations.slice(this.#version(migrations.length))) this.#db.exec(sql);
      this.#db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${migrations.length}`);
    });
  }

  #version(known: number): number {
    const version = Number(this.#db.prepare('PRAGMA user_version').get()?.user_version ?? 0);
    const application = Number(this.#db.prepare('PRAGMA application_id').get()?.application_id ?? 0);
    const tables = Number(this.#db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n ?? 0);
    if (application !== APPLICATION_ID && (application !== 0 || version !== 0 || tables !== 0)) {
      throw corruptFault(this.file);
    }
    if (version > known) throw newerFault(this.file, version, known);
    return version;
  }
}

function rowOf(row: unknown): Row {
  if (Array.isArray(row)) return row;
  throw new TypeError('a row is not an array');
}

/**
 * What is sent where is nobody else's to read; SQLite gives the mode of the file to its log and index. One that is
 * there is not even opened: closing any descriptor of it would drop this process's locks (`owner.ts`).
 */
function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'ax', 0o600));
  } catch {
    // It is there, or cannot be made: SQLite opens it, or says why not.
  }
}

/** @throws Fault `permanent` */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (failed) {
    const error = whyNotMade(folder) ?? failed;
    const code = codeOf(error);
    throw new Fault('permanent', `the data folder ${folder} cannot be made: ${messageOf(error)}`, {
      ...(code === undefined ? {} : { code }),
      advice: 'Make it, or point FERRY_DATA at a folder that the user running Ferry may write to.',
      cause: error,
    });
  }
}

/** Two processes that make one new ledger at once can meet a lock for which SQLite does not wait by itself. */
function untilFree(work: () => void): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; ; waitedMs += 20) {
    try {
      work();
      return;
    } catch (error) {
      if (!isBusy(error) || waitedMs >= BUSY_MS) throw error;
      Atomics.wait(pause, 0, 0, 20);
    }
  }
}

/** Node says ENOENT of a folder in a file system that is read-only: made without `recursive`, it tells the cause. */
function whyNotMade(folder: string): unknown {
  const parent = dirname(folder);
  if (parent !== folder && !existsSync(parent)) return whyNotMade(parent);
  try {
    mkdirSync(folder);
    rmdirSync(folder);
    return undefined;
  } catch (error) {
    return error;
  }
}
