/** What S3 said when it refused, read out of whatever the SDK threw. */

import { Fault } from '../../sync/errors.ts';

/** Parts of an SDK exception (ServiceException of the SDK for JavaScript v3) that decide something here. */
export interface Answer {
  /**
   * S3's error code (`AccessDenied`), the SDK's name for its own errors (`TimeoutError`), or an errno (`ECONNRESET`);
   * `HTTP_502` where something else than S3 answered.
   */
  readonly code: string;
  /** HTTP status; undefined when there was no answer at all. */
  readonly status: number | undefined;
  readonly message: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of a region error. */
  readonly region: string | undefined;
  /** Of a clock error: how far this host is ahead, in ms. */
  readonly aheadMs: number | undefined;
}

const FIELDS = [
  'name',
  'code',
  '$metadata',
  '$response',
  'headers',
  'httpStatusCode',
  'Region',
  'RequestTime',
  'ServerTime',
];

/** Codes by which Node tells that a connection did not come about, or was lost. */
const NETWORK =
  /^(E(CONN(RESET|REFUSED|ABORTED)|PIPE|TIMEDOUT|HOSTUNREACH|HOSTDOWN|NETUNREACH|NETDOWN|ADDRNOTAVAIL|AI_AGAIN|NOTFOUND|PROTO)|ENOTFOUND|EAI_AGAIN|HPE_\w+|UND_ERR_\w+|ERR_(SSL|TLS)_\w+|ERR_STREAM_PREMATURE_CLOSE)$/;

/** Also of a Fault that was made of it. */
export function answerOf(error: unknown): Answer {
  if (error instanceof Fault && error.cause !== undefined) return answerOf(error.cause);
  const fields = fieldsOf(error);
  const metadata = fieldsOf(fields.$metadata);
  const headers = headersOf(fieldsOf(fields.$response).headers);
  const status = metadata.httpStatusCode;
  const errno = textOf(fields.code);
  const name = textOf(fields.name) ?? 'Error';
  // The SDK takes it for XML, and may fail at that.
  const isForeign = status !== undefined && (name === 'Error' || /html/.test(headers['content-type'] ?? ''));
  const message = error instanceof Error ? error.message : String(error);
  // A generic name hides the errno, e.g. of a TypeError or AggregateError of a failed connect.
  const own = status === undefined && errno !== undefined ? errno : name;
  return {
    code: isForeign ? `HTTP_${String(status)}` : own,
    status: typeof status === 'number' ? status : undefined,
    message: isForeign || /^Unknown(Error)?$/.test(message) ? '' : message || aggregated(error),
    headers,
    region:
      textOf(fields.Region) ??
      headers['x-amz-bucket-region'] ??
      /expecting '([a-z0-9-]+)'/.exec(message)?.[1],
    aheadMs: aheadMs(fields),
  };
}

/** True when nothing was answered because of the connection. */
export function isNetworkTrouble(answer: Answer): boolean {
  if (answer.status !== undefined) return false;
  return (
    NETWORK.test(answer.code) ||
    answer.code === 'TimeoutError' ||
    /socket hang up|aborted/.test(answer.message)
  );
}

/** What `headObject` and `getObject` answer for a key that is not there. */
export function isMissing(error: unknown): boolean {
  const { code, status } = answerOf(error);
  return code === 'NoSuchKey' || code === 'NotFound' || (status === 404 && code === 'Unknown');
}

/** A condition of the request (`If-Match`, `If-None-Match`) does not hold. */
export function isPreconditionFailed(error: unknown): boolean {
  const { code, status } = answerOf(error);
  return code === 'PreconditionFailed' || status === 412;
}

/** Another conditional write was under way: the same may be asked again. */
export function isConflict(error: unknown): boolean {
  const { code, status } = answerOf(error);
  return (
    status === 409 &&
    (code === 'ConditionalRequestConflict' || code === 'OperationAborted' || code === 'Conflict')
  );
}

export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(answerOf(error).code);
}

/** Node's errors of connects to several addresses have no text of their own. */
function aggregated(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map((each) => answerOf(each).message).join('; ') : '';
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(ownFields(value)) : {};
}

function* ownFields(value: object): Generator<[string, unknown]> {
  // `name` is inherited, `$response` is not enumerable.
  for (const key of FIELDS) {
    if (key in value) yield [key, Reflect.get(value, key)];
  }
}

/** `RequestTime` is written as 20261122T020000Z, as it was signed. */
function aheadMs({ RequestTime, ServerTime }: Readonly<Record<string, unknown>>): number | undefined {
  if (typeof RequestTime !== 'string' || typeof ServerTime !== 'string') return undefined;
  const iso = RequestTime.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const ms = Date.parse(iso) - Date.parse(ServerTime);
  return Number.isNaN(ms) ? undefined : ms;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function headersOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {};
  const pairs = Object.entries(value).flatMap(([name, text]) =>
    typeof text === 'string' ? [[name.toLowerCase(), text] as const] : [],
  );
  return Object.fromEntries(pairs);
}
