/**
 * Delivers a file into the folder: temporary name, size (and content) checked, made durable, the source looked at
 * again, final name, folder made durable. In that order, so that a crash anywhere leaves the old content, the
 * whole new, or nothing under the final name.
 */

import { asFault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, folderOf, printable } from '../../sync/names.ts';
import {
  type Receipt,
  type SendOptions,
  type SendResult,
  SMALL_BYTES,
  type SourceFile,
  type SourceReader,
} from '../endpoint.ts';
import { changed } from './faults.ts';
import { Part, type PartContext, partOf, remove } from './part.ts';
import { noteOfProgress, progressOf } from './resume.ts';
import { findSpot, moveUnlessTaken, sha256Of, shownAs, takenFault } from './spot.ts';

/** A temporary with less in it is not kept for the next attempt. */
const WORTH_KEEPING = 4 * 1024 * 1024;
/** So often the ledger learns how far a large file is. */
const CHECKPOINT_BYTES = 64 * 1024 * 1024;

export async function send(
  context: PartContext,
  source: SourceFile,
  path: FilePath,
  options: SendOptions,
): Promise<SendResult> {
  const target = context.root.fileAt(path);
  try {
    await using reader = await source.open(options.signal);
    const receipt = await new Sending(context, source, reader, target, path, options).run();
    return { state: 'done', receipt };
  } catch (error) {
    if (options.signal.aborted) throwIfAborted(options.signal);
    throw context.disk.fault(error, `write ${printable(path)}`);
  }
}

class Sending {
  readonly #context: PartContext;
  readonly #source: SourceFile;
  readonly #reader: SourceReader;
  readonly #target: FilePath;
  readonly #path: FilePath;
  readonly #options: SendOptions;

  constructor(
    context: PartContext,
    source: SourceFile,
    reader: SourceReader,
    target: FilePath,
    path: FilePath,
    options: SendOptions,
  ) {
    this.#context = context;
    this.#source = source;
    this.#reader = reader;
    this.#target = target;
    this.#path = path;
    this.#options = options;
  }

  async run(): Promise<Receipt> {
    const { conflict, token } = this.#options;
    const path = partOf(this.#target, token);
    let sha256: string | undefined;
    for (;;) {
      const spot =
        conflict === 'replace'
          ? { target: this.#target }
          : await this.#findSpot(() => sha256 ?? this.#sourceSha256());
      if (spot.sha256 !== undefined) {
        await this.#reader.recheck(this.#options.signal, () => spot.sha256 ?? '');
        await remove(this.#context.disk, path);
        return this.#receipt(spot.target, spot.sha256, true);
      }
      const part = await this.#write(path);
      sha256 = part.hash.copy().digest('hex');
      if (await this.#commit(part, sha256, spot.target)) return this.#receipt(spot.target, sha256, false);
      // Somebody else took the name meanwhile.
      if (conflict !== 'rename') throw takenFault(this.#path, conflict);
    }
  }

  /** Puts all bytes into a temporary. */
  async #write(path: FilePath): Promise<Part> {
    const { signal, resume } = this.#options;
    const { sizeBytes } = this.#source.version;
    const known = progressOf(resume, this.#source.version);
    const part =
      (known && (await Part.goOn(this.#context, path, known))) ?? (await Part.create(this.#context, path));
    try {
      if (sizeBytes <= SMALL_BYTES) await this.#append(part, await this.#reader.readAll(signal));
      else await this.#stream(part);
      if (part.length !== sizeBytes) throw changed(this.#source.path);
      return part;
    } catch (error) {
      await this.#giveUp(part, error);
      throw error;
    }
  }

  async #stream(part: Part): Promise<void> {
    const { signal } = this.#options;
    let noted = part.length;
    this.#options.progress(part.length);
    for await (const chunk of this.#reader.read(part.length, this.#source.version.sizeBytes, signal)) {
      await this.#append(part, chunk);
      if (part.length - noted < CHECKPOINT_BYTES) continue;
      noted = part.length;
      await this.#note(part);
    }
  }

  async #append(part: Part, bytes: Buffer): Promise<void> {
    throwIfAborted(this.#options.signal);
    await part.append(bytes);
    this.#options.progress(part.length);
  }

  /** Verifies, makes durable, looks at the source again and gives the name. False when the name was taken. */
  async #commit(part: Part, sha256: string, target: FilePath): Promise<boolean> {
    const { disk, folders } = this.#context;
    const { signal, verify, mode, preserveMtime, conflict } = this.#options;
    try {
      await part.assertSize(this.#source.version.sizeBytes);
      await part.finish({ mode, mtimeMs: preserveMtime ? this.#source.version.mtimeMs : undefined });
      if (verify === 'checksum') await part.assertContent(sha256);
      await this.#reader.recheck(signal, () => sha256);
      await part.assertOurs();
      throwIfAborted(signal);
      if (conflict === 'replace') await disk.rename(part.path, target);
      else if (!(await moveUnlessTaken(disk, part.path, target))) {
        await part.close();
        await remove(disk, part.path);
        return false;
      }
    } catch (error) {
      await this.#giveUp(part, error);
      throw error;
    }
    await part.close();
    await folders.sync(folderOf(target));
    return true;
  }

  /** Keeps what the next attempt can go on with, and removes the rest. */
  async #giveUp(part: Part, error: unknown): Promise<void> {
    try {
      const { kind, code } = asFault(error, this.#options.signal);
      const passing = kind === 'unreachable' || kind === 'aborted' || kind === 'transient';
      const keep = passing && code !== 'VERIFY' && code !== 'ENOSPC' && code !== 'EDQUOT';
      if (keep && part.length >= WORTH_KEEPING) await this.#note(part);
      else await part.discard();
    } catch {
      // The error that brought us here says more; what is left is removed by `discard`.
    } finally {
      await part.close();
    }
  }

  async #note(part: Part): Promise<void> {
    const sha256 = part.hash.copy().digest('hex');
    await this.#options.checkpoint(noteOfProgress({ bytes: part.length, sha256 }, this.#source.version));
  }

  #findSpot(sha256: () => string | Promise<string>) {
    return findSpot({
      disk: this.#context.disk,
      target: this.#target,
      shown: this.#path,
      sizeBytes: this.#source.version.sizeBytes,
      conflict: this.#options.conflict,
      sha256: async () => sha256(),
    });
  }

  #sourceSha256(): Promise<string> {
    return sha256Of(this.#reader, this.#source.version.sizeBytes, this.#options.signal);
  }

  #receipt(target: FilePath, sha256: string, alreadyThere: boolean): Receipt {
    const { verify } = this.#options;
    return {
      remotePath: target === this.#target ? this.#path : shownAs(this.#path, target),
      sizeBytes: this.#source.version.sizeBytes,
      sha256,
      verified: alreadyThere ? 'checksum' : verify,
      ...(alreadyThere ? { alreadyThere } : {}),
    };
  }
}
