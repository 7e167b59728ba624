/**
 * Sends a file straight under its final name, where the server renames nothing: one handle, in order, nothing to
 * resume. Transfer Family shows such a file when it is closed; elsewhere a part of it is seen until then, and what is
 * left of it after a fault is removed while the link lives, or by the next attempt.
 */

import { createHash } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import { type Receipt, SMALL_BYTES, type SourceReader } from '../endpoint.ts';
import type { Job, Uploaded } from './job.ts';
import { kindOf } from './kinds.ts';
import { lookAt } from './publish.ts';
import type { Targets } from './targets.ts';
import { openInFolder } from './temp.ts';
import { noteDirect, removeTorn } from './torn.ts';
import { uploadLarge } from './upload-large.ts';
import { expectSize, uploadSmall } from './upload-small.ts';
import { closing, finish, receiptFor, verify } from './verify.ts';
import { FLAG, type Handle } from './wire.ts';

/** Errors are Faults. */
export async function sendDirectly(job: Job, reader: SourceReader, targets: Targets): Promise<Receipt> {
  await removeTorn(job, reader);
  for (;;) {
    const target = await targets.find();
    if ('receipt' in target) return target.receipt;
    await noteDirect(job, target.path);
    const sending = new DirectSending(job, reader, target.path);
    if (await sending.run()) return sending.receipt();
  }
}

class Taken extends Error {}

class DirectSending {
  readonly #job: Job;
  readonly #reader: SourceReader;
  readonly #path: FilePath;
  #opened = false;
  #uploaded: Uploaded = { sha256: '' };

  constructor(job: Job, reader: SourceReader, path: FilePath) {
    this.#job = job;
    this.#reader = reader;
    this.#path = path;
  }

  /** False when the name was taken meanwhile. */
  async run(): Promise<boolean> {
    const { remote, sizeBytes } = this.#job;
    try {
      this.#uploaded =
        sizeBytes <= SMALL_BYTES
          ? await uploadSmall(this.#job, this.#reader, () => this.#open(), { sourceFirst: true })
          : await this.#large();
      const there = await lookAt(remote, this.#path);
      expectSize(this.#job, there?.sizeBytes ?? 0);
      await verify(this.#job, this.#path, this.#uploaded);
      return true;
    } catch (error) {
      if (error instanceof Taken) return false;
      if (this.#opened && remote.link.broken === undefined) {
        await remote.wire.remove(this.#path).catch(() => undefined);
      }
      throw error;
    }
  }

  receipt(): Receipt {
    return receiptFor(this.#job, this.#path, this.#uploaded);
  }

  async #large(): Promise<Uploaded> {
    const { remote, options } = this.#job;
    const job: Job = { ...this.#job, helpers: [] };
    const hash = createHash('sha256');
    const handle = await this.#open();
    await closing(job, handle, async () => {
      await uploadLarge({
        job,
        reader: this.#reader,
        handle,
        file: this.#path,
        start: 0,
        hash,
        note: undefined,
      });
      await this.#reader.recheck(options.signal, () => hash.copy().digest('hex'));
      await finish(job, handle, !remote.traits.commitsAtClose);
    });
    return { sha256: hash.digest('hex') };
  }

  async #open(): Promise<Handle> {
    const { remote, options } = this.#job;
    const replace = options.conflict === 'replace';
    const flags = FLAG.write | FLAG.create | (replace ? FLAG.truncate : FLAG.exclusive);
    const open = (): Promise<Handle> => remote.wire.open(this.#path, flags, options.mode);
    try {
      const handle = await openInFolder(remote, this.#path, open);
      this.#opened = true;
      return handle;
    } catch (error) {
      if (remote.link.broken !== undefined) throw error;
      const there = await lookAt(remote, this.#path).catch(() => undefined);
      if (there === undefined) throw error;
      if (!replace) throw new Taken();
      if (kindOf(there) !== 'folder') throw error;
      throw new Fault('permanent', `${remote.name}: ${printable(this.#path)} is a folder there`, {
        code: 'EISDIR',
        cause: error,
        advice: 'Rename the folder there, or the file at the source; then ferry retry.',
      });
    }
  }
}
