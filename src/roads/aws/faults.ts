/** The one place where what AWS says of tunnels and keys becomes a Fault: whose trouble it is, and what to do. */

import { codeOf, Fault, type FaultKind, messageOf } from '../../sync/errors.ts';

/** What AWS answered, or what kept it from answering. */
export interface Answer {
  /** `AccessDenied`, `RequestLimitExceeded` …; or Node's own; or '' */
  readonly code: string;
  readonly message: string;
  readonly status?: number | undefined;
}

export interface Doing {
  /** To be read after "could not": `open a tunnel through eice-…`. */
  readonly doing: string;
  /** The IAM action that allows it. */
  readonly action?: string;
}

interface Rule {
  readonly is: RegExp;
  readonly kind: FaultKind;
  /** Ours. */
  readonly code: string;
  readonly means?: string;
  readonly advice: (doing: Doing) => string;
}

const LOG_IN =
  'Log in again (aws sso login), or renew the session token. For an unattended Ferry use a role, whose credentials renew themselves.';

const RULES: readonly Rule[] = [
  {
    is: /^(CredentialsProviderError|ProviderError|TokenProviderError|AccessDeniedException: .*sso)$/,
    kind: 'rejected',
    code: 'AWS_CREDENTIALS',
    means: 'There are no AWS credentials that could be used.',
    advice: () =>
      'Set AWS_PROFILE or AWS_ACCESS_KEY_ID …, or profile in endpoints.yaml; with SSO: aws sso login.',
  },
  {
    is: /^Region is missing/,
    kind: 'rejected',
    code: 'AWS_REGION',
    advice: () => 'Set region in endpoints.yaml, or AWS_REGION.',
  },
  {
    is: /^(ExpiredToken|ExpiredTokenException|TokenRefreshRequired|RequestExpired)$/,
    kind: 'rejected',
    code: 'AWS_CREDENTIALS',
    means: 'The AWS credentials have expired (or the clock of this host is wrong).',
    advice: () => LOG_IN,
  },
  {
    is: /^(AuthFailure|InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature|MissingAuthenticationToken(Exception)?)$/,
    kind: 'rejected',
    code: 'AWS_CREDENTIALS',
    means: 'AWS does not accept the credentials.',
    advice: () => 'Try them by hand: aws sts get-caller-identity. A wrong clock has the same effect.',
  },
  {
    is: /^(AccessDenied|AccessDeniedException|UnauthorizedOperation|AuthException)$/,
    kind: 'rejected',
    code: 'AWS_DENIED',
    advice: ({ action = 'the action' }) =>
      `A policy of this user or role must allow ${action}, and none may deny it.`,
  },
  {
    is: /Throttl|^(RequestLimitExceeded|TooManyRequests(Exception)?|ServiceQuotaExceeded(Exception)?|LimitExceeded(Exception)?|ConnectionLimitExceeded)$/,
    kind: 'unreachable',
    code: 'AWS_THROTTLED',
    means: 'The account asks too often, or too many tunnels are open: an endpoint takes 20 at once.',
    advice: () =>
      'It is tried again by itself. Fewer connections in endpoints.yaml, or another endpoint, may help.',
  },
  {
    is: /^(InvalidInstanceID\.(NotFound|Malformed)|EC2InstanceNotFoundException|InvalidInstanceConnectEndpointId\.(NotFound|Malformed)|ResourceNotFoundException|ResourceNotFound)$/,
    kind: 'rejected',
    code: 'AWS_NOT_FOUND',
    advice: () => 'Is it the right id, the right region, the right account? Correct it in endpoints.yaml.',
  },
  {
    is: /^EC2Instance(StateInvalid|Unavailable)Exception$/,
    kind: 'unreachable',
    code: 'AWS_NOT_RUNNING',
    advice: () => 'Is the instance running? It is tried again by itself.',
  },
  {
    is: /^(InvalidArgsException|EC2InstanceTypeInvalidException|InvalidParameter(Value|Combination)?|ValidationException|ValidationError)$/,
    kind: 'rejected',
    code: 'AWS_REFUSED',
    advice: () => 'Correct road and ephemeralKey in endpoints.yaml.',
  },
];

/** @param error what the SDK threw, or an Answer */
export function awsFault(error: unknown, doing: Doing): Fault {
  if (error instanceof Fault) return error;
  const { code, message, status } = answerOf(error);
  const rule =
    RULES.find(({ is }) => is.test(code)) ?? RULES.find(({ is }) => is.test(message)) ?? other(status);
  // Of what AWS says of a signature, the further lines hold the session token.
  const said = (message.split('\n')[0] ?? '').slice(0, 300);
  const { kind, means, advice } = rule;
  const what = [code, said].filter((part) => part !== '').join(': ');
  return new Fault(kind, `could not ${doing.doing}${what === '' ? '' : `: ${what}`}`, {
    code: rule.code,
    cause: code,
    advice: advice(doing),
    ...(means === undefined ? {} : { means }),
  });
}

/** Where the code says nothing that we know, the status does. */
function other(status: number | undefined): Rule {
  const rule = (code: string): Rule | undefined => RULES.find((each) => each.code === code);
  const known =
    status === 429
      ? rule('AWS_THROTTLED')
      : status === 401 || status === 403
        ? rule('AWS_DENIED')
        : status === 404
          ? rule('AWS_NOT_FOUND')
          : undefined;
  if (known !== undefined) return known;
  const theirs = status === undefined || status >= 500;
  return {
    is: /(?:)/,
    kind: theirs ? 'unreachable' : 'rejected',
    code: theirs ? 'AWS_UNREACHABLE' : 'AWS_REFUSED',
    advice: () =>
      theirs
        ? 'Can this host reach the AWS services (a route, a proxy, a VPC endpoint)? It is tried again by itself.'
        : 'Correct road and ephemeralKey in endpoints.yaml.',
  };
}

function answerOf(error: unknown): Answer {
  if (isAnswer(error)) return error;
  const name =
    error instanceof Error && error.name !== 'Error' && error.name !== 'TypeError' ? error.name : '';
  const metadata =
    typeof error === 'object' && error !== null && '$metadata' in error ? error.$metadata : undefined;
  const status =
    typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata
      ? metadata.httpStatusCode
      : undefined;
  return {
    code: name === '' ? (codeOf(error) ?? '') : name,
    message: messageOf(error),
    ...(typeof status === 'number' ? { status } : {}),
  };
}

function isAnswer(error: unknown): error is Answer {
  return (
    typeof error === 'object' &&
    error !== null &&
    !(error instanceof Error) &&
    'code' in error &&
    'message' in error
  );
}
