/** Where a file may go when its name is taken, by the job's `conflict`; and whether it is there already. */

import { hash } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { candidate, type FilePath, printable } from '../../sync/names.ts';
import { type Receipt, SMALL_BYTES, type SourceReader } from '../endpoint.ts';
import { holds } from './digest.ts';
import { hashSource, type Job } from './job.ts';
import { isFile } from './kinds.ts';
import { lookAt } from './publish.ts';

/** Names tried under `conflict: rename`. */
const MOST_NAMES = 10_000;
/** A name may be taken so often between looking and writing. */
const MOST_RACES = 20;

/** A free name, or the receipt of the same content that is there already. */
export type Target = { readonly path: FilePath } | { readonly receipt: Receipt };

export class Targets {
  readonly #job: Job;
  readonly #reader: SourceReader;
  /** Of the source, once somebody had to know. */
  #sha256: string | undefined;
  #found = 0;

  constructor(job: Job, reader: SourceReader) {
    this.#job = job;
    this.#reader = reader;
  }

  /**
   * Under `replace` the name itself, without looking. Called again when the one found was taken meanwhile.
   * @throws Fault `skipped`, or `permanent` EEXIST
   */
  async find(): Promise<Target> {
    const { remote, path, options, sizeBytes } = this.#job;
    if (options.conflict === 'replace') return { path };
    this.#found += 1;
    if (this.#found > MOST_RACES) throw this.#taken('transient', 'is taken again and again');
    for (let n = 0; n < MOST_NAMES; n += 1) {
      throwIfAborted(options.signal);
      const name = candidate(path, n);
      const there = await lookAt(remote, name);
      if (there === undefined) return { path: name };
      if (isFile(there) && there.sizeBytes === sizeBytes && (await this.#isSame(name))) {
        return { receipt: await this.#alreadyThere(name) };
      }
      if (options.conflict === 'skip') throw this.#taken('skipped', 'has other content there; left alone');
      if (options.conflict === 'fail') throw this.#taken('permanent', 'has other content there');
    }
    throw this.#taken('permanent', `and ${MOST_NAMES} names like it are taken`);
  }

  async #isSame(path: FilePath): Promise<boolean> {
    const { remote, sizeBytes, options } = this.#job;
    const content = { path, bytes: sizeBytes, sha256: await this.#digest() };
    try {
      return await holds(remote, content, options.signal);
    } catch (error) {
      if (error instanceof Fault) throw error;
      return false; // it may not be read: as good as another
    }
  }

  async #alreadyThere(remotePath: FilePath): Promise<Receipt> {
    const { sizeBytes, options } = this.#job;
    const sha256 = await this.#digest();
    await this.#reader.recheck(options.signal, () => sha256);
    return { remotePath, sizeBytes, sha256, verified: 'checksum', alreadyThere: true };
  }

  async #digest(): Promise<string> {
    const { sizeBytes, options } = this.#job;
    this.#sha256 ??=
      sizeBytes <= SMALL_BYTES
        ? hash('sha256', await this.#reader.readAll(options.signal))
        : await hashSource(this.#job, this.#reader);
    return this.#sha256;
  }

  #taken(kind: Fault['kind'], why: string): Fault {
    const { remote, path } = this.#job;
    return new Fault(kind, `${remote.name}: ${printable(path)} ${why}`, {
      code: 'EEXIST',
      advice:
        kind === 'skipped'
          ? 'Another version of the file here will be tried again.'
          : 'Remove or rename the file there, or set conflict to replace, skip or rename; then ferry retry.',
    });
  }
}
