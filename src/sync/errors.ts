/**
 * What went wrong, whose trouble it is, and what a person can do about it.
 *
 * Every error that crosses a module's boundary is a `Fault`. Its kind alone decides what happens next
 * (see `queue/policy.ts`); its message and advice are what a person reads. Neither ever holds a secret.
 */

export type FaultKind =
  /** The endpoint's, passing: no connection, or one that was cut. The endpoint is held and probed; no attempt is spent. */
  | 'unreachable'
  /** The endpoint's, lasting: login refused, host key changed, no such bucket. The endpoint stops until a person acts. */
  | 'rejected'
  /** The file's, passing: tried again later, and it counts. */
  | 'transient'
  /** The file's, lasting: no permission, a name the far side cannot hold, `conflict: fail`. Waits for a person. */
  | 'permanent'
  /** The source is no longer the version that is owed; that attempt is void and the new version will be due. */
  | 'changed'
  /** The source is no longer there. */
  | 'vanished'
  /** The remote name is taken by other content and the job says `conflict: skip`; left alone, on purpose. */
  | 'skipped'
  /** We were asked to stop. Nothing was decided. */
  | 'aborted';

export interface FaultOptions {
  /** A stable word for scripts and tests: an errno (`ECONNREFUSED`), an SFTP status, or one of ours (`HOST_KEY_CHANGED`). */
  readonly code?: string;
  /** One sentence: what it usually means. */
  readonly means?: string;
  /** One sentence: what to do next. */
  readonly advice?: string;
  readonly cause?: unknown;
  /** Set when no connection could be made at all, rather than one that was cut at work. */
  readonly during?: 'connect';
  /** Whose trouble it is, where that may be another endpoint than the one that the file goes to. */
  readonly endpoint?: string;
}

export class Fault extends Error {
  override readonly name = 'Fault';
  readonly kind: FaultKind;
  readonly code: string | undefined;
  readonly means: string | undefined;
  /** What to do next. */
  readonly next: string | undefined;
  /** What it usually means, and what to do next. */
  readonly advice: string | undefined;
  readonly during: 'connect' | undefined;
  readonly endpoint: string | undefined;

  constructor(kind: FaultKind, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.code = options.code;
    this.means = options.means;
    this.next = options.advice;
    const { means, advice } = options;
    this.advice = means === undefined || advice === undefined ? (means ?? advice) : `${means} ${advice}`;
    this.during = options.during;
    this.endpoint = options.endpoint;
  }
}

/** True for faults that belong to the endpoint rather than to one file. */
export function isEndpointFault(fault: Fault): boolean {
  return fault.kind === 'unreachable' || fault.kind === 'rejected';
}

/** The errno or library code of an unknown error, when it has one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  const { code } = error;
  return typeof code === 'string' ? code : typeof code === 'number' ? String(code) : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Makes a `Fault` of whatever was thrown; what nobody classified is the file's and passing. */
export function asFault(error: unknown, signal?: AbortSignal): Fault {
  if (error instanceof Fault) return error;
  if (signal?.aborted) return new Fault('aborted', 'stopped before it was done', { cause: error });
  const code = codeOf(error);
  return new Fault(
    'transient',
    messageOf(error),
    code === undefined ? { cause: error } : { cause: error, code },
  );
}

/** Throws the `aborted` fault (or the fault that the signal carries) when the signal has fired. */
export function throwIfAborted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  if (signal.reason instanceof Fault) throw signal.reason;
  throw new Fault('aborted', 'stopped before it was done', { cause: signal.reason });
}

/** The same fault, with the endpoint that it came from. */
export function faultAt(endpoint: string, fault: Fault): Fault {
  if (!isEndpointFault(fault) || fault.endpoint !== undefined) return fault;
  return changed(fault, { endpoint });
}

/** The same fault, with one more thing to do. */
export function faultWithNext(fault: Fault, then: string): Fault {
  return changed(fault, { advice: fault.next === undefined ? then : `${fault.next} ${then}` });
}

function changed(fault: Fault, changes: FaultOptions): Fault {
  const { cause, code, during, endpoint, kind, means, message, next } = fault;
  return new Fault(kind, message, {
    cause,
    ...(means === undefined ? {} : { means }),
    ...(next === undefined ? {} : { advice: next }),
    ...(code === undefined ? {} : { code }),
    ...(during === undefined ? {} : { during }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...changes,
  });
}
