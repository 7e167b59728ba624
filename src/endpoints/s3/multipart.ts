/**
 * Sends a large file in parts. Under its name there is what was there before, until all parts have arrived, the source
 * was looked at again and S3 was told to put them together.
 *
 * An attempt that is cut leaves its parts with S3; the next one goes on from there (note.ts). The SDK's lib-storage
 * cannot: its Upload keeps the upload's id to itself, aborts or forgets it, and starts every file anew.
 */

import { createHash, hash } from 'node:crypto';
import { codeOf, Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Receipt } from '../endpoint.ts';
import { isCode } from './answer.ts';
import { type Digests, digestsOf, type Job, receiptOf, type Stored, sourceChanged } from './job.ts';
import { isAbout, type Note, noteText, parseNote, type Whole } from './note.ts';
import { bareTag, type Head, lookAt } from './objects.ts';
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
    const before = await this.#arrivedBefore(target);
    if (before !== undefined) return before;
    const upload = await openUpload(this.#job, target, async () =>
      source.near === true ? await this.#readDigests() : undefined,
    );
    const sender = new PartSender(this.#job, target, upload);
    let { note } = upload;
    let stored: Stored | 'taken';
    let sent: SentParts;
    try {
      sent = await sender.run();
      await reader.recheck(options.signal, () => sent.sha256);
      const { sha256 } = upload.note;
      if (sha256 !== undefined && sha256 !== sent.sha256) throw sourceChanged(source.path);
      note = { ...note, parts: sender.count, whole: wholeOf(sent) };
      if (upload.note.whole === undefined) await options.checkpoint(noteText(note));
      stored = await this.#complete(target, upload, sent);
    } catch (error) {
      await this.#giveUp({ ...note, parts: Math.max(note.parts, sender.count) }, upload.note, error);
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
      return (await this.#find(target, wholeOf(sent))) ?? 'taken';
    } catch (error) {
      if (codeOf(error) !== 'NO_UPLOAD') throw error;
      const stored = await this.#find(target, wholeOf(sent));
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

  /** The answer to an earlier try was lost on its way, or came too late: what lies there has just these parts. */
  async #find(target: FilePath, whole: Whole): Promise<Head | undefined> {
    const { bucket, sizeBytes, options } = this.#job;
    const head = await lookAt(bucket, target, options.signal);
    if (head === undefined || head.ContentLength !== sizeBytes) return undefined;
    return head.ChecksumSHA256 === whole.checksum || bareTag(head.ETag) === whole.tag ? head : undefined;
  }

  /** An earlier attempt had S3 put all parts together, and did not live to hear of it. */
  async #arrivedBefore(target: FilePath): Promise<Receipt | undefined> {
    const { bucket, source, reader, options } = this.#job;
    const note = parseNote(options.resume);
    if (note?.whole === undefined || !isAbout(note, bucket.at(target).Key, source.version)) return undefined;
    const { sha256, checksum } = note.whole;
    // Who may not look at objects sends it again.
    const stored = await this.#find(target, note.whole).catch((error: unknown) => {
      if (codeOf(error) !== 'EACCES') throw error;
    });
    if (stored === undefined) return undefined;
    await reader.recheck(options.signal, async () => sha256);
    await this.#forget();
    const verified = await prove(this.#job, target, stored, { sha256, checksum, tag: () => undefined });
    options.progress(this.#job.sizeBytes);
    return receiptOf(this.#job, target, stored, { sha256, verified });
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
  async #giveUp(note: Note, kept: Note, error: unknown): Promise<void> {
    const { bucket, options } = this.#job;
    const kind = error instanceof Fault ? error.kind : 'transient';
    const isOver = kind === 'changed' || kind === 'vanished' || kind === 'permanent' || kind === 'skipped';
    // What S3 cannot put together now, it will not put together later.
    const isSpoilt = isCode(error, 'InvalidPart', 'InvalidPartOrder', 'EntityTooSmall', 'InvalidRequest');
    try {
      if (isOver || isSpoilt) await abandon(bucket, note, AbortSignal.timeout(CLEAN_UP_MS));
      else if (note.parts > kept.parts) await options.checkpoint(noteText(note));
    } catch {
      // The note that the ledger has is enough for `discard`.
    }
  }
}

function wholeOf({ parts, sha256, checksum }: SentParts): Whole {
  const tags = parts.map((part) => Buffer.from(bareTag(part.ETag), 'hex'));
  return { sha256, checksum, tag: `${hash('md5', Buffer.concat(tags))}-${parts.length}` };
}
