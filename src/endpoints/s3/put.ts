/**
 * Sends a file in one request. It is read whole first and the source looked at again, so that nothing but one version
 * can be sent; S3 shows the object when it has all of it.
 */

import { hash } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import { type Receipt, SMALL_BYTES } from '../endpoint.ts';
import { type Job, metadataOf, receiptOf, type Stored, sourceChanged } from './job.ts';
import { lookAt } from './objects.ts';
import { prove } from './proof.ts';
import { type Condition, type Content, namesFor, whenTaken, write } from './taken.ts';

/** A name that is taken again and again between looking and writing. */
const MOST_RACES = 10;

export async function sendWhole(job: Job): Promise<Receipt> {
  const { bucket, sizeBytes, options } = job;
  using _room = await bucket.memory.bodies.take(sizeBytes, options.signal);
  const body = await readWhole(job);
  const sha256 = hash('sha256', body);
  await job.reader.recheck(options.signal, () => sha256);
  const content: Content = { sha256: async () => sha256, md5: async () => hash('md5', body) };
  for (const target of namesFor(job)) {
    for (let race = 0; race < MOST_RACES; race += 1) {
      const stored = await write(job, target, options.conflict === 'replace', (condition) =>
        put(job, target, body, sha256, condition),
      );
      if (stored !== 'taken') {
        const sent = { sha256, checksum: toBase64(sha256), tag: () => hash('md5', body) };
        const verified = await prove(job, target, stored, sent);
        options.progress(sizeBytes);
        return receiptOf(job, target, stored, { sha256, verified });
      }
      const head = await lookAt(bucket, target, options.signal);
      if (head === undefined) continue; // it was removed meanwhile
      const receipt = await whenTaken(job, target, head, content);
      if (receipt !== undefined) return receipt;
      break;
    }
  }
  throw new Fault('transient', `${bucket.name}: ${printable(job.path)} is taken again and again`, {
    code: 'EEXIST',
  });
}

async function readWhole({ reader, source, sizeBytes, options }: Job): Promise<Buffer> {
  const { signal } = options;
  let body: Buffer;
  if (sizeBytes <= SMALL_BYTES) body = await reader.readAll(signal);
  else {
    const chunks: Buffer[] = [];
    for await (const chunk of reader.read(0, sizeBytes, signal)) chunks.push(chunk);
    body = Buffer.concat(chunks);
  }
  if (body.length !== sizeBytes) throw sourceChanged(source.path);
  return body;
}

function put(job: Job, target: FilePath, body: Buffer, sha256: string, condition: Condition) {
  const { bucket, options } = job;
  const doing = { verb: 'write', action: 's3:PutObject', path: target };
  const input = {
    ...bucket.at(target),
    ...bucket.storing,
    ...condition,
    Body: body,
    Metadata: metadataOf(job, sha256),
    ChecksumSHA256: toBase64(sha256),
  };
  return bucket.call(
    doing,
    options.signal,
    async (s3, http): Promise<Stored> =>
      (await bucket.client.quickPut.put(input, http.abortSignal)) ?? (await s3.putObject(input, http)),
  );
}

function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
