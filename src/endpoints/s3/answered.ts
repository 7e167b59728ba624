/** S3 has answered, and refused. What concerns the whole bucket comes first. */

import { type Case, CREDENTIALS, firstLine, hostOf, type Rule } from './fault-rule.ts';

export const ANSWERED: readonly Rule[] = [
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
    codes: /^$/,
    // A listing of the bucket was taken for a look at an object.
    when: ({ code }, { path }) => code === 'NoSuchKey' && path === undefined,
    kind: 'rejected',
    code: 'NO_BUCKET',
    why: (of) => `${hostOf(of)} takes ${of.where.bucket} for an object and not for a bucket`,
    advice: 'Write the server alone into endpointUrl, without the bucket.',
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
    advice: 'Make room there, or have the quota raised.',
  },
  {
    // A 403 as well.
    codes: /^InvalidObjectState$/,
    kind: 'permanent',
    why: () => 'it lies in an archive class and has to be restored first',
    advice: 'Restore it (aws s3api restore-object), then ferry retry.',
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
    advice: 'If it repeats, look at the memory of this host and at what lies between here and S3.',
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
    // radosgw, of an upload that was completed.
    when: ({ code }, { isOfUpload }) => isOfUpload === true && code === 'NoSuchKey',
    kind: 'transient',
    code: 'NO_UPLOAD',
    why: () => 'the upload is gone: somebody has aborted it, or a lifecycle rule has',
    advice: 'Ferry starts it anew.',
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

function deniedAdvice({ answer: { message }, doing }: Case): string {
  // … is not authorized to perform: s3:PutObject on resource: …
  const action = /not authorized to perform: ([\w-]+:[\w*]+)/.exec(message)?.[1] ?? doing.action;
  if (/explicit deny/i.test(message)) {
    return `A policy denies ${action} explicitly (of the bucket, the organization or a VPC endpoint): allowing it elsewhere does not help.`;
  }
  if (action.startsWith('kms:')) return `Allow ${action} on the KMS key, in its policy or in IAM.`;
  return `Allow ${action} to the user or role that Ferry runs as; the README has the least policy. Then ferry retry.`;
}

function skew(aheadMs: number): string {
  const minutes = Math.round(aheadMs / 60_000);
  return minutes === 0 ? '' : ` by ${Math.abs(minutes)} minutes (${minutes > 0 ? 'ahead' : 'behind'})`;
}
