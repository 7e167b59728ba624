/** What the service's model says of the requests that are used here: what is needed, how long, of what form. */

import { z } from 'zod';
import { Refusal } from './refusal.ts';

const ConnectorId = z.string().regex(/^c-([0-9a-f]{17})$/);
/** FilePath: `(.)+`, which does not match line breaks. */
const FilePath = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^[^\n\r\u0085\u2028\u2029]+$/);
const FilePaths = z.array(FilePath).min(1).max(10);
const TransferId = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[0-9a-zA-Z./-]+$/);

export const REQUESTS = {
  StartFileTransfer: z.object({
    ConnectorId,
    SendFilePaths: FilePaths.optional(),
    RetrieveFilePaths: FilePaths.optional(),
    LocalDirectoryPath: FilePath.optional(),
    RemoteDirectoryPath: FilePath.optional(),
  }),
  ListFileTransferResults: z.object({
    ConnectorId,
    TransferId,
    NextToken: z.string().min(1).max(6144).optional(),
    MaxResults: z.int().min(1).max(1000).optional(),
  }),
  TestConnection: z.object({ ConnectorId }),
  DescribeConnector: z.object({ ConnectorId }),
  StartRemoteMove: z.object({ ConnectorId, SourcePath: FilePath, TargetPath: FilePath }),
  StartRemoteDelete: z.object({ ConnectorId, DeletePath: FilePath }),
  StartDirectoryListing: z.object({
    ConnectorId,
    RemoteDirectoryPath: FilePath,
    OutputDirectoryPath: FilePath,
    MaxItems: z.int().min(1).max(10_000).default(1000),
  }),
} as const;

export type Action = keyof typeof REQUESTS;
export type Input<A extends Action> = z.output<(typeof REQUESTS)[A]>;

/** @throws Refusal InvalidRequestException */
export function parseRequest<A extends Action>(action: A, body: string): Input<A> {
  const parsed = REQUESTS[action].safeParse(JSON.parse(body === '' ? '{}' : body));
  if (parsed.success) return parsed.data as Input<A>;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new Refusal(
    'InvalidRequestException',
    `1 validation error detected: Value at '${where}' failed to satisfy constraint: ${issue?.message ?? ''}`,
  );
}

export function isAction(name: string): name is Action {
  return name in REQUESTS;
}

/** `/bucket/key` or `bucket/key`. */
export function objectOf(path: string): { readonly Bucket: string; readonly Key: string } {
  const [, Bucket, Key] = /^\/?([^/]+)\/(.*)$/.exec(path) ?? [];
  if (Bucket === undefined || Key === undefined)
    throw new Refusal('InvalidRequestException', `Invalid path: ${path}`);
  return { Bucket, Key };
}
