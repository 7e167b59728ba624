/** Between rows and values: paths, digests, faults, deliveries. The parse at the ledger's edge; a row that cannot be read is a Fault. */

import type { Receipt } from '../endpoints/endpoint.ts';
import { DELIVERY_STATES, type Delivery, type DeliveryState, type FaultNote } from '../sync/delivery.ts';
import { Fault, type FaultKind } from '../sync/errors.ts';
import { type FilePath, fromBytes, toBytes } from '../sync/names.ts';
import type { Row, Value } from './database.ts';
import type { Names } from './names.ts';

/** The columns that `deliveryOf` takes, in its order. */
export const DELIVERY_COLUMNS =
  'id, job, endpoint, destination, path, target, size_bytes, mtime_ms, tag, state, generation, attempts, cuts, ' +
  'next_at_ms, leftover, created_at_ms, updated_at_ms, delivered_at_ms, note, remote_path, sha256, verified, reference, ' +
  'error_kind, error_code, error_message, error_advice';

export function deliveryOf(row: Row, names: Names): Delivery {
  const [id, job, endpoint, destination, path, asked, size, mtime, tag, inState, generation, attempts, cuts] =
    row;
  const [nextAt, leftover, createdAt, updatedAt, deliveredAt, note, remotePath, sha256, verified] =
    row.slice(13);
  const state = stateOf(inState);
  const target = textOf(asked);
  return {
    id: numberOf(id),
    job: names.text(numberOf(job)),
    endpoint: names.text(numberOf(endpoint)),
    destination: names.text(numberOf(destination)),
    path: textOf(path),
    target,
    version: { sizeBytes: numberOf(size), mtimeMs: numberOf(mtime), tag: textOf(tag) },
    state,
    generation: numberOf(generation),
    attempts: numberOf(attempts),
    cuts: numberOf(cuts),
    nextAtMs: numberOf(nextAt),
    note: maybeText(note),
    leftover: numberOf(leftover) === 1,
    remotePath: state === 'delivered' ? (maybeText(remotePath) ?? target) : undefined,
    sha256: maybeDigest(sha256),
    verified: maybeVerified(verified),
    reference: maybeText(row[22]),
    error: maybeFault(row.slice(23)),
    createdAtMs: numberOf(createdAt),
    updatedAtMs: numberOf(updatedAt),
    deliveredAtMs: maybeNumber(deliveredAt),
  };
}

/** TEXT when it is well-formed, otherwise its raw bytes: SQLite could not give a lone surrogate back. */
export function textValue(text: FilePath): Value {
  return text.isWellFormed() ? text : toBytes(text);
}

/** For LIMIT, which takes no infinity. */
export function limitValue(limit: number): number {
  return Math.min(limit, Number.MAX_SAFE_INTEGER);
}

/** Half the space of hex; what is no SHA-256 in lower-case hex is kept as it is. */
export function digestValue(sha256: string | undefined): Value {
  if (sha256 === undefined) return null;
  return /^[0-9a-f]{64}$/.test(sha256) ? Buffer.from(sha256, 'hex') : sha256;
}

/** kind, code, message, advice: the order of the `error_` columns. */
export function faultValues(fault: FaultNote | undefined): readonly [Value, Value, Value, Value] {
  if (fault === undefined) return [null, null, null, null];
  const { kind, code, message, advice } = fault;
  return [kind, code?.toWellFormed() ?? null, message.toWellFormed(), advice?.toWellFormed() ?? null];
}

/** The reverse of `faultValues`. */
export function maybeFault([inKind, code, message, advice]: Row): FaultNote | undefined {
  const kind = maybeText(inKind);
  if (kind === undefined) return undefined;
  if (!isFaultKind(kind)) throw unreadable(kind);
  return { kind, code: maybeText(code), message: textOf(message), advice: maybeText(advice) };
}

export function stateOf(value: unknown): DeliveryState {
  const state = DELIVERY_STATES.find((known) => known === value);
  if (state === undefined) throw unreadable(value);
  return state;
}

export function numberOf(value: unknown): number {
  if (typeof value !== 'number') throw unreadable(value);
  return value;
}

export function maybeNumber(value: unknown): number | undefined {
  return value === null ? undefined : numberOf(value);
}

export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return fromBytes(value);
  throw unreadable(value);
}

export function maybeText(value: unknown): string | undefined {
  return value === null ? undefined : textOf(value);
}

/** A value that no Ferry has written. */
export function unreadable(value: unknown): Fault {
  return new Fault('permanent', `the ledger holds a value that cannot be read: ${String(value)}`, {
    code: 'LEDGER_CORRUPT',
    advice: 'Stop Ferry and put a backup of the ledger in its place, or move it away to start a new one.',
  });
}

function maybeDigest(value: unknown): string | undefined {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : maybeText(value);
}

function maybeVerified(value: unknown): Receipt['verified'] | undefined {
  if (value === null || value === 'size' || value === 'checksum') return value ?? undefined;
  throw unreadable(value);
}

const FAULT_KINDS: Readonly<Record<FaultKind, true>> = {
  unreachable: true,
  rejected: true,
  transient: true,
  permanent: true,
  changed: true,
  vanished: true,
  skipped: true,
  aborted: true,
};

function isFaultKind(kind: string): kind is FaultKind {
  return Object.hasOwn(FAULT_KINDS, kind);
}
