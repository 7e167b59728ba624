/** A session with the double, for tests of what S3 itself does, or what goes wrong with it. */

import type { Receipt, SendOptions, SourceFile } from '../../../src/endpoints/endpoint.ts';
import type { S3Session } from '../../../src/endpoints/s3/session.ts';
import { options } from '../../contract/endpoint/kit.ts';
import { type S3Double, startS3Double } from '../../support/s3-double.ts';
import { awsUrl, s3, useCredentials } from './kit.ts';

export const never = new AbortController().signal;
export const calm = { signal: never };
export const MIB = 1024 ** 2;

export interface DoubleSetup extends AsyncDisposable {
  readonly double: S3Double;
  readonly session: S3Session;
  readonly warnings: readonly string[];
  /** Another session of an endpoint of its own, as after a restart. */
  again(): Promise<S3Session>;
  /** What was asked since the session began, oldest first, by operation. */
  asked(): readonly string[];
}

export interface DoubleSetupOptions {
  /** As AWS itself (default), or as another server. */
  readonly as?: 'aws' | 'other';
  readonly entry?: object;
}

export async function doubleSetup({ as = 'aws', entry = {} }: DoubleSetupOptions = {}): Promise<DoubleSetup> {
  await using undo = new AsyncDisposableStack();
  const double = undo.use(await startS3Double());
  useCredentials(double.user);
  const endpointUrl = as === 'aws' ? awsUrl(double) : double.url;
  const warnings: string[] = [];
  const open = async (): Promise<S3Session> => {
    const settings = {
      bucket: double.bucket,
      region: double.region,
      endpointUrl,
      partSize: '5MiB',
      ...entry,
    };
    return await s3(settings, { warn: (message) => warnings.push(message) }).connect(never);
  };
  const session = undo.use(await open());
  const before = double.requests.length;
  const owned = undo.move();
  return {
    double,
    session,
    warnings,
    again: async () => owned.use(await open()),
    asked: () => double.requests.slice(before).map(({ operation }) => operation),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Sends, and gives the receipt; the last checkpoint goes to `noted`. */
export async function send(
  session: S3Session,
  source: SourceFile,
  path: string,
  more: Partial<SendOptions> = {},
): Promise<Receipt> {
  const result = await session.send(source, path, options(more));
  if (result.state !== 'done') throw new Error('S3 answers at once');
  return result.receipt;
}

/** Keeps the last checkpoint, as the ledger does. */
export class Checkpoints {
  readonly all: string[] = [];
  readonly keep = async (note: string): Promise<void> => {
    this.all.push(note);
  };

  get last(): string | undefined {
    return this.all.at(-1);
  }
}
