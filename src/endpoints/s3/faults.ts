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

/** Times of this host and of S3 may differ by 15 minutes. */
const MOST_SKEW_MINUTES = 15;

const REFUSED = new Set([
  'AccessDenied',
  'AllAccessDisabled',
  'Forbidden',
  'AccountProblem',
  'UnauthorizedAccess',
]);
const BAD_CREDENTIALS = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'InvalidToken',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
  'InvalidSecurity',
]);
const EXPIRED = new Set(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired']);
const SKEWED = new Set(['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture']);
const ELSEWHERE = new Set([
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'IncorrectEndpoint',
]);
const DAMAGED = new Set([
  'BadDigest',
  'InvalidDigest',
  'XAmzContentSHA256Mismatch',
  'XAmzContentChecksumMismatch',
]);
const THROTTLED = new Set([
  'SlowDown',
  'ServiceUnavailable',
  'TooManyRequests',
  'RequestLimitExceeded',
  'Throttling',
  'ThrottlingException',
]);
const FULL = new Set(['QuotaExceeded', 'InsufficientCapacity', 'EntityTooLarge', 'XMinioStorageFull']);
const UNOFFERED = new Set(['NotImplemented', 'MissingContentLength', 'UnsupportedOperation']);

export function s3Fault(error: unknown, doing: Doing, where: Where): Fault {
  if (error instanceof Fault) return error;
  const answer = answerOf(error);
  const make: Make = (kind, code, why, advice) =>
    new Fault(kind, `${where.name}: cannot ${what(doing, where)}: ${why}`, {
      code,
      cause: error,
      ...(advice === undefined ? {} : { advice }),
    });
  return (
    setupFault(answer, make) ??
    (isNetworkTrouble(answer) || isTls(answer) ? networkFault(answer, where, make) : undefined) ??
    bucketFault(answer, where, make) ??
    requestFault(answer, doing, make)
  );
}

type Make = (kind: FaultKind, code: string, why: string, advice?: string) => Fault;

function what({ verb, path }: Doing, { bucket }: Where): string {
  return path === undefined ? `${verb} bucket ${bucket}` : `${verb} ${printable(path)}`;
}

/** Nothing was sent, because something is missing here. */
function setupFault({ code, message }: Answer, make: Make): Fault | undefined {
  if (/CredentialsProviderError|TokenProviderError|CredentialsError/.test(code)) {
    return make(
      'rejected',
      'NO_CREDENTIALS',
      `there are no AWS credentials (${firstLine(message)})`,
      CREDENTIALS,
    );
  }
  if (/Region is missing/i.test(message)) {
    return make(
      'rejected',
      'NO_REGION',
      'no region is set',
      'Set region in endpoints.yaml, or AWS_REGION, or region in the profile.',
    );
  }
  return undefined;
}

const CREDENTIALS =
  'For the user that runs Ferry, set AWS_PROFILE (or profile in endpoints.yaml), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ' +
  'or give the instance or container a role; `aws sts get-caller-identity` run as that user must work.';

function isTls({ code, status }: Answer): boolean {
  return (
    status === undefined &&
    /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_|ERR_SSL_|EPROTO|HOSTNAME_MISMATCH)/.test(code)
  );
}

function networkFault(answer: Answer, { host, bucket }: Where, make: Make): Fault {
  const { code, message } = answer;
  const place = host ?? 'the server';
  if (code === 'EPROTO' || /^ERR_SSL_(WRONG_VERSION|PACKET|TLSV1_UNRECOGNIZED)/.test(code)) {
    return make(
      'rejected',
      'NO_TLS',
      `${place} does not speak TLS on that port (${firstLine(message)})`,
      'Is endpointUrl right: http:// or https://, and the port?',
    );
  }
  if (isTls(answer)) {
    return make(
      'rejected',
      'TLS_CERTIFICATE',
      `the certificate of ${place} is not accepted: ${firstLine(message)}`,
      'A private CA is made known by NODE_EXTRA_CA_CERTS=/path/to/ca.pem in the environment of Ferry; on the public AWS names something on the way opens TLS.',
    );
  }
  if (code.startsWith('HPE_')) {
    return make(
      'rejected',
      'NO_HTTP',
      `${place} does not answer with HTTP (${firstLine(message)})`,
      'Is endpointUrl right: http:// or https://, and the port?',
    );
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return make(
      'unreachable',
      code,
      `${place} does not resolve`,
      `Is the region right, and does this host have DNS? In a network without internet, S3 is reached by a gateway or interface endpoint (endpointUrl).${bucket.includes('.') ? ' A bucket with dots in its name needs forcePathStyle: true.' : ''}`,
    );
  }
  if (code === 'TimeoutError' || code === 'ETIMEDOUT') {
    return make(
      'unreachable',
      'ETIMEDOUT',
      `${place} gave no sign of life in time`,
      'A firewall that drops in silence, a proxy that is needed, or no route: from a private subnet, S3 needs a gateway or interface endpoint.',
    );
  }
  return make(
    'unreachable',
    /^E[A-Z]+$/.test(code) ? code : 'ECONNRESET',
    `the connection to ${place} failed: ${firstLine(message)}`,
  );
}

/** What concerns every file of the bucket. */
function bucketFault(answer: Answer, { bucket }: Where, make: Make): Fault | undefined {
  const { code, status, message, region } = answer;
  if (code === 'NoSuchBucket') {
    return make(
      'rejected',
      'NO_BUCKET',
      `there is no bucket ${bucket}`,
      'Is its name right, and is it in this account (or partition, or server)? Ferry makes no buckets.',
    );
  }
  if (code === 'InvalidBucketName')
    return make(
      'rejected',
      'NO_BUCKET',
      `${bucket} is no name of a bucket`,
      'Write the name alone, without s3:// and without a path.',
    );
  if (ELSEWHERE.has(code) || status === 301) {
    if (region !== undefined) {
      return make(
        'rejected',
        'WRONG_REGION',
        `the bucket is in ${region}`,
        `Set region: ${region} in endpoints.yaml.`,
      );
    }
    return make(
      'rejected',
      'WRONG_REGION',
      `the bucket is in another region (${firstLine(message)})`,
      'Set region in endpoints.yaml; `aws s3api head-bucket` tells which.',
    );
  }
  if (SKEWED.has(code)) {
    const minutes = Math.round((answer.aheadMs ?? 0) / 60_000);
    const by = minutes === 0 ? '' : ` by ${Math.abs(minutes)} minutes (${minutes > 0 ? 'ahead' : 'behind'})`;
    return make(
      'rejected',
      'CLOCK_SKEW',
      `the clock of this host is wrong${by}; S3 allows ${MOST_SKEW_MINUTES} minutes`,
      'Set the clock, and have it kept right (chrony, systemd-timesyncd).',
    );
  }
  if (EXPIRED.has(code)) {
    return make(
      'rejected',
      'CREDENTIALS_EXPIRED',
      'the credentials have expired',
      'Log in again (aws sso login), or renew the session token. For an unattended Ferry use a role, whose credentials renew themselves.',
    );
  }
  if (BAD_CREDENTIALS.has(code)) {
    return make(
      'rejected',
      'LOGIN_REFUSED',
      `the credentials are refused: ${code}`,
      `${code === 'SignatureDoesNotMatch' ? 'The secret key is wrong (a space too many?), or something on the way changes requests.' : 'The access key is unknown there: deleted, deactivated, or of another account or server.'} ${CREDENTIALS}`,
    );
  }
  if (code.startsWith('KMS.') || /^KMS/.test(code)) {
    return make(
      'rejected',
      'KMS',
      `the KMS key cannot be used: ${firstLine(message)}`,
      "Is sseKmsKeyId (or the bucket's default key) right, enabled, in the bucket's region, and does its key policy allow kms:GenerateDataKey and kms:Decrypt?",
    );
  }
  if (code === 'InvalidStorageClass')
    return make('rejected', 'STORAGE_CLASS', firstLine(message), 'Correct storageClass in endpoints.yaml.');
  return undefined;
}

/** What concerns this request, or this file. */
function requestFault(answer: Answer, doing: Doing, make: Make): Fault {
  const { code, status, message } = answer;
  const said = message === '' ? code : `${code}: ${firstLine(message)}`;
  if (REFUSED.has(code) || status === 403) {
    const action = deniedAction(message) ?? doing.action;
    return make(
      'permanent',
      'EACCES',
      `access denied${message === '' ? '' : `: ${firstLine(message)}`}`,
      deniedAdvice(action, message),
    );
  }
  if (THROTTLED.has(code) || status === 429 || status === 503)
    return make(
      'unreachable',
      'SLOW_DOWN',
      `S3 asks for fewer requests (${code})`,
      'Ferry slows down and tries again. If it lasts, lower connections, or spread the files over more prefixes.',
    );
  if (DAMAGED.has(code))
    return make(
      'transient',
      'CHECKSUM_MISMATCH',
      `what arrived is not what was sent (${code})`,
      'Ferry sends it again. If it repeats, look at the memory of this host and at what lies between here and S3.',
    );
  if (FULL.has(code)) {
    if (code === 'EntityTooLarge')
      return make('permanent', code, said, 'The server takes no file of this size (S3: 5 TB).');
    return make('transient', 'ENOSPC', said, 'Make room there, or have the quota raised; Ferry tries again.');
  }
  if (code === 'KeyTooLongError')
    return make('permanent', 'ENAMETOOLONG', said, 'Rename the file at the source.');
  if (code === 'NoSuchUpload')
    return make(
      'transient',
      'NO_UPLOAD',
      'the upload is gone: somebody aborted it, or a lifecycle rule did',
      'Ferry starts it anew.',
    );
  if (code === 'InvalidObjectState')
    return make(
      'permanent',
      code,
      'it lies in an archive class and has to be restored first',
      'Restore it (aws s3api restore-object), then ferry retry.',
    );
  if (UNOFFERED.has(code) || status === 501)
    return make(
      'permanent',
      'EOPNOTSUPP',
      `the server does not offer that (${said})`,
      'Set checksums: when_required in endpoints.yaml for S3-compatible servers.',
    );
  if (code === 'NoSuchKey' || status === 404)
    return make('permanent', 'ENOENT', `there is no such object (${said})`);
  if (status === undefined) return make('transient', code, said);
  // 5xx: InternalError and whatever a proxy on the way says; RequestTimeout (400): the body did not arrive in time.
  if (status >= 500 || code === 'RequestTimeout')
    return make('unreachable', code, `S3 answers ${status} ${said}`, 'Ferry tries again.');
  return make('transient', code, `S3 answers ${status} ${said}`);
}

/** `… is not authorized to perform: s3:PutObject on resource: …` */
function deniedAction(message: string): string | undefined {
  return /not authorized to perform: ([\w-]+:[\w*]+)/.exec(message)?.[1];
}

function deniedAdvice(action: string, message: string): string {
  if (/explicit deny/i.test(message)) {
    return `A policy denies ${action} explicitly (a bucket policy, an SCP, a VPC endpoint’s policy): allowing it elsewhere does not help.`;
  }
  if (action.startsWith('kms:')) return `Allow ${action} on the KMS key, in the key’s policy or in IAM.`;
  return `Allow ${action} to the user or role that Ferry runs as; the README has the least policy. Then ferry retry.`;
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').slice(0, 500);
}
