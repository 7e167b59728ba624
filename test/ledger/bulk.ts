/**
 * Fills a new ledger with as many rows as are asked for, by plain SQL: the triggers are taken away
 * meanwhile, and totals are counted afterwards. For tests and measurements of size.
 */

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export interface Bulk {
  /** Of the job `bulk`, to `server:/in`. */
  readonly delivered: number;
  /** Of the job `bulk`, to `server:/in` and `other:/in` in turn, numbered after the delivered ones. */
  readonly due: number;
}

/** Paths are `pathOf(n)`, n from 1. No ledger may be open on the folder. */
export function fillLedger(folder: string, { delivered, due }: Bulk): void {
  const db = new DatabaseSync(join(folder, 'ledger.sqlite'));
  try {
    db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000');
    const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
    for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
    db.exec(FILL.replaceAll('$delivered', String(delivered)).replaceAll('$rows', String(delivered + due)));
    for (const { sql } of triggers) db.exec(String(sql));
    db.exec('PRAGMA journal_mode = WAL');
  } finally {
    db.close();
  }
}

export function pathOf(n: number): string {
  return `dir-${String(Math.floor(n / 1000)).padStart(5, '0')}/file-${n}.csv`;
}

const FILL = `
  BEGIN;
  INSERT OR IGNORE INTO names (id, name)
    VALUES (1, 'bulk'), (2, 'server'), (3, 'server:/in'), (4, 'other'), (5, 'other:/in');
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $rows),
    made AS (SELECT i, i > $delivered AS due, i > $delivered AND i % 2 AS other, 1700000000000 + i AS at,
      printf('dir-%05d/file-%d.csv', i / 1000, i) AS path FROM n)
  INSERT INTO deliveries (job, endpoint, destination, path, target, size_bytes, mtime_ms, tag, state, open, generation,
    attempts, cuts, next_at_ms, leftover, forgettable, created_at_ms, updated_at_ms, delivered_at_ms, sha256, verified)
  SELECT 1, iif(other, 4, 2), iif(other, 5, 3), path, '/in/' || path, 4096 + i % 1000, at + 0.125,
    CAST(1000000 + i AS TEXT), iif(due, 'due', 'delivered'), due, 1, 0, 0, at, 0, 0, at, at + 500 * NOT due,
    iif(due, NULL, at + 500), iif(due, NULL, randomblob(32)), iif(due, NULL, 'size')
  FROM made;
  INSERT INTO attempts (delivery, nth, started_at_ms, ended_at_ms, outcome, counted)
  SELECT id, 1, created_at_ms, updated_at_ms, 'delivered', 0 FROM deliveries WHERE state = 'delivered';
  INSERT INTO totals (endpoint, job, open_files, open_bytes, delivered_files, delivered_bytes, delivered_ms)
  SELECT endpoint, job, sum(open), sum(size_bytes * open), sum(1 - open), sum(size_bytes * (1 - open)), max(delivered_at_ms)
  FROM deliveries GROUP BY endpoint, job;
  COMMIT;
`;
