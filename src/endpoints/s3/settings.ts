/** What `type: s3` takes in endpoints.yaml. Light: read at start, loads no SDK. Credentials come from the SDK's own chain. */

import { z } from 'zod';
import type { Values } from '../../config/values.ts';

const BUCKET = /^(?:[a-zA-Z0-9][a-zA-Z0-9._-]{2,254}|arn:[!-~]+)$/;
const MIB = 1024 ** 2;
/** S3 takes no smaller part, except as the last one. */
const SMALLEST_PART = 5 * MIB;
const LARGEST_PART = 512 * MIB;

export function s3Settings(values: Values) {
  return z.strictObject({
    bucket: z
      .string()
      .refine((text) => BUCKET.test(text), {
        error:
          'a bucket is written by its name alone, without s3:// and without a path; an access point by its alias or ARN',
      })
      .describe('Name of the bucket; or alias or ARN of an access point'),
    prefix: z
      .string()
      .default('')
      .transform(asFolder)
      .refine((prefix) => !prefix.split('/').slice(0, -1).some(isNoName), {
        error: 'a prefix is a folder in the bucket such as in/ or data/in/, without //, . and ..',
      })
      .describe('Folder in the bucket below which all paths lie, such as in/'),
    region: z
      .string()
      .refine((text) => /^[a-z0-9-]+$/.test(text), { error: 'a region is written as ap-northeast-1' })
      .optional()
      .describe("Of the bucket; default: AWS_REGION or the profile's"),
    profile: z.string().min(1).optional().describe('A profile of ~/.aws/config; default: AWS_PROFILE'),
    storageClass: z
      .string()
      .refine((text) => /^[A-Z0-9_-]+$/.test(text), {
        error: 'a storage class is written as STANDARD_IA or INTELLIGENT_TIERING',
      })
      .optional()
      .describe("Such as STANDARD_IA; default: the bucket's"),
    sseKmsKeyId: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Encrypt with this KMS key (SSE-KMS): its ARN, id or alias/NAME; default: the bucket's encryption",
      ),
    endpointUrl: z
      .string()
      .refine(isHttpUrl, { error: 'must be a URL such as https://s3.example.com' })
      .optional()
      .describe('Of an S3-compatible server or a VPC endpoint; default: AWS_ENDPOINT_URL_S3, or AWS itself'),
    forcePathStyle: z
      .boolean()
      .optional()
      .describe('Bucket in the path, not in the host name; default: true where an endpoint URL is set'),
    checksums: z
      .enum(['when_supported', 'when_required'])
      .optional()
      .describe(
        'Send SHA-256 checksums for S3 to verify; default: when_supported at AWS, when_required at other servers',
      ),
    partSize: values.size
      .prefault('8MiB')
      .refine((bytes) => bytes >= SMALLEST_PART && bytes <= LARGEST_PART, {
        error: 'a part has between 5MiB and 512MiB',
      })
      .describe('Larger files go in parts of this size (more, where there would be over 10,000)'),
    connections: z.int().min(1).max(256).default(32).describe('Requests at once'),
    connectTimeout: values.duration.prefault('10s').describe('For a connection to come about'),
    timeout: values.duration
      .prefault('60s')
      .describe('A request without a sign of life for so long is given up'),
  });
}

export type S3Settings = z.output<ReturnType<typeof s3Settings>>;

/** `/in` → `in/`. */
function asFolder(prefix: string): string {
  const bare = prefix.replace(/^\/+/, '');
  return bare === '' || bare.endsWith('/') ? bare : `${bare}/`;
}

function isNoName(part: string): boolean {
  return part === '' || part === '.' || part === '..';
}

/** Without a user and a query; a path would be one of the server's, which few have. */
function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, search } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && search === '';
}
