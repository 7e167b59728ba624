/**
 * The ledger's tables, as migrations that only go forward: entry n lifts a ledger from version n to n + 1.
 * An entry that has been released is never edited again.
 *
 * `deliveries` may hold tens of millions of rows, so what nearly all of them share is kept short (names as
 * numbers, digests as bytes) and every index that serves open deliveries is partial. A step from due to queued
 * to sending happens for each file on its own, so few of the indexes and none of the totals change with it.
 * Paths are TEXT where they are well-formed and otherwise BLOBs of their raw bytes, hence ANY. Times are ms since
 * the epoch.
 */

export const MIGRATIONS: readonly string[] = [
  `
  -- Jobs, endpoints and destinations by number.
  CREATE TABLE names (id INTEGER PRIMARY KEY, name ANY NOT NULL UNIQUE) STRICT;

  CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    destination INTEGER NOT NULL,
    path ANY NOT NULL,
    target ANY NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ms REAL NOT NULL,
    tag ANY NOT NULL,
    state TEXT NOT NULL,
    -- 1: due, queued or sending; 2: failed; 0: delivered or superseded.
    open INTEGER NOT NULL,
    -- Of queued and sending ones.
    owner TEXT,
    generation INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    cuts INTEGER NOT NULL,
    next_at_ms REAL NOT NULL,
    leftover INTEGER NOT NULL,
    -- 1 once nothing would be sent again for want of this row: a newer one exists, or the source is gone.
    forgettable INTEGER NOT NULL,
    created_at_ms REAL NOT NULL,
    updated_at_ms REAL NOT NULL,
    delivered_at_ms REAL,
    note ANY,
    -- NULL in a delivered row: under its target.
    remote_path ANY,
    sha256 ANY,
    verified TEXT,
    reference ANY,
    error_kind TEXT,
    error_code TEXT,
    error_message TEXT,
    error_advice TEXT
  ) STRICT;

  -- The newest of a path is the last entry of its range (an index ends with the rowid).
  CREATE INDEX by_path ON deliveries (destination, job, path);
  CREATE INDEX ended ON deliveries (job, state, updated_at_ms) WHERE open <> 1;
  CREATE INDEX unfinished ON deliveries (endpoint, job, path) WHERE open > 0;
  CREATE INDEX open_by_mtime ON deliveries (endpoint, job, mtime_ms, path) WHERE open = 1;
  CREATE INDEX due ON deliveries (endpoint, job) WHERE state = 'due';
  CREATE INDEX at_work ON deliveries (endpoint, job, owner) WHERE owner IS NOT NULL;
  CREATE INDEX sending ON deliveries (endpoint, target) WHERE state = 'sending';
  CREATE INDEX leftovers ON deliveries (endpoint) WHERE leftover = 1 AND open <> 1;
  CREATE INDEX forgettable ON deliveries (updated_at_ms) WHERE forgettable = 1 AND leftover = 0 AND open <> 1;

  CREATE TABLE attempts (
    delivery INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    started_at_ms REAL NOT NULL,
    ended_at_ms REAL NOT NULL,
    outcome TEXT NOT NULL,
    counted INTEGER NOT NULL,
    error_kind TEXT,
    error_code TEXT,
    error_message TEXT,
    error_advice TEXT,
    PRIMARY KEY (delivery, nth)
  ) STRICT, WITHOUT ROWID;

  -- What is made is added by whoever makes it, a batch at a time; the triggers below do the rest. What was delivered or superseded stays counted when its row is pruned.
  CREATE TABLE totals (
    endpoint INTEGER NOT NULL,
    job INTEGER NOT NULL,
    open_files INTEGER NOT NULL DEFAULT 0,
    open_bytes INTEGER NOT NULL DEFAULT 0,
    failed_files INTEGER NOT NULL DEFAULT 0,
    failed_bytes INTEGER NOT NULL DEFAULT 0,
    delivered_files INTEGER NOT NULL DEFAULT 0,
    delivered_bytes INTEGER NOT NULL DEFAULT 0,
    superseded_files INTEGER NOT NULL DEFAULT 0,
    superseded_bytes INTEGER NOT NULL DEFAULT 0,
    -- When a delivery last arrived.
    delivered_ms REAL,
    PRIMARY KEY (endpoint, job)
  ) STRICT, WITHOUT ROWID;

  CREATE TRIGGER delivery_moved AFTER UPDATE OF open ON deliveries BEGIN
    UPDATE totals SET
      open_files = open_files - (OLD.open = 1) + (NEW.open = 1),
      open_bytes = open_bytes + OLD.size_bytes * ((NEW.open = 1) - (OLD.open = 1)),
      failed_files = failed_files - (OLD.open = 2) + (NEW.open = 2),
      failed_bytes = failed_bytes + OLD.size_bytes * ((NEW.open = 2) - (OLD.open = 2)),
      delivered_files = delivered_files + (NEW.state = 'delivered'),
      delivered_bytes = delivered_bytes + OLD.size_bytes * (NEW.state = 'delivered'),
      superseded_files = superseded_files + (NEW.state = 'superseded'),
      superseded_bytes = superseded_bytes + OLD.size_bytes * (NEW.state = 'superseded'),
      delivered_ms = max(coalesce(delivered_ms, NEW.delivered_at_ms), coalesce(NEW.delivered_at_ms, delivered_ms))
    WHERE endpoint = OLD.endpoint AND job = OLD.job;
  END;
  CREATE TRIGGER delivery_forgotten AFTER DELETE ON deliveries BEGIN
    DELETE FROM attempts WHERE delivery = OLD.id;
    UPDATE totals SET failed_files = failed_files - 1, failed_bytes = failed_bytes - OLD.size_bytes
      WHERE OLD.open = 2 AND endpoint = OLD.endpoint AND job = OLD.job;
  END;

  CREATE TABLE endpoints (
    endpoint TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    since_ms REAL NOT NULL,
    next_probe_ms REAL,
    error_kind TEXT,
    error_code TEXT,
    error_message TEXT,
    error_advice TEXT
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    last_scan_ms REAL,
    last_cron_ms REAL,
    last_delivered_ms REAL,
    error_kind TEXT,
    error_code TEXT,
    error_message TEXT,
    error_advice TEXT
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE paused (name TEXT PRIMARY KEY, since_ms REAL NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  -- Where the file system of the job's source was mounted when it was last looked at.
  ALTER TABLE jobs ADD COLUMN mount ANY;
  `,
  `
  -- The far side may be at work on it by itself, whatever the state.
  ALTER TABLE deliveries ADD COLUMN under_way INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX under_way ON deliveries (endpoint, target) WHERE under_way = 1 AND open = 1;
  `,
  `
  -- Where the file system of a destination was mounted when a file last arrived there.
  CREATE TABLE mounts (destination ANY PRIMARY KEY, point ANY NOT NULL) STRICT, WITHOUT ROWID;
  `,
];
