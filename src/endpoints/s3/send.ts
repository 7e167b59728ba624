/** Sends a file, in one request or in parts. The final name appears when S3 has all of it, and not before. */

import type { FilePath } from '../../sync/names.ts';
import type { Receipt, SendOptions, SourceFile } from '../endpoint.ts';
import type { Bucket } from './bucket.ts';
import { sendParts } from './multipart.ts';
import { sendWhole } from './put.ts';

/** Errors are Faults. */
export async function send(
  bucket: Bucket,
  source: SourceFile,
  path: FilePath,
  options: SendOptions,
): Promise<Receipt> {
  bucket.at(path); // a name that cannot be is refused before anything is read
  await using reader = await source.open(options.signal);
  const job = { bucket, source, reader, path, sizeBytes: source.version.sizeBytes, options };
  return await (job.sizeBytes <= bucket.settings.partSize ? sendWhole(job) : sendParts(job));
}
