/**
 * The one place where what S3, the SDK and the network say becomes a Fault: whose trouble it is, and what to do.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */

import { Fault, type FaultKind } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import { type Answer, answerOf, isNetworkTrouble } from './answer.ts';

/** Where a request went. */
export interface Where {
  /** The endpoint's name. */
  readonly name: string;
  readonly bucket: string;
  /** That the settings name. */
  readonly profile: string | undefined;
  /** Where requests go, as far as it is known by now: `s3.ap-northeast-1.amazonaws.com`. */
  readonly host: string | undefined;
}

/** What was asked. */
export interface Doing {
  /** e.g. `write`, `list` */
  readonly verb: string;
  /** The IAM action that allows it, for a refusal that does not say. */
  readonly action: string;
  /** Undefined for the bucket as a whole. */
  readonly path?: FilePath;
}

interface Case {
  readonly answer: Answer;
  readonly doing: Doing;
  readonly where: Where;
  /** S3's code and the first line of what it says. */
  readonly said: string;
}

interface Rule {
  /** Of S3's error codes, or Node's. */
  readonly codes: RegExp;
  /** Besides the codes. */
  readonly when?: (answer: Answer) => boolean;
  readonly kind: FaultKind;
  /** Ours; default S3's own. */
  readonly code?: string;
  why(of: Case): string;
  readonly advice?: string | ((of: Case) => string);
}

export function s3Fault(error: unknown, doing: Doing, where: Where): Fault {
  if (error instanceof Fault) return error;
  const answer = answerOf(error);
  const message = firstLine(answer.message);
  const of: Case = {
    answer,
    doing,
    where,
    said: message === '' ? answer.code : `${answer.code}: ${message}`,
  };
  const rules = answer.status === undefined ? UNANSWERED : ANSWERED;
  const rule = rules.find(({ codes, when }) => codes.test(answer.code) || when?.(answer) === true);
  const { kind, code, why, advice } = rule ?? otherwise(answer);
  const words = typeof advice === 'function' ? advice(of) : advice;
  const what = doing.path === undefined ? `bucket ${where.bucket}` : printable(doing.path);
  return new Fault(kind, `${where.name}: cannot ${doing.verb} ${what}: ${why(of)}`, {
    code: code ?? answer.code,
    cause: error,
    ...(words === undefined ? {} : { advice: words }),
  });
}

const CREDENTIALS =
  'For the user that runs Ferry, set AWS_PROFILE (or profile in endpoints.yaml), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ' +
  'or give the instance or container a role; `aws sts get-caller-identity` run as that user must work.';
const PROTOCOL = 'Is endpointUrl right: http:// or https://, and the port?';

/** Nothing was answered: something is missing here, or the connection failed. */
const UNANSWERED: readonly Rule[] = [
  {
    codes: /CredentialsProviderError|TokenProviderError|CredentialsError/,
    kind: 'rejected',
    code: 'NO_CREDENTIALS',
    why: ({ answer, where: { profile } }) =>
      `there are no AWS credentials${profile === undefined ? '' : ` in profile ${profile}`} (${firstLine(answer.message)})`,
    advice: CREDENTIALS,
  },
  {
    codes: /^$/,
    when: ({ message }) => /Region is missing/i.test(message),
    kind: 'rejected',
    code: 'NO_REGION',
    why: () => 'no region is set',
    advice: 'Set region in endpoints.yaml, or AWS_REGION, or region in the profile.',
  },
  {
    codes: /^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/,
    kind: 'rejected',
    code: 'NO_TLS',
    why: (of) => `${hostOf(of)} does not speak TLS on that port`,
    advice: PROTOCOL,
  },
  {
    codes: /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|ERR_TLS_|ERR_SSL_)/,
    kind: 'rejected',
    code: 'TLS_CERTIFICATE',
    why: (of) => `the certificate of ${hostOf(of)} is not accepted: ${firstLine(of.answer.message)}`,
    advice:
      'A private CA is made known by NODE_EXTRA_CA_CERTS=/path/to/ca.pem in the environment of Ferry; at AWS itself, something on the way opens TLS.',
  },
  {
    codes: /^HPE_/,
    kind: 'rejected',
    code: 'NO_HTTP',
    why: (of) => `${hostOf(of)} does not answer with HTTP (${firstLine(of.answer.message)})`,
    advice: PROTOCOL,
  },
  {
    codes: /^(ENOTFOUND|EAI_AGAIN)$/,
    kind: 'unreachable',
    why: (of) => `${hostOf(of)} does not resolve`,
    advice: ({ where }) =>
      'Is the region right, and does this host have DNS? From a network without internet, S3 is reached through a gateway or ' +
      `interface endpoint.${where.bucket.includes('.') ? ' A bucket with dots in its name needs forcePathStyle: true.' : ''}`,
  },
  {
    codes: /^(TimeoutError|ETIMEDOUT)$/,
    kind: 'unreachable',
    code: 'ETIMEDOUT',
    why: (of) => `${hostOf(of)} gave no sign of life in time`,
    advice:
      'A firewall that drops in silence, or no route: from a private subnet, S3 needs a gateway or interface endpoint.',
  },
  {
    codes: /^$/,
    when: isNetworkTrouble,
    kind: 'unreachable',
    why: (of) => `the connection to ${hostOf(of)} failed: ${firstLine(of.answer.message)}`,
  },
];

/** S3 has answered. What concerns the whole bucket first. */
const ANSWERED: readonly Rule[] = [
  {
    codes: /^HTTP_[1-4]/,
    kind: 'rejected',
    code: 'NO_S3',
    why: (of) => `${hostOf(of)} does not answer as S3 does (HTTP status ${of.answer.status})`,
    advice: 'Is endpointUrl right, or does a proxy on the way answer in its place?',
  },
  {
    codes: /^NoSuchBucket$/,
    kind: 'rejected',
    code: 'NO_BUCKET',
    why: ({ where }) => `there is no bucket ${where.bucket}`,
    advice: 'Is its name right, and is it in this account (or partition, or server)? Ferry makes no buckets.',
  },
  {
    codes: /^InvalidBucketName$/,
    kind: 'rejected',
    code: 'NO_BUCKET',
    why: ({ where }) => `${where.bucket} is no name of a bucket`,
    advice: 'Write the name alone, without s3:// and without a path.',
  },
  {
    codes:
      /^(PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|IncorrectEndpoint)$/,
    when: ({ status }) => status === 301,
    kind: 'rejected',
    code: 'WRONG_REGION',
    why: ({ answer, said }) =>
      answer.region === undefined
        ? `the bucket is in another region (${said})`
        : `the bucket is in ${answer.region}`,
    advice: ({ answer: { region } }) =>
      `Set region${region === undefined ? '' : `: ${region}`} in endpoints.yaml${region === undefined ? '; `aws s3api head-bucket` tells which' : ''}.`,
  },
  {
    codes: /^(RequestTimeTooSkewed|RequestExpired|RequestInTheFuture)$/,
    kind: 'rejected',
    code: 'CLOCK_SKEW',
    why: ({ answer }) => `the clock of this host is wrong${skew(answer.aheadMs ?? 0)}; S3 allows 15 minutes`,
    advice: 'Set the clock, and have it kept right (chrony, systemd-timesyncd).',
  },
  {
    codes: /^(ExpiredToken|ExpiredTokenException|TokenRefreshRequired)$/,
    kind: 'rejected',
    code: 'CREDENTIALS_EXPIRED',
    why: () => 'the credentials have expired',
    advice:
      'Log in again (aws sso login), or renew the session token. For an unattended Ferry use a role, whose credentials renew themselves.',
  },
  {
    codes: /^SignatureDoesNotMatch$/,
    kind: 'rejected',
    code: 'LOGIN_REFUSED',
    why: () => 'the credentials are refused: the signature is wrong',
    advice:
      'The secret key is wrong (cut, or with a space too many?), or something on the way changes requests.',
  },
  {
    codes:
      /^(InvalidAccessKeyId|InvalidToken|InvalidClientTokenId|UnrecognizedClientException|InvalidSecurity)$/,
    kind: 'rejected',
    code: 'LOGIN_REFUSED',
    why: ({ answer }) => `the credentials are refused: ${answer.code}`,
    advice: `The access key is unknown there: deleted, deactivated, or of another account or server. ${CREDENTIALS}`,
  },
  {
    codes: /^KMS/,
    kind: 'rejected',
    code: 'KMS',
    why: ({ said }) => `the KMS key cannot be used (${said})`,
    advice:
      "Is sseKmsKeyId (or the bucket's default key) right, enabled and in the bucket's region, and does its policy allow kms:GenerateDataKey and kms:Decrypt?",
  },
  {
    codes: /^InvalidStorageClass$/,
    kind: 'rejected',
    code: 'STORAGE_CLASS',
    why: ({ said }) => said,
    advice: 'Correct storageClass in endpoints.yaml.',
  },
  {
    codes: /^(QuotaExceeded|InsufficientCapacity|XMinioStorageFull)$/,
    kind: 'transient',
    code: 'ENOSPC',
    why: ({ said }) => `there is no room left (${said})`,
    advice: 'Make room there, or have the quota raised; Ferry tries again.',
  },
  {
    codes: /^(AccessDenied|AllAccessDisabled|Forbidden|AccountProblem|UnauthorizedAccess)$/,
    when: ({ status }) => status === 403,
    kind: 'permanent',
    code: 'EACCES',
    why: ({ answer: { message } }) => `access denied${message === '' ? '' : ` (${firstLine(message)})`}`,
    advice: deniedAdvice,
  },
  {
    codes: /^(SlowDown|ServiceUnavailable|TooManyRequests|RequestLimitExceeded|Throttl\w+)$/,
    when: ({ status }) => status === 429 || status === 503,
    kind: 'unreachable',
    code: 'SLOW_DOWN',
    why: ({ said }) => `S3 asks for fewer requests (${said})`,
    advice:
      'Ferry pauses and tries again. If it lasts, lower connections, or spread the files over more prefixes.',
  },
  {
    codes: /^(BadDigest|InvalidDigest|XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch)$/,
    kind: 'transient',
    code: 'CHECKSUM_MISMATCH',
    why: ({ answer }) => `what arrived is not what was sent (${answer.code})`,
    advice:
      'Ferry sends it again. If it repeats, look at the memory of this host and at what lies between here and S3.',
  },
  {
    codes: /^EntityTooLarge$/,
    kind: 'permanent',
    why: ({ said }) => said,
    advice: 'The server takes no file of this size.',
  },
  {
    codes: /^KeyTooLongError$/,
    kind: 'permanent',
    code: 'ENAMETOOLONG',
    why: ({ said }) => said,
    advice: 'Rename the file at the source.',
  },
  {
    codes: /^NoSuchUpload$/,
    kind: 'transient',
    code: 'NO_UPLOAD',
    why: () => 'the upload is gone: somebody has aborted it, or a lifecycle rule has',
    advice: 'Ferry starts it anew.',
  },
  {
    codes: /^InvalidObjectState$/,
    kind: 'permanent',
    why: () => 'it lies in an archive class and has to be restored first',
    advice: 'Restore it (aws s3api restore-object), then ferry retry.',
  },
  {
    codes: /^(NotImplemented|MissingContentLength|UnsupportedOperation)$/,
    kind: 'permanent',
    code: 'EOPNOTSUPP',
    why: ({ said }) => `the server does not offer that (${said})`,
    advice: 'For S3-compatible servers, set checksums: when_required in endpoints.yaml.',
  },
  {
    codes: /^NoSuchKey$/,
    when: ({ status }) => status === 404,
    kind: 'permanent',
    code: 'ENOENT',
    why: ({ said }) => `there is no such object (${said})`,
  },
  {
    // The body did not arrive in time; InternalError; and whatever a proxy on the way says.
    codes: /^RequestTimeout$/,
    when: ({ status = 0 }) => status >= 500,
    kind: 'unreachable',
    why: ({ answer, said }) => `S3 answers ${answer.status} (${said})`,
    advice: 'Ferry tries again.',
  },
];

/** What nobody classified is the file's and passing. */
function otherwise({ status }: Answer): Omit<Rule, 'codes'> {
  return {
    kind: 'transient',
    why: ({ said }) => (status === undefined ? said : `S3 answers ${status} (${said})`),
  };
}

function deniedAdvice({ answer: { message }, doing }: Case): string {
  // … is not authorized to perform: s3:PutObject on resource: …
  const action = /not authorized to perform: ([\w-]+:[\w*]+)/.exec(message)?.[1] ?? doing.action;
  if (/explicit deny/i.test(message)) {
    return `A policy denies ${action} explicitly (of the bucket, the organization or a VPC endpoint): allowing it elsewhere does not help.`;
  }
  if (action.startsWith('kms:')) return `Allow ${action} on the KMS key, in its policy or in IAM.`;
  return `Allow ${action} to the user or role that Ferry runs as; the README has the least policy. Then ferry retry.`;
}

function hostOf({ where }: Case): string {
  return where.host ?? 'the server';
}

function skew(aheadMs: number): string {
  const minutes = Math.round(aheadMs / 60_000);
  return minutes === 0 ? '' : ` by ${Math.abs(minutes)} minutes (${minutes > 0 ? 'ahead' : 'behind'})`;
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').slice(0, 500);
}
