/** A bucket as the contract's Session. There is no connection to keep: requests share a pool of them. Throws only Faults. */

import { asFault, type Fault, throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type {
  CallOptions,
  Capabilities,
  Entry,
  FileVersion,
  ListOptions,
  SendOptions,
  SendResult,
  Session,
  SourceFile,
} from '../endpoint.ts';
import { archive, remove } from './after.ts';
import type { Bucket } from './bucket.ts';
import { list, stat } from './list.ts';
import { parseNote } from './note.ts';
import { send } from './send.ts';
import { sourceOf } from './source.ts';
import { abandon } from './uploads.ts';

export class S3Session implements Session {
  readonly capabilities: Capabilities;
  readonly bucket: Bucket;

  constructor(bucket: Bucket, capabilities: Capabilities) {
    this.bucket = bucket;
    this.capabilities = capabilities;
  }

  get broken(): Fault | undefined {
    return this.bucket.broken;
  }

  async send(source: SourceFile, path: FilePath, options: SendOptions): Promise<SendResult> {
    const receipt = await this.#call(options, () => send(this.bucket, source, path, options));
    return { state: 'done', receipt };
  }

  async discard(
    _path: FilePath,
    _token: string,
    note: string | undefined,
    options: CallOptions,
  ): Promise<void> {
    const left = parseNote(note);
    if (left !== undefined) await this.#call(options, () => abandon(this.bucket, left, options.signal));
  }

  list(folder: FilePath, options: ListOptions): AsyncIterable<Entry> {
    return list(this.bucket, folder, options);
  }

  stat(path: FilePath, options: CallOptions): Promise<Entry | undefined> {
    return this.#call(options, () => stat(this.bucket, path, options));
  }

  source(path: FilePath, version: FileVersion): SourceFile {
    return sourceOf(this.bucket, path, version);
  }

  remove(path: FilePath, version: FileVersion, options: CallOptions): Promise<void> {
    return this.#call(options, () => remove(this.bucket, path, version, options));
  }

  archive(path: FilePath, version: FileVersion, target: FilePath, options: CallOptions): Promise<FilePath> {
    return this.#call(options, () => archive(this.bucket, path, version, target, options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.bucket.client[Symbol.dispose]();
  }

  async #call<T>(options: CallOptions, work: () => Promise<T>): Promise<T> {
    throwIfAborted(options.signal);
    if (this.broken !== undefined) throw this.broken;
    try {
      return await work();
    } catch (error) {
      if (options.signal.aborted) throwIfAborted(options.signal);
      throw asFault(error, options.signal);
    }
  }
}
