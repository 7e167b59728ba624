/** The ledger on an embedded SQLite file (`node:sqlite`), `<folder>/ledger.sqlite`: puts the parts together, one for each noun of the contract. */

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Attempts } from './attempts.ts';
import { Commits } from './commits.ts';
import { Database } from './database.ts';
import { Deliveries } from './deliveries.ts';
import { History } from './history.ts';
import type { Ledger } from './ledger.ts';
import { Names } from './names.ts';
import { Owner } from './owner.ts';
import { Records } from './records.ts';
import { Taking } from './take.ts';
import { Totals } from './totals.ts';

/** In the data folder. */
export const LEDGER_FILE = 'ledger.sqlite';

export interface LedgerOptions {
  /** Made when it is missing (`FERRY_DATA`). */
  readonly folder: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly random?: (bytes: number) => Buffer;
}

/** @throws Fault `permanent`: damaged, written by a newer Ferry, no permission; `transient`: locked, disk full */
export function openLedger({ folder, now, random = randomBytes }: LedgerOptions): Ledger {
  return ledgerOn(new Database(join(folder, LEDGER_FILE)), folder, now, random(8).toString('hex'));
}

/** The ledger on a file that is open already, which it closes. */
export function ledgerOn(db: Database, folder: string, now: () => number, ownerId: string): Ledger {
  const names = new Names(db);
  const owner = new Owner(db, folder, ownerId);
  const commits = new Commits(db);
  const deliveries = new Deliveries(db, names);
  const taking = new Taking(db, names, owner);
  const attempts = new Attempts(db, names, owner, commits);
  const history = new History(db, names);
  const totals = new Totals(db, names);
  const records = new Records(db);
  return {
    owner: owner.id,
    latest: (job, destination, path) => deliveries.latest(job, destination, path),
    owe: (owed, nowMs) => deliveries.owe(owed, nowMs),
    disown: (job, destinations, why, nowMs) => deliveries.disown(job, destinations, why, nowMs),
    letGo: (jobs, endpoints) => deliveries.letGo(jobs, endpoints),
    take: (options) => taking.take(options),
    queuedBefore: (endpoint, beforeMs, limit) => taking.queuedBefore(endpoint, beforeMs, limit),
    claim: (id, generation, nowMs) => attempts.claim(id, generation, nowMs),
    checkpoint: (id, note, underWay) => attempts.checkpoint(id, note, underWay),
    settle: (id, outcome, times) => attempts.settle(id, outcome, times),
    release(endpoint) {
      // What was settled back into the queue a moment ago is to be released too.
      commits.apply();
      return taking.release(endpoint, now());
    },
    recover: (nowMs) => owner.recover(nowMs),
    leftovers: (endpoint, limit) => deliveries.leftovers(endpoint, limit),
    cleared: (ids) => deliveries.cleared(ids),
    retry: (which, nowMs) => deliveries.retry(which, nowMs),
    get: (id) => deliveries.get(id),
    attempts: (id) => attempts.of(id),
    history: (filter) => history.read(filter),
    counts: () => totals.counts(),
    open: (jobs) => totals.open(jobs),
    underWay: () => totals.underWay(),
    paused: () => records.paused(),
    pause: (name, nowMs) => records.pause(name, nowMs),
    resume: (name) => records.resume(name),
    endpoint: (name) => records.endpoint(name),
    endpoints: () => records.endpoints(),
    setEndpoint: (record) => records.setEndpoint(record),
    job: (name) => records.job(name),
    jobs: () => records.jobs(),
    setJob: (name, changes) => records.setJob(name, changes),
    mount: (destination) => records.mount(destination),
    setMount: (destination, point) => records.setMount(destination, point),
    changes: () => Number(db.get('PRAGMA data_version')?.[0]),
    afterDone: (ids) => deliveries.afterDone(ids),
    prune: (beforeMs, limit) => deliveries.prune(beforeMs, limit),
    [Symbol.dispose]() {
      commits[Symbol.dispose]();
      owner[Symbol.dispose]();
      db[Symbol.dispose]();
    },
  };
}
