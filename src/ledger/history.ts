/**
 * Every delivery, newest first (open ones by when they were made, ended ones by when they ended), filtered. Reads in
 * pages, each a short transaction of its own: a pager that a person leaves open overnight must not keep the log from
 * being moved into the file.
 */

import { DELIVERY_STATES, type Delivery, type DeliveryState } from '../sync/delivery.ts';
import type { Database, Row, Value } from './database.ts';
import { patternOf, sqlGlobOf } from './glob.ts';
import type { HistoryFilter } from './ledger.ts';
import type { Names } from './names.ts';
import { DELIVERY_COLUMNS, deliveryOf, numberOf, textOf, textValue } from './rows.ts';

/** Rows in memory at once, over all sources. */
const PAGE_ROWS = 2000;
const LEAST_PAGE_ROWS = 20;

/** A range of an index whose rows come in order. All sources are merged, so nothing large is ever sorted. */
interface Source {
  readonly from: string;
  readonly values: readonly Value[];
  /** The key by which the range is ordered, and where a page ends in it. */
  readonly order: readonly string[];
  readonly end: (last: Delivery) => readonly Value[];
}

const ENDED = {
  from: 'ended WHERE open <> 1 AND job = ? AND state = ?',
  order: ['updated_at_ms', 'id'],
  end: (last: Delivery) => [last.updatedAtMs, last.id],
};
const BY_ID = { order: ['id'], end: (last: Delivery) => [last.id] };
const DUE = { ...BY_ID, from: "due WHERE state = 'due' AND endpoint = ? AND job = ?" };
/** The few that are queued or sending; these are sorted. */
const AT_WORK = { ...BY_ID, from: 'at_work WHERE owner IS NOT NULL AND endpoint = ? AND job = ?' };

export class History {
  readonly #db: Database;
  readonly #names: Names;
  readonly #patterns = new Map<string, RegExp>();

  constructor(db: Database, names: Names) {
    this.#db = db;
    this.#names = names;
    db.define('path_matches', (glob, path) => this.#pattern(textOf(glob)).test(textOf(path)));
  }

  *read(filter: HistoryFilter): Generator<Delivery> {
    const wanted = filter.limit ?? Number.POSITIVE_INFINITY;
    if (wanted < 1) return;
    if (filter.ids !== undefined) return yield* this.#byId(filter, filter.ids).slice(0, wanted);
    const sources = this.#sources(filter);
    const rows = Math.min(wanted, Math.max(LEAST_PAGE_ROWS, Math.floor(PAGE_ROWS / sources.length)));
    const streams = sources.map((source) => this.#stream(source, filter, rows));
    const heads = streams.map((stream) => stream.next().value);
    for (let given = 0; given < wanted; given += 1) {
      const at = newestOf(heads);
      const newest = heads[at];
      if (newest === undefined) return;
      yield newest;
      heads[at] = streams[at]?.next().value;
    }
  }

  #sources({ job, state }: HistoryFilter): readonly Source[] {
    const held = this.#db
      .all('SELECT endpoint, job FROM totals')
      .map(([endpoint, number]) => ({ endpoint: numberOf(endpoint), job: numberOf(number) }))
      .filter((each) => job === undefined || this.#names.text(each.job) === job);
    const states = state === undefined ? DELIVERY_STATES : [state];
    const open = [states.includes('due') ? DUE : [], states.some(isAtWork) ? AT_WORK : []].flat();
    const ended = states.filter((each) => each !== 'due' && !isAtWork(each));
    const jobs = [...new Set(held.map((each) => each.job))];
    return [
      ...held.flatMap((each) => open.map((range) => ({ ...range, values: [each.endpoint, each.job] }))),
      ...jobs.flatMap((each) => ended.map((end) => ({ ...ENDED, values: [each, end] }))),
    ];
  }

  *#stream(source: Source, filter: HistoryFilter, rows: number): Generator<Delivery, undefined> {
    for (let last: Delivery | undefined; ; ) {
      const page = this.#page(source, filter, rows, last);
      yield* page;
      last = page.at(-1);
      if (page.length < rows) return;
    }
  }

  #page(
    { from, values, order, end }: Source,
    { state, sinceMs, path }: HistoryFilter,
    rows: number,
    after: Delivery | undefined,
  ): readonly Delivery[] {
    const conditions = [from];
    const bound: Value[] = [...values];
    const also = (condition: string, ...more: readonly Value[]): void => {
      conditions.push(condition);
      bound.push(...more);
    };
    if (after !== undefined) also(`(${order}) < (${order.map(() => '?')})`, ...end(after));
    if (state !== undefined) also('state = ?', state);
    if (sinceMs !== undefined) also('updated_at_ms >= ?', sinceMs);
    if (path !== undefined) {
      also("(path GLOB ? OR typeof(path) = 'blob')", sqlGlobOf(path));
      also('path_matches(?, path)', textValue(path));
    }
    const found = this.#db.all(
      `SELECT ${DELIVERY_COLUMNS} FROM deliveries INDEXED BY ${conditions.join(' AND ')}
       ORDER BY ${order.map((key) => `${key} DESC`)} LIMIT ?`,
      ...bound,
      rows,
    );
    return found.map((row) => this.#delivery(row));
  }

  #byId({ job, state, sinceMs, path }: HistoryFilter, ids: readonly number[]): readonly Delivery[] {
    return [...new Set(ids)]
      .flatMap((id) => this.#db.all(`SELECT ${DELIVERY_COLUMNS} FROM deliveries WHERE id = ?`, id))
      .map((row) => this.#delivery(row))
      .filter((delivery) => job === undefined || delivery.job === job)
      .filter((delivery) => state === undefined || delivery.state === state)
      .filter((delivery) => sinceMs === undefined || delivery.updatedAtMs >= sinceMs)
      .filter((delivery) => path === undefined || this.#pattern(path).test(delivery.path))
      .sort((a, b) => (isNewer(a, b) ? -1 : 1));
  }

  #delivery(row: Row): Delivery {
    return deliveryOf(row, this.#names);
  }

  #pattern(glob: string): RegExp {
    const known = this.#patterns.get(glob);
    if (known !== undefined) return known;
    const made = patternOf(glob);
    this.#patterns.set(glob, made);
    return made;
  }
}

/** -1 where there is none. */
function newestOf(heads: readonly (Delivery | undefined)[]): number {
  let at = -1;
  let newest: Delivery | undefined;
  for (const [index, head] of heads.entries()) {
    if (head === undefined || (newest !== undefined && !isNewer(head, newest))) continue;
    at = index;
    newest = head;
  }
  return at;
}

function isNewer(a: Delivery, b: Delivery): boolean {
  const [aMs, bMs] = [listedMs(a), listedMs(b)];
  return aMs === bMs ? a.id > b.id : aMs > bMs;
}

function listedMs({ state, createdAtMs, updatedAtMs }: Delivery): number {
  return state === 'due' || isAtWork(state) ? createdAtMs : updatedAtMs;
}

function isAtWork(state: DeliveryState): boolean {
  return state === 'queued' || state === 'sending';
}
