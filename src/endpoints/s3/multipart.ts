/**
 * Sends a large file in parts. Under its name there is what was there before, until all parts have arrived, the source
 * was looked at again and S3 was told to put them together.
 *
 * An attempt that is cut leaves its parts with S3; the next one goes on from there (note.ts). The SDK's lib-storage
 * cannot: its Upload keeps the upload's id to itself, aborts or forgets it, and starts every file anew.
 */

import { createHash } from 'node:crypto';
import { codeOf, Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Receipt } from '../endpoint.ts';
import { type Digests, digestsOf, type Job, receiptOf, type Stored, sourceChanged } from './job.ts';
import { noteText, parseNote } from './note.ts';
import { bareTag, lookAt } from './objects.ts';
import { PartSender, type SentParts } from './parts.ts';
import { prove } from './proof.ts';
import { type Condition, type Content, namesFor, whenTaken, write } from './taken.ts';
import { abandon, openUpload, partBytesFor, type Upload } from './uploads.ts';

/** A name that is taken again and again while the parts are sent. */
const MOST_RACES = 3;
/** After an attempt has failed, cleaning up may take so long. */
const CLEAN_UP_MS = 10_000;

export async function sendParts(job: Job): Promise<Receipt> {
  return await new PartedSend(job).run();
}

class PartedSend {
  readonly #job: Job;
  /** Of the source, once it is known. */
  #sha256: string | undefined;
  #digests: Digests | undefined;

  constructor(job: Job) {
    this.#job = job;
  }

  async run(): Promise<Receipt> {
    const { bucket, options } = this.#job;
    for (const target of namesFor(this.#job)) {
      for (let race = 0; race < MOST_RACES; race += 1) {
        const head =
          options.conflict === 'replace' ? undefined : await lookAt(bucket, target, options.signal);
        if (head === undefined) {
          const receipt = await this.#send(target);
          if (receipt !== 'taken') return receipt;
          continue;
        }
        const receipt = await whenTaken(this.#job, target, head, this.#content());
        if (receipt === undefined) break;
        await this.#forget();
        return receipt;
      }
    }
    throw new Fault('transient', `${bucket.name}: ${printable(this.#job.path)} is taken again and again`, {
      code: 'EEXIST',
    });
  }

  async #send(target: FilePath): Promise<Receipt | 'taken'> {
    const { source, reader, options } = this.#job;
    const upload = await openUpload(this.#job, target, async () =>
      source.near === true ? await this.#readDigests() : undefined,
    );
    const sender = new PartSender(this.#job, target, upload);
    let stored: Stored | 'taken';
    let sent: SentParts;
    try {
      sent = await sender.run();
      await reader.recheck(options.signal, () => sent.sha256);
      const { sha256 } = upload.note;
      if (sha256 !== undefined && sha256 !== sent.sha256) throw sourceChanged(source.path);
      stored = await this.#complete(target, upload, sent);
    } catch (error) {
      await this.#giveUp(upload, sender.count, error);
      throw error;
    } finally {
      this.#job.bucket.memory.uploads.delete(upload.note.uploadId);
    }
    this.#sha256 = sent.sha256;
    if (stored === 'taken') {
      await abandon(this.#job.bucket, upload.note, options.signal);
      return 'taken';
    }
    const verified = await prove(this.#job, target, stored, sent);
    return receiptOf(this.#job, target, stored, { sha256: sent.sha256, verified });
  }

  async #complete(target: FilePath, upload: Upload, sent: SentParts): Promise<Stored | 'taken'> {
    const { options } = this.#job;
    const complete = (condition: Condition) => this.#completeOnce(target, upload, sent, condition);
    try {
      const stored = await write(this.#job, target, options.conflict === 'replace', complete);
      if (stored !== 'taken') return stored;
      return (await this.#completedBefore(target, sent)) ?? 'taken';
    } catch (error) {
      if (codeOf(error) !== 'NO_UPLOAD') throw error;
      const stored = await this.#completedBefore(target, sent);
      if (stored === undefined) throw error;
      return stored;
    }
  }

  #completeOnce(target: FilePath, upload: Upload, sent: SentParts, condition: Condition): Promise<Stored> {
    const { bucket, options } = this.#job;
    const { key, uploadId } = upload.note;
    const input = {
      ...condition,
      Bucket: bucket.settings.bucket,
      Key: key,
      UploadId: uploadId,
      MultipartUpload: { Parts: [...sent.parts] },
    };
    const doing = { verb: 'write', action: 's3:PutObject', path: target, isOfUpload: true };
    return bucket.call(doing, options.signal, (s3, http) => s3.completeMultipartUpload(input, http));
  }

  /** The answer to an earlier try was lost on its way: what lies there has just these parts. */
  async #completedBefore(target: FilePath, sent: SentParts): Promise<Stored | undefined> {
    const { bucket, sizeBytes, options } = this.#job;
    const head = await lookAt(bucket, target, options.signal);
    if (head === undefined || head.ContentLength !== sizeBytes) return undefined;
    const tags = sent.parts.map((part) => Buffer.from(bareTag(part.ETag), 'hex'));
    const tag = `${createHash('md5').update(Buffer.concat(tags)).digest('hex')}-${sent.parts.length}`;
    return head.ChecksumSHA256 === sent.checksum || bareTag(head.ETag) === tag ? head : undefined;
  }

  #content(): Content {
    return {
      sha256: () => this.#digest(),
      md5: async () => {
        const hash = createHash('md5');
        const { reader, sizeBytes, options } = this.#job;
        for await (const chunk of reader.read(0, sizeBytes, options.signal)) {
          hash.update(chunk);
          reader.giveBack?.(chunk);
        }
        return hash.digest('hex');
      },
    };
  }

  async #digest(): Promise<string> {
    this.#sha256 ??= (await this.#readDigests()).whole;
    return this.#sha256;
  }

  async #readDigests(): Promise<Digests> {
    const { bucket, sizeBytes } = this.#job;
    this.#digests ??= await digestsOf(this.#job, partBytesFor(sizeBytes, bucket.settings.partSize));
    return this.#digests;
  }

  /** The file is there: what an earlier attempt had begun is for nothing. */
  async #forget(): Promise<void> {
    const { bucket, options } = this.#job;
    const before = parseNote(options.resume);
    if (before !== undefined) await abandon(bucket, before, options.signal).catch(() => undefined);
  }

  /** Keeps what the next attempt can go on with, and aborts the rest. The error says more than whatever goes wrong here. */
  async #giveUp(upload: Upload, parts: number, error: unknown): Promise<void> {
    const { bucket, options } = this.#job;
    const kind = error instanceof Fault ? error.kind : 'transient';
    const isOver = kind === 'changed' || kind === 'vanished' || kind === 'permanent' || kind === 'skipped';
    try {
      if (isOver) await abandon(bucket, upload.note, AbortSignal.timeout(CLEAN_UP_MS));
      else if (parts > upload.note.parts) await options.checkpoint(noteText({ ...upload.note, parts }));
    } catch {
      // The note that the ledger has is enough for `discard`.
    }
  }
}
