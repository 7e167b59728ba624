/** What is known of endpoints and jobs across restarts, and what a person has paused. */

import type { FilePath } from '../sync/names.ts';
import type { Database, Row } from './database.ts';
import type { EndpointRecord, JobRecord } from './ledger.ts';
import {
  faultValues,
  maybeFault,
  maybeNumber,
  maybeText,
  numberOf,
  textOf,
  textValue,
  unreadable,
} from './rows.ts';

const ENDPOINTS = `SELECT endpoint, state, since_ms, next_probe_ms,
    error_kind, error_code, error_message, error_advice
  FROM endpoints`;

const JOB = `SELECT last_scan_ms, last_cron_ms, last_delivered_ms, mount,
    error_kind, error_code, error_message, error_advice
  FROM jobs WHERE job = ?`;

const JOBS = `SELECT job FROM jobs
  UNION SELECT name FROM totals JOIN names ON names.id = totals.job WHERE delivered_ms IS NOT NULL ORDER BY 1`;

const LAST_DELIVERED = `SELECT max(delivered_ms) FROM totals JOIN names ON names.id = totals.job
  WHERE name = ?`;

export class Records {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  paused(): ReadonlySet<string> {
    return new Set(this.#db.all('SELECT name FROM paused').map(([name]) => textOf(name)));
  }

  pause(name: string, nowMs: number): void {
    this.#db.run('INSERT INTO paused (name, since_ms) VALUES (?, ?) ON CONFLICT DO NOTHING', name, nowMs);
  }

  resume(name: string): void {
    this.#db.run('DELETE FROM paused WHERE name = ?', name);
  }

  endpoint(name: string): EndpointRecord | undefined {
    return this.#db.all(`${ENDPOINTS} WHERE endpoint = ?`, name).map(endpointOf)[0];
  }

  endpoints(): readonly EndpointRecord[] {
    return this.#db.all(`${ENDPOINTS} ORDER BY endpoint`).map(endpointOf);
  }

  setEndpoint({ endpoint, state, fault, sinceMs, nextProbeMs }: EndpointRecord): void {
    this.#db.run(
      `INSERT OR REPLACE INTO endpoints (endpoint, state, since_ms, next_probe_ms,
         error_kind, error_code, error_message, error_advice) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      endpoint,
      state,
      sinceMs,
      nextProbeMs ?? null,
      ...faultValues(fault),
    );
  }

  /** When its last file arrived is kept with the totals, which outlive the rows; a later time set by hand wins. */
  job(name: string): JobRecord | undefined {
    const row = this.#db.get(JOB, name);
    const arrivedMs = maybeNumber(this.#db.get(LAST_DELIVERED, name)?.[0] ?? null);
    if (row === undefined && arrivedMs === undefined) return undefined;
    const [scanned = null, cron = null, set = null, mount = null, ...error] = row ?? [];
    const setMs = maybeNumber(set);
    return {
      job: name,
      lastScanMs: maybeNumber(scanned),
      lastCronMs: maybeNumber(cron),
      lastDeliveredMs: setMs === undefined || (arrivedMs ?? 0) > setMs ? arrivedMs : setMs,
      alarm: row && maybeFault(error),
      mount: maybeText(mount),
    };
  }

  jobs(): readonly JobRecord[] {
    return this.#db.all(JOBS).flatMap(([job]) => this.job(textOf(job)) ?? []);
  }

  setJob(name: string, changes: Partial<Omit<JobRecord, 'job'>>): void {
    this.#db.write(() => {
      const known = this.job(name);
      const { lastScanMs, lastCronMs, lastDeliveredMs, alarm, mount } = { ...known, ...changes };
      this.#db.run(
        `INSERT OR REPLACE INTO jobs (job, last_scan_ms, last_cron_ms, last_delivered_ms, mount,
           error_kind, error_code, error_message, error_advice) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        name,
        lastScanMs ?? null,
        lastCronMs ?? null,
        lastDeliveredMs ?? null,
        mount === undefined ? null : textValue(mount),
        ...faultValues(alarm),
      );
    });
  }

  mount(destination: string): FilePath | undefined {
    const row = this.#db.get('SELECT point FROM mounts WHERE destination = ?', textValue(destination));
    return row && textOf(row[0]);
  }

  setMount(destination: string, point: FilePath | undefined): void {
    const key = textValue(destination);
    if (point === undefined) this.#db.run('DELETE FROM mounts WHERE destination = ?', key);
    else
      this.#db.run('INSERT OR REPLACE INTO mounts (destination, point) VALUES (?, ?)', key, textValue(point));
  }
}

function endpointOf([endpoint, state, since, nextProbe, ...error]: Row): EndpointRecord {
  if (state !== 'up' && state !== 'held' && state !== 'stopped') throw unreadable(state);
  return {
    endpoint: textOf(endpoint),
    state,
    fault: maybeFault(error),
    sinceMs: numberOf(since),
    nextProbeMs: maybeNumber(nextProbe),
  };
}
