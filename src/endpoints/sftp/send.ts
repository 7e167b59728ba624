/**
 * Sends a file: temporary, verify, rename; or straight under its final name where the server renames nothing.
 *
 * Whatever goes wrong while the link lives, the temporary is removed, unless a later attempt can go on from it.
 */

import { hash } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { Receipt, SourceReader } from '../endpoint.ts';
import { SMALL_BYTES } from '../endpoint.ts';
import { holds } from './digest.ts';
import type { Hasher } from './hasher.ts';
import { hashSource, type Job, setAttributes, type Uploaded } from './job.ts';
import { isFile } from './kinds.ts';
import { lookAt, type Published, publish } from './publish.ts';
import { explain } from './remote.ts';
import { noteFor, resumePoint } from './resume.ts';
import { candidate } from './taken.ts';
import { createTemp, openInFolder, removeIfThere, tempPath } from './temp.ts';
import { uploadLarge } from './upload-large.ts';
import { expectSize, uploadSmall } from './upload-small.ts';
import { FLAG, type Handle } from './wire.ts';

/** Names tried under `conflict: rename`. */
const MOST_NAMES = 10_000;
/** A name that is taken again and again between looking and renaming. */
const MOST_RACES = 10;

/** Errors are Faults. */
export async function send(job: Job): Promise<Receipt> {
  await using reader = await job.source.open(job.options.signal);
  const sending = new Sending(job, reader);
  return await sending.run();
}

/** Where a file may go, or that it is there already. */
type Target = { readonly path: FilePath } | { readonly receipt: Receipt };

class Sending {
  readonly #job: Job;
  readonly #reader: SourceReader;
  /** Of the source, once it is known. */
  #sha256: string | undefined;

  constructor(job: Job, reader: SourceReader) {
    this.#job = job;
    this.#reader = reader;
  }

  async run(): Promise<Receipt> {
    const { conflict, token } = this.#job.options;
    let target = await this.#target(0);
    if ('receipt' in target) return target.receipt;
    if (!this.#job.remote.memory.renames) return await this.#sendDirect(target.path);

    const temp = tempPath(this.#job.path, token);
    try {
      const uploaded = await this.#toTemp(temp);
      for (let race = 0; race < MOST_RACES; race += 1) {
        throwIfAborted(this.#job.options.signal);
        const result: Published = await publish(this.#job.remote, temp, target.path, {
          replace: conflict === 'replace',
          token,
        });
        if (result === 'published') return this.#receipt(target.path, uploaded.sha256);
        if (result === 'refused') {
          await removeIfThere(this.#job.remote, temp);
          return await this.#withoutRenames();
        }
        target = await this.#target(0);
        if ('receipt' in target) {
          await removeIfThere(this.#job.remote, temp);
          return target.receipt;
        }
      }
      throw new Fault(
        'transient',
        `${this.#job.remote.name}: ${printable(this.#job.path)} is taken again and again`,
        {
          code: 'EEXIST',
        },
      );
    } catch (error) {
      await this.#cleanUp(temp, error);
      throw error;
    }
  }

  async #withoutRenames(): Promise<Receipt> {
    const { remote } = this.#job;
    remote.memory.renames = false;
    remote.memory.warn(
      `${remote.name} does not let files be renamed: they are written under their final name, where a cut can leave a part of one`,
    );
    const target = await this.#target(0);
    return 'receipt' in target ? target.receipt : await this.#sendDirect(target.path);
  }

  /** Where to publish: under `replace` without looking; else the first name that is free, from the nth on. */
  async #target(from: number): Promise<Target> {
    const { remote, path, options } = this.#job;
    if (options.conflict === 'replace') return { path };
    for (let n = from; n < MOST_NAMES; n += 1) {
      throwIfAborted(options.signal);
      const name = candidate(path, n);
      const there = await lookAt(remote, name);
      if (there === undefined) return { path: name };
      if (isFile(there) && there.sizeBytes === this.#job.sizeBytes && (await this.#sameContent(name))) {
        return {
          receipt: { ...this.#receipt(name, await this.#digest()), verified: 'checksum', alreadyThere: true },
        };
      }
      if (options.conflict === 'skip') {
        throw new Fault(
          'skipped',
          `${remote.name} has another ${printable(path)}; left alone (conflict: skip)`,
          {
            code: 'EEXIST',
          },
        );
      }
      if (options.conflict === 'fail') {
        throw new Fault('permanent', `${remote.name} has another ${printable(path)} already`, {
          code: 'EEXIST',
          advice:
            'Remove or rename the file there, or set conflict to replace, skip or rename; then ferry retry.',
        });
      }
    }
    throw new Fault('permanent', `${remote.name}: ${MOST_NAMES} names like ${printable(path)} are taken`, {
      code: 'EEXIST',
    });
  }

  async #sameContent(path: FilePath): Promise<boolean> {
    const { remote, sizeBytes, options } = this.#job;
    const content = { path, bytes: sizeBytes, sha256: await this.#digest() };
    try {
      return await holds(remote, content, options.signal);
    } catch (error) {
      if (error instanceof Fault) throw error;
      return false; // it may not be read: as good as another
    }
  }

  async #digest(): Promise<string> {
    this.#sha256 ??=
      this.#job.sizeBytes <= SMALL_BYTES
        ? hash('sha256', await this.#reader.readAll(this.#job.options.signal))
        : await hashSource(this.#job, this.#reader);
    return this.#sha256;
  }

  async #toTemp(temp: FilePath): Promise<Uploaded> {
    const { remote, options, sizeBytes } = this.#job;
    const uploaded =
      sizeBytes <= SMALL_BYTES
        ? await uploadSmall(this.#job, this.#reader, () => createTemp(remote, temp, options.mode))
        : await this.#large(temp);
    await this.#verify(temp, uploaded);
    return uploaded;
  }

  async #large(temp: FilePath): Promise<Uploaded> {
    const { remote, options, helpers, sizeBytes } = this.#job;
    const newHasher = (): Hasher => remote.memory.hashing.hasher(sizeBytes);
    const resumed = await resumePoint(this.#job, this.#reader, temp, newHasher);
    using hasher = resumed?.hasher ?? newHasher();
    const start = resumed?.start ?? 0;
    const handle =
      resumed === undefined
        ? await createTemp(remote, temp, options.mode)
        : await openInFolder(remote, temp, () => remote.wire.open(temp, FLAG.write));
    options.progress(start);
    const note = (contiguous: number): Promise<void> =>
      options.checkpoint(noteFor(contiguous, helpers.length > 0));
    await this.#closing(handle, async () => {
      await note(start);
      await uploadLarge({ job: this.#job, reader: this.#reader, handle, file: temp, start, hasher, note });
      await this.#finish(handle, true);
    });
    await this.#reader.recheck(options.signal);
    return { sha256: await hasher.digest() };
  }

  /** Straight under the final name: one handle, in order, nothing to resume. */
  async #sendDirect(path: FilePath): Promise<Receipt> {
    const { remote, options, sizeBytes } = this.#job;
    const { wire } = remote;
    const replace = options.conflict === 'replace';
    const flags = FLAG.write | FLAG.create | (replace ? FLAG.truncate : FLAG.exclusive);
    const open = (): Promise<Handle> =>
      openInFolder(remote, path, () => wire.open(path, flags, options.mode));
    let opened = false;
    try {
      const openOnce = async (): Promise<Handle> => {
        const handle = await open();
        opened = true;
        return handle;
      };
      const uploaded =
        sizeBytes <= SMALL_BYTES
          ? await uploadSmall(this.#job, this.#reader, openOnce)
          : await this.#directLarge(path, openOnce);
      const there = await lookAt(remote, path);
      expectSize(this.#job, there?.sizeBytes ?? 0);
      await this.#verify(path, uploaded);
      return this.#receipt(path, uploaded.sha256);
    } catch (error) {
      if (opened && remote.link.broken === undefined) await wire.remove(path).catch(() => undefined);
      throw error;
    }
  }

  async #directLarge(path: FilePath, open: () => Promise<Handle>): Promise<Uploaded> {
    const { remote, options } = this.#job;
    const job: Job = { ...this.#job, helpers: [] };
    using hasher = remote.memory.hashing.hasher(job.sizeBytes);
    const handle = await open();
    await this.#closing(handle, async () => {
      await uploadLarge({ job, reader: this.#reader, handle, file: path, start: 0, hasher, note: undefined });
      await this.#reader.recheck(options.signal);
      await this.#finish(handle, !remote.traits.commitsAtClose);
    });
    return { sha256: await hasher.digest() };
  }

  /** Times, disk, size: what is asked of a handle whose writes are all confirmed, before it is closed. */
  async #finish(handle: Handle, canStat: boolean): Promise<void> {
    const { remote } = this.#job;
    const { wire, traits } = remote;
    try {
      const [, , stat] = await Promise.all([
        setAttributes(this.#job, handle),
        traits.sync ? wire.fsync(handle) : undefined,
        canStat ? wire.fstat(handle) : undefined,
      ]);
      if (stat !== undefined) expectSize(this.#job, stat.sizeBytes);
    } catch (error) {
      throw await explain(remote, error, 'write', this.#job.path, this.#job.sizeBytes);
    }
  }

  /** Runs `work` and closes the handle; an error of the close counts, unless there was one before. */
  async #closing(handle: Handle, work: () => Promise<void>): Promise<void> {
    const { wire } = this.#job.remote;
    try {
      await work();
    } catch (error) {
      await wire.close(handle).catch(() => undefined);
      throw error;
    }
    try {
      await wire.close(handle);
    } catch (error) {
      throw await explain(this.#job.remote, error, 'write', this.#job.path, this.#job.sizeBytes);
    }
  }

  async #verify(path: FilePath, { sha256 }: Uploaded): Promise<void> {
    const { remote, options, sizeBytes } = this.#job;
    if (options.verify !== 'checksum') return;
    let same: boolean;
    try {
      same = await holds(remote, { path, bytes: sizeBytes, sha256 }, options.signal);
    } catch (error) {
      throw await explain(remote, error, 'read back', path);
    }
    if (same) return;
    throw new Fault(
      'transient',
      `${remote.name}: what arrived for ${printable(this.#job.path)} is not what was sent`,
      {
        code: 'CHECKSUM_MISMATCH',
        advice: 'Ferry sends it again. If it repeats, look at the disk and the memory of the server.',
      },
    );
  }

  #receipt(remotePath: FilePath, sha256: string): Receipt {
    return { remotePath, sizeBytes: this.#job.sizeBytes, sha256, verified: this.#job.options.verify };
  }

  /** The temporary goes, unless the next attempt at this version can go on from it. */
  async #cleanUp(temp: FilePath, error: unknown): Promise<void> {
    const { remote, sizeBytes } = this.#job;
    if (remote.link.broken !== undefined) return;
    const resumable = error instanceof Fault && (error.kind === 'aborted' || error.kind === 'unreachable');
    if (resumable && sizeBytes > SMALL_BYTES) return;
    await removeIfThere(remote, temp).catch(() => undefined);
  }
}
