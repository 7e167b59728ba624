/** What `type: connector` takes in endpoints.yaml. Light: read at start, loads no SDK. Credentials come from the SDK's own chain. */

import { z } from 'zod';
import type { Values } from '../../config/values.ts';

/** https://docs.aws.amazon.com/transfer/latest/userguide/scale-and-limits-sftp-connector.html */
export const MOST_FILE_BYTES = 150 * 1024 ** 3;

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

export function connectorSettings(values: Values) {
  const bucket = z.strictObject({
    bucket: z
      .string()
      .refine((text) => BUCKET.test(text), {
        error: 'a bucket is written by its name alone, without s3:// and without a path',
      })
      .describe('A bucket that the access role of the connector may read and write'),
    prefix: z
      .string()
      .default('ferry-staging/')
      .describe('Folder in the bucket for what is on its way, such as staging/'),
  });
  return z.strictObject({
    connector: z
      .string()
      .refine((text) => /^c-[0-9a-f]{17}$/.test(text), {
        error: 'the id of a connector is written as c-0123456789abcdef0',
      })
      .describe('Id of an SFTP connector of AWS Transfer Family'),
    staging: z
      .union([z.string().min(1).describe('Name of an s3 endpoint'), bucket], {
        error: (issue) =>
          issue.input == null
            ? undefined
            : 'must be { bucket: NAME, prefix: FOLDER }, or the name of an s3 endpoint',
      })
      .describe(
        'Where files are put for the connector to take them: a bucket, or the name of an s3 endpoint',
      ),
    keepStaged: z
      .boolean()
      .default(false)
      .describe('Leave what was staged in the bucket, instead of deleting it once it has arrived'),
    remoteTemp: z
      .union([z.boolean(), z.string().min(1)])
      .default(false)
      .describe(
        'Send into a temporary folder and move from there, so that a file appears whole: true for .ferry-tmp beside the files, or a folder that exists at the partner ("." for the folder itself, under another name)',
      ),
    confirm: z
      .enum(['listing', 'result'])
      .default('listing')
      .describe(
        'How a size is confirmed: listing the folder at the partner, or (result) the word of the connector alone',
      ),
    region: z
      .string()
      .refine((text) => /^[a-z0-9-]+$/.test(text), { error: 'a region is written as ap-northeast-1' })
      .optional()
      .describe("Of the connector; default: AWS_REGION or the profile's"),
    profile: z.string().min(1).optional().describe('A profile of ~/.aws/config; default: AWS_PROFILE'),
    poll: values.duration
      .prefault('5s')
      .refine((ms) => ms > 0, { error: 'must be longer than that' })
      .describe('How soon a transfer is asked after; long ones less often'),
    unsure: values.duration
      .prefault('10m')
      .describe(
        'How long the partner is looked at for a file of which nobody knows whether it was sent, before it is sent again',
      ),
    listingTimeout: values.duration
      .prefault('2m')
      .describe('A listing of a folder at the partner that has not come by then is given up'),
    connections: z.int().min(1).max(256).default(32).describe('Files that are staged at once'),
    connectTimeout: values.duration.prefault('10s').describe('For a connection to AWS to come about'),
    timeout: values.duration
      .prefault('30s')
      .describe('A request to AWS without an answer for so long is given up'),
  });
}

export type ConnectorSettings = z.output<ReturnType<typeof connectorSettings>>;
