/** What Transfer Family said when it refused, read out of whatever the SDK threw. */

export interface Answer {
  /** The service's error (`ThrottlingException`), the SDK's name for its own (`TimeoutError`), or an errno. */
  readonly code: string;
  /** HTTP status; undefined when there was no answer at all. */
  readonly status: number | undefined;
  readonly message: string;
  /** Of a ThrottlingException that says so, ms. */
  readonly retryAfterMs: number | undefined;
}

export function answerOf(error: unknown): Answer {
  const status = field(field(error, '$metadata'), 'httpStatusCode');
  const errno = field(error, 'code');
  const name = error instanceof Error ? error.name : 'Error';
  const said = field(error, 'Message');
  const retryAfter = Number(field(error, 'RetryAfterSeconds'));
  return {
    code: status === undefined && typeof errno === 'string' ? errno : name,
    status: typeof status === 'number' ? status : undefined,
    message: typeof said === 'string' ? said : messageOf(error),
    retryAfterMs: Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter * 1000 : undefined,
  };
}

/** The request cannot have been taken: it was refused, or never got out. */
export function isSurelyNotDone({ code, status }: Answer): boolean {
  if (status !== undefined) return status >= 400 && status < 500;
  return (
    /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|CERT_\w+|UNABLE_TO_\w+|SELF_SIGNED_\w+|DEPTH_ZERO_\w+|ERR_TLS_\w+)$/.test(
      code,
    ) || /Provider|Credentials/.test(code)
  );
}

export function isThrottled({ code, status }: Answer): boolean {
  return /^(Throttl|TooManyRequests|RequestLimitExceeded|SlowDown)/.test(code) || status === 429;
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value ? Reflect.get(value, name) : undefined;
}

/** Node's errors of connects to several addresses have no text of their own. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
