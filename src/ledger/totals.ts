/** How many deliveries and bytes are in which state, from the totals that the tables' triggers keep: never a scan. */

import type { Database, Row } from './database.ts';
import type { Count } from './ledger.ts';
import type { Names } from './names.ts';
import { numberOf, stateOf } from './rows.ts';

const KEPT = `SELECT endpoint, job, 'due', open_files, open_bytes FROM totals
  UNION ALL SELECT endpoint, job, 'failed', failed_files, failed_bytes FROM totals
  UNION ALL SELECT endpoint, job, 'delivered', delivered_files, delivered_bytes FROM totals
  UNION ALL SELECT endpoint, job, 'superseded', superseded_files, superseded_bytes FROM totals`;

const AT_WORK = `SELECT endpoint, job, state, count(*), sum(size_bytes) FROM deliveries INDEXED BY at_work
  WHERE owner IS NOT NULL GROUP BY endpoint, job, state`;

const UNDER_WAY = `SELECT job, count(*) FROM deliveries INDEXED BY under_way
  WHERE under_way = 1 AND open = 1 GROUP BY job`;

export class Totals {
  readonly #db: Database;
  readonly #names: Names;

  constructor(db: Database, names: Names) {
    this.#db = db;
    this.#names = names;
  }

  /** The few that are at work are looked at; the other open ones must be due. */
  counts(): readonly Count[] {
    const atWork = this.#db.all(AT_WORK).map((row) => this.#count(row));
    const kept = this.#db.all(KEPT).map((row) => this.#count(row));
    return [
      ...kept.map((count) => (count.state === 'due' ? without(count, atWork) : count)),
      ...atWork,
    ].filter(({ files }) => files > 0);
  }

  open(jobs: readonly string[]): number {
    return this.#db
      .all('SELECT job, open_files FROM totals')
      .filter(([job]) => jobs.includes(this.#names.text(numberOf(job))))
      .reduce((sum, [, files]) => sum + numberOf(files), 0);
  }

  underWay(): ReadonlyMap<string, number> {
    const rows = this.#db.all(UNDER_WAY);
    return new Map(rows.map(([job, files]) => [this.#names.text(numberOf(job)), numberOf(files)]));
  }

  #count([endpoint, job, state, files, bytes]: Row): Count {
    return {
      job: this.#names.text(numberOf(job)),
      endpoint: this.#names.text(numberOf(endpoint)),
      state: stateOf(state),
      files: numberOf(files),
      bytes: numberOf(bytes),
    };
  }
}

function without(open: Count, atWork: readonly Count[]): Count {
  let { files, bytes } = open;
  for (const { job, endpoint, files: busy, bytes: busyBytes } of atWork) {
    if (job !== open.job || endpoint !== open.endpoint) continue;
    files -= busy;
    bytes -= busyBytes;
  }
  return { ...open, files, bytes };
}
