/**
 * The one place where what Transfer Family's API, the SDK and the network say becomes a Fault: whose trouble it is, and
 * what to do. What the connector says of one file is in failures.ts.
 *
 * https://docs.aws.amazon.com/transfer/latest/APIReference/CommonErrors.html
 */

import { Fault, type FaultKind } from '../../sync/errors.ts';
import { type Answer, answerOf, isThrottled } from './answer.ts';

/** Asked for too much; the same may be asked again later. */
export class Throttled extends Fault {
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, cause?: unknown) {
    super('unreachable', message, { code: 'THROTTLED', cause });
    this.retryAfterMs = retryAfterMs;
  }
}

/** Where the service does not say. */
const RETRY_AFTER_MS = 2_000;
/** Whatever it says, it is asked again after so long. */
const MOST_RETRY_AFTER_MS = 600_000;

const CREDENTIALS =
  'For the user that runs Ferry, set AWS_PROFILE (or profile in endpoints.yaml), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the instance or container a role.';

/** @param name of the endpoint @param action of the API, e.g. `StartFileTransfer` */
export function apiFault(error: unknown, name: string, connector: string, action: string): Fault {
  if (error instanceof Fault) return error;
  const answer = answerOf(error);
  const make = (kind: FaultKind, code: string, why: string, advice?: string): Fault =>
    new Fault(kind, `${name}: ${action} of ${connector} failed: ${why}`, {
      code,
      cause: error,
      ...(advice === undefined ? {} : { advice }),
    });
  if (isThrottled(answer)) {
    const message = `${name}: AWS asks for fewer requests (${action}: ${answer.code})`;
    const afterMs = Math.min(answer.retryAfterMs ?? RETRY_AFTER_MS, MOST_RETRY_AFTER_MS);
    return new Throttled(message, afterMs, error);
  }
  return (
    (answer.status === undefined ? unanswered(answer, make) : undefined) ?? answered(answer, action, make)
  );
}

type Make = (kind: FaultKind, code: string, why: string, advice?: string) => Fault;

function unanswered({ code, message }: Answer, make: Make): Fault | undefined {
  if (/Credentials\w*Error|TokenProviderError/.test(code))
    return make(
      'rejected',
      'NO_CREDENTIALS',
      `there are no AWS credentials (${firstLine(message)})`,
      CREDENTIALS,
    );
  if (/Region is missing/i.test(message))
    return make('rejected', 'NO_REGION', 'no region is set', 'Set region in endpoints.yaml, or AWS_REGION.');
  if (/^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_)/.test(code))
    return make(
      'rejected',
      'TLS_CERTIFICATE',
      `the certificate of AWS is not accepted: ${firstLine(message)}`,
      'Something on the way opens TLS: NODE_EXTRA_CA_CERTS=/path/to/ca.pem makes its authority known.',
    );
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return make(
      'unreachable',
      code,
      firstLine(message),
      'Is the region right, and does this host have DNS? Without internet, Transfer Family is reached by an interface endpoint (AWS_ENDPOINT_URL_TRANSFER).',
    );
  if (code === 'TimeoutError' || /^E[A-Z]+$/.test(code) || /socket hang up|aborted/.test(message))
    return make('unreachable', code === 'TimeoutError' ? 'ETIMEDOUT' : code, firstLine(message));
  return undefined;
}

/** What concerns the whole endpoint, unless it is about this very request. */
function answered({ code, status, message }: Answer, action: string, make: Make): Fault {
  const said = firstLine(message);
  if (/AccessDenied|NotAuthorized|UnauthorizedOperation/.test(code) || status === 403) {
    const skewed = clockFault(said, make);
    if (skewed !== undefined) return skewed;
    if (/InvalidClientTokenId|UnrecognizedClient|InvalidSignature|SignatureDoesNotMatch/.test(code))
      return make('rejected', 'LOGIN_REFUSED', `the credentials are refused: ${code}`, CREDENTIALS);
    const denied = /not authorized to perform: ([\w-]+:[\w*]+)/.exec(said)?.[1] ?? `transfer:${action}`;
    return make('rejected', 'EACCES', `access denied: ${said}`, deniedAdvice(denied, said));
  }
  const skewed = clockFault(said, make);
  if (skewed !== undefined) return skewed;
  if (/ExpiredToken/.test(code))
    return make(
      'rejected',
      'CREDENTIALS_EXPIRED',
      'the credentials have expired',
      'Log in again, or use a role.',
    );
  if (/UnrecognizedClient|InvalidSignature|InvalidClientTokenId|MissingAuthentication/.test(code))
    return make('rejected', 'LOGIN_REFUSED', `the credentials are refused: ${code}`, CREDENTIALS);
  if (code === 'ResourceNotFoundException')
    return make(
      'rejected',
      'NO_CONNECTOR',
      said,
      'Is connector right in endpoints.yaml, and region? `aws transfer list-connectors` shows those of the region.',
    );
  if (status !== undefined && status >= 500) return make('unreachable', code, `${code}: ${said}`);
  if (code === 'InvalidRequestException' || code === 'ValidationException')
    return make('permanent', 'EINVAL', said, 'Correct what it names, then ferry retry.');
  return make('transient', code, `${code}: ${said}`);
}

/** `Signature expired: …`, `Signature not yet current: …`, RequestTimeTooSkewed */
function clockFault(message: string, make: Make): Fault | undefined {
  if (!/Signature expired|not yet current|RequestTimeTooSkewed/i.test(message)) return undefined;
  return make(
    'rejected',
    'CLOCK_SKEW',
    `the clock of this host is wrong (${message})`,
    'Set the clock, and have it kept right (chrony, systemd-timesyncd).',
  );
}

function deniedAdvice(action: string, message: string): string {
  if (/explicit deny/i.test(message))
    return `A policy denies ${action} explicitly (an SCP, a boundary, a VPC endpoint’s policy): allowing it elsewhere does not help.`;
  return `Allow ${action} to the user or role that Ferry runs as; the README has the least policy.`;
}

export function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').slice(0, 500);
}
