/** From due to queued and back: which deliveries an owner takes into its queue, oldest first or in a job's own order. */

import type { Delivery } from '../sync/delivery.ts';
import type { Database, Row } from './database.ts';
import type { TakeOptions } from './ledger.ts';
import type { Names } from './names.ts';
import type { Owner } from './owner.ts';
import { DELIVERY_COLUMNS, deliveryOf, limitValue, maybeNumber, numberOf } from './rows.ts';

const NEXT_DUE_JOB = `SELECT min(job) FROM deliveries INDEXED BY due
  WHERE state = 'due' AND endpoint = ? AND job > ?`;

const JOBS_AT_WORK = `SELECT DISTINCT job FROM deliveries INDEXED BY at_work WHERE owner IS NOT NULL AND endpoint = ?`;

const OLDEST = `SELECT id FROM deliveries INDEXED BY due
  WHERE state = 'due' AND endpoint = ? AND job = ? AND next_at_ms <= ? ORDER BY id LIMIT ?`;

const FIRST_BY_NAME = `SELECT id, next_at_ms FROM deliveries INDEXED BY unfinished
  WHERE open > 0 AND endpoint = ? AND job = ? AND state = 'due' ORDER BY path, id LIMIT 1`;

const FIRST_BY_MTIME = `SELECT id, next_at_ms FROM deliveries INDEXED BY open_by_mtime
  WHERE open = 1 AND endpoint = ? AND job = ? AND state = 'due' ORDER BY mtime_ms, path, id LIMIT 1`;

const AT_WORK = `SELECT count(*) FROM deliveries INDEXED BY at_work
  WHERE owner IS NOT NULL AND endpoint = ? AND job = ?`;

const QUEUED_BY_OTHERS = `SELECT id FROM deliveries INDEXED BY at_work
  WHERE owner IS NOT NULL AND endpoint = ? AND job = ? AND owner <> ? AND state = 'queued' ORDER BY id LIMIT ?`;

/** A stolen one counts as put back in between, so that the entry in the other process's queue is void. */
const TAKE = `UPDATE deliveries
  SET state = 'queued', generation = generation + (state = 'queued'), owner = ?, updated_at_ms = ? WHERE id = ?`;

const TAKEN = `SELECT ${DELIVERY_COLUMNS} FROM deliveries WHERE id = ?`;

const QUEUED_BEFORE = `SELECT ${DELIVERY_COLUMNS} FROM deliveries INDEXED BY at_work
  WHERE owner IS NOT NULL AND endpoint = ? AND owner = ? AND state = 'queued' AND next_at_ms < ?
  ORDER BY next_at_ms, id LIMIT ?`;

const RELEASE = `UPDATE deliveries INDEXED BY at_work
  SET state = 'due', owner = NULL, generation = generation + 1, updated_at_ms = ?
  WHERE owner IS NOT NULL AND owner = ? AND state = 'queued'`;

export class Taking {
  readonly #db: Database;
  readonly #names: Names;
  readonly #owner: Owner;

  constructor(db: Database, names: Names, owner: Owner) {
    this.#db = db;
    this.#names = names;
    this.#owner = owner;
  }

  take(options: TakeOptions): readonly Delivery[] {
    const endpoint = this.#names.find(options.endpoint);
    if (endpoint === undefined || options.limit <= 0 || this.#jobs(endpoint, options).length === 0) return [];
    return this.#db.write(() => {
      this.#owner.lock();
      const ids = this.#jobs(endpoint, options)
        .flatMap((job) => this.#candidates(endpoint, job, options))
        .sort((a, b) => a - b)
        .slice(0, options.limit);
      for (const id of ids) this.#db.run(TAKE, this.#owner.id, options.nowMs, id);
      return ids.flatMap((id) => this.#db.all(TAKEN, id).map((row) => deliveryOf(row, this.#names)));
    });
  }

  queuedBefore(endpoint: string, beforeMs: number, limit: number): readonly Delivery[] {
    const number = this.#names.find(endpoint) ?? null;
    const rows = this.#db.all(QUEUED_BEFORE, number, this.#owner.id, beforeMs, limitValue(limit));
    return rows.map((row) => deliveryOf(row, this.#names));
  }

  release(endpoint: string | undefined, nowMs: number): number {
    return this.#db.write(() => {
      if (endpoint === undefined) return this.#db.run(RELEASE, nowMs, this.#owner.id).changes;
      const number = this.#names.find(endpoint) ?? null;
      return this.#db.run(`${RELEASE} AND endpoint = ?`, nowMs, this.#owner.id, number).changes;
    });
  }

  /** Jobs that have something to take at an endpoint. A few steps in an index: asking an idle endpoint costs nothing. */
  #jobs(endpoint: number, { jobs, exceptJobs, steal }: TakeOptions): readonly number[] {
    const found = new Set<number>(this.#dueJobs(endpoint));
    if (steal) for (const [job] of this.#db.all(JOBS_AT_WORK, endpoint)) found.add(numberOf(job));
    return [...found].filter((number) => {
      const job = this.#names.text(number);
      return (jobs === undefined || jobs.includes(job)) && !exceptJobs?.includes(job);
    });
  }

  *#dueJobs(endpoint: number): Generator<number> {
    for (let job: number | undefined = 0; ; ) {
      job = maybeNumber(this.#db.get(NEXT_DUE_JOB, endpoint, job)?.[0]);
      if (job === undefined) return;
      yield job;
    }
  }

  #candidates(endpoint: number, job: number, options: TakeOptions): readonly number[] {
    const name = this.#names.text(job);
    const order = options.ordered.find((ordered) => ordered.job === name)?.order;
    // What a person asks for now does not wait for its time.
    const untilMs = options.steal ? Number.MAX_SAFE_INTEGER : options.nowMs;
    const limit = limitValue(options.limit);
    const others = options.steal
      ? this.#db.all(QUEUED_BY_OTHERS, endpoint, job, this.#owner.id, limit).map(idOf)
      : [];
    if (order !== undefined) return this.#first(endpoint, job, order, untilMs, others);
    const due = this.#db.all(OLDEST, endpoint, job, untilMs, limit);
    return [...others, ...due.map(idOf)];
  }

  /** Of a job that keeps an order: the one that is queued elsewhere, or the first, unless one is at work. */
  #first(
    endpoint: number,
    job: number,
    order: 'name' | 'mtime',
    untilMs: number,
    others: readonly number[],
  ): readonly number[] {
    const [atWork] = this.#db.get(AT_WORK, endpoint, job) ?? [0];
    if (numberOf(atWork) > others.length) return [];
    if (others.length > 0) return others.slice(0, 1);
    const first = this.#db.get(order === 'name' ? FIRST_BY_NAME : FIRST_BY_MTIME, endpoint, job);
    if (first === undefined) return [];
    const [id, nextAtMs] = first;
    return numberOf(nextAtMs) > untilMs ? [] : [numberOf(id)];
  }
}

function idOf([id]: Row): number {
  return numberOf(id);
}
