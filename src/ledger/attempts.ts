/** Attempts: claiming a queued delivery, keeping its checkpoint, and recording how the attempt ended. */

import type { AttemptTimes, Delivery, FaultNote, Outcome } from '../sync/delivery.ts';
import { noteOf } from '../sync/delivery.ts';
import { type Fault, isEndpointFault } from '../sync/errors.ts';
import type { Commits } from './commits.ts';
import type { Database, Value } from './database.ts';
import { notClaimedFault } from './faults.ts';
import type { Attempt } from './ledger.ts';
import type { Names } from './names.ts';
import type { Owner } from './owner.ts';
import {
  DELIVERY_COLUMNS,
  deliveryOf,
  digestValue,
  faultValues,
  maybeFault,
  numberOf,
  textOf,
  textValue,
} from './rows.ts';

const CLAIMABLE = `WHERE id = ? AND generation = ? AND state = 'queued' AND NOT EXISTS (
  SELECT 1 FROM deliveries AS other INDEXED BY sending
  WHERE other.state = 'sending' AND other.endpoint = deliveries.endpoint AND other.target = deliveries.target)
  AND NOT EXISTS (SELECT 1 FROM deliveries AS other INDEXED BY under_way
  WHERE other.under_way = 1 AND other.open = 1 AND other.endpoint = deliveries.endpoint
    AND other.target = deliveries.target AND other.id <> deliveries.id)
  AND NOT EXISTS (SELECT 1 FROM paused CROSS JOIN names
  WHERE names.name = paused.name AND names.id IN (deliveries.job, deliveries.endpoint))`;

/** Nearly always this process has queued it itself, and the index of owners needs no change. */
const CLAIM_OWN = `UPDATE deliveries SET state = 'sending', leftover = 1, updated_at_ms = ?
  ${CLAIMABLE} AND owner = ? RETURNING ${DELIVERY_COLUMNS}`;
const CLAIM_ANY = `UPDATE deliveries SET state = 'sending', leftover = 1, updated_at_ms = ?, owner = ?
  ${CLAIMABLE} RETURNING ${DELIVERY_COLUMNS}`;

const MINE = `WHERE id = ? AND state = 'sending' AND owner = ?`;
const ERROR = 'error_kind = ?, error_code = ?, error_message = ?, error_advice = ?';

const DELIVERED = `UPDATE deliveries SET state = 'delivered', open = 0, owner = NULL, note = NULL, leftover = 0,
    remote_path = nullif(?, target), sha256 = ?, verified = ?, reference = ?, ${ERROR}, updated_at_ms = ?, delivered_at_ms = ?
  ${MINE}`;

const ENDED = `UPDATE deliveries SET state = ?, open = ?, owner = NULL, under_way = 0, leftover = ?, forgettable = max(forgettable, ?),
    attempts = attempts + ?, cuts = cuts + ?, ${ERROR}, updated_at_ms = ?
  ${MINE}`;

const AGAIN = `UPDATE deliveries SET state = 'queued', next_at_ms = ?,
    attempts = attempts + ?, cuts = cuts + ?, ${ERROR}, updated_at_ms = ?
  ${MINE}`;

const BACK = `UPDATE deliveries SET state = 'due', owner = NULL, generation = generation + 1, next_at_ms = ?,
    attempts = attempts + ?, cuts = cuts + ?, ${ERROR}, updated_at_ms = ?
  ${MINE}`;

const PENDING = `UPDATE deliveries SET state = 'queued', next_at_ms = ?, updated_at_ms = ? ${MINE}`;
const PENDING_DUE = `UPDATE deliveries SET state = 'due', owner = NULL, generation = generation + 1, next_at_ms = ?,
    updated_at_ms = ? ${MINE}`;

const RECORD = `INSERT INTO attempts (delivery, nth, started_at_ms, ended_at_ms, outcome, counted,
    error_kind, error_code, error_message, error_advice)
  SELECT ?1, coalesce(max(nth), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM attempts WHERE delivery = ?1`;

const ATTEMPTS = `SELECT started_at_ms, ended_at_ms, outcome, counted,
    error_kind, error_code, error_message, error_advice
  FROM attempts WHERE delivery = ? ORDER BY nth`;

export class Attempts {
  readonly #db: Database;
  readonly #names: Names;
  readonly #owner: Owner;
  readonly #commits: Commits;

  constructor(db: Database, names: Names, owner: Owner, commits: Commits) {
    this.#db = db;
    this.#names = names;
    this.#owner = owner;
    this.#commits = commits;
  }

  async claim(id: number, generation: number, nowMs: number): Promise<Delivery | undefined> {
    let claimed: Delivery | undefined;
    await this.#commits.soon(() => {
      claimed = this.#claim(id, generation, nowMs);
    });
    return claimed;
  }

  /** Within a transaction. */
  #claim(id: number, generation: number, nowMs: number): Delivery | undefined {
    this.#owner.lock();
    const mine = this.#owner.id;
    const row =
      this.#db.all(CLAIM_OWN, nowMs, id, generation, mine)[0] ??
      this.#db.all(CLAIM_ANY, nowMs, mine, id, generation)[0];
    return row && deliveryOf(row, this.#names);
  }

  checkpoint(id: number, note: string, underWay = false): Promise<void> {
    return this.#commits.add(() =>
      this.#mine(id, `UPDATE deliveries SET note = ?, under_way = ? ${MINE}`, [
        textValue(note),
        Number(underWay),
      ]),
    );
  }

  settle(id: number, outcome: Outcome, times: AttemptTimes): Promise<void> {
    return this.#commits.add(() => this.#settle(id, outcome, times));
  }

  of(id: number): readonly Attempt[] {
    return this.#db.all(ATTEMPTS, id).map(([startedAt, endedAt, outcome, counted, ...error]) => ({
      delivery: id,
      startedAtMs: numberOf(startedAt),
      endedAtMs: numberOf(endedAt),
      outcome: textOf(outcome),
      counted: numberOf(counted) === 1,
      error: maybeFault(error),
    }));
  }

  #settle(id: number, outcome: Outcome, times: AttemptTimes): void {
    const atMs = times.endedAtMs;
    switch (outcome.state) {
      case 'pending':
        this.#mine(id, outcome.waits === 'due' ? PENDING_DUE : PENDING, [outcome.nextAtMs, atMs]);
        break;
      case 'delivered': {
        const { remotePath, sha256, verified, reference } = outcome.receipt;
        this.#mine(id, DELIVERED, [
          textValue(remotePath),
          digestValue(sha256),
          verified,
          reference === undefined ? null : textValue(reference),
          ...faultValues(undefined),
          atMs,
          atMs,
        ]);
        this.#record(id, times, 'delivered', false, undefined);
        break;
      }
      case 'failed':
      case 'superseded': {
        const { state, fault, leftover } = outcome;
        const counts = state === 'failed' && !isEndpointFault(fault) && fault.kind !== 'aborted';
        const gone = state === 'superseded' && (fault.kind === 'vanished' || fault.kind === 'changed');
        const note = noteOf(fault);
        this.#mine(id, ENDED, [
          state,
          state === 'failed' ? 2 : 0,
          Number(leftover),
          Number(gone),
          Number(counts),
          cutsOf(fault, counts),
          ...faultValues(note),
          atMs,
        ]);
        this.#record(id, times, fault.kind, counts, note);
        break;
      }
      case 'queued':
      case 'due': {
        const { state, fault, counts, nextAtMs } = outcome;
        const note = noteOf(fault);
        const cuts = cutsOf(fault, counts);
        this.#mine(id, state === 'due' ? BACK : AGAIN, [
          nextAtMs,
          Number(counts),
          cuts,
          ...faultValues(note),
          atMs,
        ]);
        this.#record(id, times, fault.kind, counts, note);
        break;
      }
    }
  }

  /** Runs a statement that ends with `MINE`. */
  #mine(id: number, sql: string, values: readonly Value[]): void {
    if (this.#db.run(sql, ...values, id, this.#owner.id).changes === 0) throw notClaimedFault(id);
  }

  #record(
    id: number,
    times: AttemptTimes,
    outcome: string,
    counted: boolean,
    error: FaultNote | undefined,
  ): void {
    const { startedAtMs, endedAtMs } = times;
    this.#db.run(RECORD, id, startedAtMs, endedAtMs, outcome, Number(counted), ...faultValues(error));
  }
}

/** 1 where the attempt ended with its connection; one that never got a connection ended with none. */
function cutsOf(fault: Fault, counts: boolean): number {
  return fault.kind === 'unreachable' && fault.during !== 'connect' && !counts ? 1 : 0;
}
