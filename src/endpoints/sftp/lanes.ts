/**
 * The ways on which the bytes of one file travel: the job's own session, and those that help it, each with a handle
 * of its own on the same file.
 */

import { randomInt } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import type { Job } from './job.ts';
import { explain, type Remote } from './remote.ts';
import { takeRoom } from './window.ts';
import { FLAG, type Handle } from './wire.ts';

export interface Lane {
  readonly remote: Remote;
  readonly handle: Handle;
}

export interface LanesOptions {
  readonly job: Job;
  /** On the job's own session. */
  readonly handle: Handle;
  readonly file: FilePath;
}

export class Lanes {
  readonly #job: Job;
  readonly #file: FilePath;
  readonly #own: Lane;
  /** Own first. */
  #lanes: readonly Lane[];

  constructor({ job, handle, file }: LanesOptions) {
    this.#job = job;
    this.#file = file;
    this.#own = { remote: job.remote, handle };
    this.#lanes = [this.#own];
  }

  /** A lane with room for so many bytes, which are taken. Errors as `takeRoom`. */
  async room(bytes: number, signal: AbortSignal): Promise<Lane> {
    const lanes = this.#lanes;
    const windows = lanes.map((lane) => lane.remote.window);
    const window = await takeRoom(windows, bytes, signal);
    return lanes.find((lane) => lane.remote.window === window) ?? this.#own;
  }

  /** Does without a helper from now on; false for the own lane, without which nothing goes. */
  drop(lane: Lane): boolean {
    if (lane === this.#own) return false;
    this.#lanes = this.#lanes.filter((other) => other !== lane);
    return true;
  }

  /**
   * Has the helpers open the same file. Behind one name there may be several hosts: a helper counts only when it
   * sees the access time that the own session has just set, to a value that no other file has. Never rejects.
   */
  async recruit(): Promise<void> {
    const { remote, helpers } = this.#job;
    if (helpers.length === 0) return;
    const mark = randomInt(2 ** 28, 2 ** 31 - 1);
    const marked = remote.wire.fsetstat(this.#own.handle, { atime: mark, mtime: mark }).then(
      () => true,
      () => false, // without a mark, no helpers; what is wrong shows elsewhere
    );
    await Promise.all(
      helpers.map(async (helper) => {
        const handle = await openMarked(helper, this.#file, mark, marked);
        if (handle !== undefined) this.#lanes = [...this.#lanes, { remote: helper, handle }];
      }),
    );
  }

  /** Closes the helpers' handles. Resolves to what a server said against it: then what they wrote may not be there. */
  async dismiss(): Promise<Fault | undefined> {
    const helpers = this.#lanes.filter((lane) => lane !== this.#own);
    this.#lanes = [this.#own];
    const faults = await Promise.all(helpers.map((lane) => this.#close(lane)));
    return faults.find((fault) => fault !== undefined);
  }

  async #close({ remote, handle }: Lane): Promise<Fault | undefined> {
    try {
      await remote.wire.close(handle);
      return undefined;
    } catch (error) {
      // A connection that broke by now had confirmed all that was asked of it.
      return error instanceof Fault ? undefined : await explain(remote, error, 'write', this.#job.path);
    }
  }
}

async function openMarked(
  remote: Remote,
  file: FilePath,
  mark: number,
  marked: Promise<boolean>,
): Promise<Handle | undefined> {
  const { wire } = remote;
  try {
    const handle = await wire.open(file, FLAG.write);
    if ((await marked) && (await wire.fstat(handle)).atime === mark) return handle;
    remote.memory.warn(
      `connections to ${remote.name} reach servers with different disks: files land on any of them`,
    );
    await wire.close(handle);
  } catch {
    return undefined;
  }
  return undefined;
}
