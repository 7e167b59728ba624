/** Makes missing folders: only when a server says that one is missing, and each once however many files wait for it. */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, printable } from '../../sync/names.ts';
import { fileFault, STATUS, statusOf } from './faults.ts';
import type { Wire } from './wire.ts';

const DIRECTORY = 0o040000;
const FILE_TYPE = 0o170000;

interface Making {
  readonly done: Promise<void>;
  endedAt: number | undefined;
}

export class Folders {
  readonly #making = new Map<FilePath, Making>();
  #clock = 0;

  /** A moment, to be taken before the request that may find a folder missing. */
  now(): number {
    this.#clock += 1;
    return this.#clock;
  }

  /**
   * Makes a folder and those above it, unless that was done after `since`. Errors are Faults of the folder.
   * @param since what `now` gave before the folder was found missing
   */
  ensure(wire: Wire, folder: FilePath, since: number): Promise<void> {
    const known = this.#making.get(folder);
    if (known !== undefined && (known.endedAt === undefined || known.endedAt > since)) return known.done;
    const making: Making = {
      endedAt: undefined,
      done: this.#make(wire, folder).then(
        () => {
          making.endedAt = this.now();
        },
        (error: unknown) => {
          this.#making.delete(folder);
          throw error;
        },
      ),
    };
    this.#making.set(folder, making);
    return making.done;
  }

  async #make(wire: Wire, folder: FilePath): Promise<void> {
    const since = this.now();
    try {
      return await wire.mkdir(folder);
    } catch (error) {
      if (statusOf(error) === undefined) throw error;
      const above = folderOf(folder);
      if (statusOf(error) === STATUS.noSuchFile && above !== '' && above !== folder) {
        await this.ensure(wire, above, since);
        return await this.#again(wire, folder);
      }
      return await accept(wire, folder, error);
    }
  }

  async #again(wire: Wire, folder: FilePath): Promise<void> {
    try {
      await wire.mkdir(folder);
    } catch (error) {
      await accept(wire, folder, error);
    }
  }
}

/** The folder could not be made: fine when it is there. */
async function accept(wire: Wire, folder: FilePath, error: unknown): Promise<void> {
  const there = await wire.stat(folder).catch(() => undefined);
  if (there?.mode !== undefined && (there.mode & FILE_TYPE) === DIRECTORY) return;
  const name = wire.link.name;
  if (there?.mode !== undefined) {
    throw new Fault(
      'permanent',
      `${name}: ${printable(folder)} is to be a folder, but a file has that name`,
      {
        code: 'ENOTDIR',
        cause: error,
        advice: 'Rename that file, or deliver to another folder; then ferry retry.',
      },
    );
  }
  throw fileFault(error, 'make the folder', folder, name);
}
