/** Deliveries as a scan and a person see them: which version of a path is known, what is owed anew, what is put back. */

import { sameVersion } from '../endpoints/endpoint.ts';
import type { Delivery, FaultNote, NewDelivery } from '../sync/delivery.ts';
import type { FilePath } from '../sync/names.ts';
import type { Database, Row } from './database.ts';
import type { Known } from './ledger.ts';
import type { Names } from './names.ts';
import {
  DELIVERY_COLUMNS,
  deliveryOf,
  faultValues,
  limitValue,
  numberOf,
  stateOf,
  textOf,
  textValue,
} from './rows.ts';

const LATEST = `SELECT id, state, target, size_bytes, mtime_ms, tag, error_kind, updated_at_ms FROM deliveries INDEXED BY by_path
  WHERE destination = ? AND job = ? AND path = ? ORDER BY id DESC LIMIT 1`;

const MAKE = `INSERT INTO deliveries (job, endpoint, destination, path, target, size_bytes, mtime_ms, tag, state, open,
    generation, attempts, cuts, next_at_ms, leftover, forgettable, created_at_ms, updated_at_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'due', 1, 1, 0, 0, ?, 0, 0, ?, ?)`;

const COUNT = `INSERT INTO totals (endpoint, job, open_files, open_bytes) VALUES (?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET open_files = open_files + excluded.open_files, open_bytes = open_bytes + excluded.open_bytes`;

const SUPERSEDE = `UPDATE deliveries INDEXED BY unfinished
  SET state = 'superseded', open = 0, owner = NULL, forgettable = 1, updated_at_ms = ?
  WHERE open > 0 AND endpoint = ? AND job = ? AND path = ? AND state <> 'sending' AND under_way = 0
    AND destination = ?`;

const DISOWN = `UPDATE deliveries INDEXED BY unfinished
  SET state = 'superseded', open = 0, owner = NULL, forgettable = 1, updated_at_ms = ?,
    error_kind = ?, error_code = ?, error_message = ?, error_advice = ?
  WHERE open > 0 AND endpoint = ? AND job = ? AND state <> 'sending' AND under_way = 0
    AND destination NOT IN (SELECT value FROM json_each(?))`;

const LET_GO = `UPDATE deliveries INDEXED BY under_way SET under_way = 0
  WHERE under_way = 1 AND open = 1
    AND (job NOT IN (SELECT value FROM json_each(?)) OR endpoint NOT IN (SELECT value FROM json_each(?)))`;

const RETRY = `UPDATE deliveries SET state = 'due', open = 1, generation = generation + 1, attempts = 0, cuts = 0,
    next_at_ms = ?, updated_at_ms = ?, error_kind = NULL, error_code = NULL, error_message = NULL, error_advice = NULL
  WHERE id = ? AND state = 'failed'`;

const PRUNE = `DELETE FROM deliveries WHERE id IN (
  SELECT id FROM deliveries INDEXED BY forgettable
  WHERE forgettable = 1 AND leftover = 0 AND open <> 1 AND updated_at_ms < ? ORDER BY updated_at_ms LIMIT ?)`;

export class Deliveries {
  readonly #db: Database;
  readonly #names: Names;

  constructor(db: Database, names: Names) {
    this.#db = db;
    this.#names = names;
  }

  latest(job: string, destination: string, path: FilePath): Known | undefined {
    const [jobId, destinationId] = [this.#names.find(job), this.#names.find(destination)];
    if (jobId === undefined || destinationId === undefined) return undefined;
    const row = this.#db.get(LATEST, destinationId, jobId, textValue(path));
    return row === undefined ? undefined : knownOf(row);
  }

  owe(deliveries: readonly NewDelivery[], nowMs: number): readonly Delivery[] {
    if (deliveries.length === 0) return [];
    for (const { job, endpoint, destination } of deliveries) {
      for (const name of [job, endpoint, destination]) this.#names.make(name);
    }
    return this.#db.write(() => {
      const made: Delivery[] = [];
      for (const delivery of deliveries) {
        const latest = this.latest(delivery.job, delivery.destination, delivery.path);
        if (latest !== undefined && !owedAnew(latest, delivery)) continue;
        if (latest !== undefined) this.#supersede(latest.id, delivery, nowMs);
        made.push(this.#make(delivery, nowMs));
      }
      this.#count(made);
      return made;
    });
  }

  disown(job: string, destinations: readonly string[], why: FaultNote, nowMs: number): number {
    const jobId = this.#names.find(job);
    if (jobId === undefined) return 0;
    const kept = this.#listOf(destinations);
    return this.#db.write(() =>
      this.#db
        .all('SELECT endpoint FROM totals WHERE job = ? AND open_files + failed_files > 0', jobId)
        .reduce(
          (sum, [endpoint]) =>
            sum + this.#db.run(DISOWN, nowMs, ...faultValues(why), numberOf(endpoint), jobId, kept).changes,
          0,
        ),
    );
  }

  letGo(jobs: readonly string[], endpoints: readonly string[]): number {
    return this.#db.write(() => this.#db.run(LET_GO, this.#listOf(jobs), this.#listOf(endpoints)).changes);
  }

  get(id: number): Delivery | undefined {
    const row = this.#db.get(`SELECT ${DELIVERY_COLUMNS} FROM deliveries WHERE id = ?`, id);
    return row === undefined ? undefined : deliveryOf(row, this.#names);
  }

  retry(
    which: { readonly ids?: readonly number[]; readonly job?: string },
    nowMs: number,
  ): readonly Delivery[] {
    return this.#db.write(() =>
      this.#failed(which).flatMap((id) =>
        this.#db.run(RETRY, nowMs, nowMs, id).changes === 0 ? [] : (this.get(id) ?? []),
      ),
    );
  }

  leftovers(endpoint: string, limit: number): readonly Delivery[] {
    const rows = this.#db.all(
      `SELECT ${DELIVERY_COLUMNS} FROM deliveries INDEXED BY leftovers
       WHERE leftover = 1 AND open <> 1 AND endpoint = ? ORDER BY id LIMIT ?`,
      this.#names.find(endpoint) ?? null,
      limitValue(limit),
    );
    return rows.map((row) => deliveryOf(row, this.#names));
  }

  cleared(ids: readonly number[]): void {
    this.#db.write(() => {
      for (const id of ids) {
        this.#db.run('UPDATE deliveries SET leftover = 0, note = NULL WHERE id = ? AND open <> 1', id);
      }
    });
  }

  afterDone(ids: readonly number[]): void {
    this.#db.write(() => {
      for (const id of ids) this.#db.run('UPDATE deliveries SET forgettable = 1 WHERE id = ?', id);
    });
  }

  prune(beforeMs: number, limit: number): number {
    return this.#db.write(() => this.#db.run(PRUNE, beforeMs, limitValue(limit)).changes);
  }

  /** Adds what was made to the totals: once for all, where a trigger would do it for each. */
  #count(made: readonly Delivery[]): void {
    for (const group of Map.groupBy(made, ({ endpoint, job }) => `${endpoint}\0${job}`).values()) {
      const [first] = group;
      if (first === undefined) continue;
      const bytes = group.reduce((sum, { version }) => sum + version.sizeBytes, 0);
      this.#db.run(COUNT, this.#names.make(first.endpoint), this.#names.make(first.job), group.length, bytes);
    }
  }

  /** Whatever is older than a delivery about to be made need not be remembered for ever any more. */
  #supersede(latest: number, { job, endpoint, destination, path }: NewDelivery, nowMs: number): void {
    const [endpointId, jobId] = [this.#names.make(endpoint), this.#names.make(job)];
    // For the trigger to count in: the older one may be of the same, first batch.
    this.#db.run(COUNT, endpointId, jobId, 0, 0);
    this.#db.run(SUPERSEDE, nowMs, endpointId, jobId, textValue(path), this.#names.make(destination));
    this.#db.run('UPDATE deliveries SET forgettable = 1 WHERE id = ? AND forgettable = 0', latest);
  }

  #make(delivery: NewDelivery, nowMs: number): Delivery {
    const { version } = delivery;
    const { id } = this.#db.run(
      MAKE,
      this.#names.make(delivery.job),
      this.#names.make(delivery.endpoint),
      this.#names.make(delivery.destination),
      textValue(delivery.path),
      textValue(delivery.target),
      version.sizeBytes,
      version.mtimeMs,
      textValue(version.tag),
      nowMs,
      nowMs,
      nowMs,
    );
    return {
      ...delivery,
      id,
      state: 'due',
      generation: 1,
      attempts: 0,
      cuts: 0,
      nextAtMs: nowMs,
      note: undefined,
      leftover: false,
      remotePath: undefined,
      sha256: undefined,
      verified: undefined,
      reference: undefined,
      error: undefined,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      deliveredAtMs: undefined,
    };
  }

  /** What `json_each` takes. */
  #listOf(names: readonly string[]): string {
    return JSON.stringify(names.flatMap((name) => this.#names.find(name) ?? []));
  }

  #failed(which: { readonly ids?: readonly number[]; readonly job?: string }): readonly number[] {
    const { ids, job } = which;
    if (ids !== undefined) return job === undefined ? ids : ids.filter((id) => this.get(id)?.job === job);
    const failed = `SELECT id FROM deliveries INDEXED BY ended
      WHERE open <> 1 AND job = ? AND state = 'failed' ORDER BY id`;
    const jobs =
      job === undefined
        ? this.#db.all(`SELECT DISTINCT job FROM totals WHERE failed_files > 0`)
        : [[this.#names.find(job) ?? 0]];
    return jobs.flatMap(([number]) => this.#db.all(failed, numberOf(number)).map(([id]) => numberOf(id)));
  }
}

function knownOf([id, inState, target, size, mtime, tag, errorKind, updatedAt]: Row): Known {
  const state = stateOf(inState);
  return {
    id: numberOf(id),
    state,
    target: textOf(target),
    version: { sizeBytes: numberOf(size), mtimeMs: numberOf(mtime), tag: textOf(tag) },
    vanished: state === 'superseded' && (errorKind === 'vanished' || errorKind === 'changed'),
    skippedMs: state === 'superseded' && errorKind === 'skipped' ? numberOf(updatedAt) : undefined,
  };
}

function owedAnew(latest: Known, { target, version }: NewDelivery): boolean {
  return (
    latest.vanished ||
    latest.skippedMs !== undefined ||
    latest.target !== target ||
    !sameVersion(latest.version, version)
  );
}
