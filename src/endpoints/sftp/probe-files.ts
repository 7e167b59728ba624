/** What a check does with files: everything once that jobs do there. Leaves nothing behind. */

import { randomBytes } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, inFolderOf, joinPath, OWN_PREFIX, printable } from '../../sync/names.ts';
import type { Entry, ProbeStep } from '../endpoint.ts';
import { kindOf } from './kinds.ts';
import type { Steps } from './probe-steps.ts';
import { lookAt, publish } from './publish.ts';
import { explain, type Remote } from './remote.ts';
import type { SftpSession } from './session.ts';
import { createTemp, openInFolder, removeIfThere, tempPath } from './temp.ts';
import { FLAG } from './wire.ts';

const CONTENT = Buffer.from('Written by "ferry check"; it removes this file again.\n');
/** Entries that are looked at in a folder that jobs take files from. */
const MOST_ENTRIES = 1_000;

export class FileSteps {
  /** What is being tried. */
  step = 'folder';
  readonly #session: SftpSession;
  readonly #remote: Remote;
  readonly #steps: Steps;

  constructor(session: SftpSession, steps: Steps) {
    this.#session = session;
    this.#remote = session.remote;
    this.#steps = steps;
  }

  /** @returns the folder that was tried: the one that was asked for, or the nearest above that is there */
  async write(folder: FilePath): Promise<FilePath> {
    const nearest = await this.#nearest(folder);
    const where = joinPath(nearest, 'x');
    if (this.#remote.memory.renames) await this.#writeAndRename(where);
    if (!this.#remote.memory.renames) await this.#writeDirectly(where);
    return nearest;
  }

  /** Lists the folder, and reads a byte of the first file: where jobs only take files from, nothing is written. */
  async read(folder: FilePath, signal: AbortSignal): Promise<FilePath> {
    await this.#mustBeThere(folder);
    this.step = 'list';
    const entries: Entry[] = [];
    for await (const entry of this.#session.list(folder, { signal, recursive: false })) {
      if (entries.push(entry) >= MOST_ENTRIES) break;
    }
    const more = entries.length >= MOST_ENTRIES ? ' and more' : '';
    this.#ok('list', `${entries.length}${more} ${entries.length === 1 ? 'entry' : 'entries'}`);
    this.step = 'read';
    const file = entries.find((entry) => entry.kind === 'file');
    if (file === undefined) return folder;
    await using reader = await this.#session.source(file.path, file.version).open(signal);
    for await (const _ of reader.read(0, Math.min(1, file.version.sizeBytes), signal));
    this.#ok('read', `${printable(file.path)} can be read`);
    return folder;
  }

  #ok(step: string, saw: string, more: Partial<ProbeStep> = {}): void {
    this.#steps.add({ step, ok: true, saw, ...more });
  }

  async #mustBeThere(folder: FilePath): Promise<void> {
    const path = folder === '' ? '.' : folder;
    const { wire } = this.#remote;
    if ((await lookAt(this.#remote, path)) === undefined) {
      throw new Fault('permanent', `${printable(path)} is not there`, {
        code: 'ENOENT',
        means: 'Jobs take files from this folder; a path without a leading / starts where the login does.',
        advice: 'Correct path under from, or make the folder.',
      });
    }
    if (kindOf(await wire.stat(path)) !== 'folder') throw notAFolder(path);
    this.#ok('folder', printable(await wire.realpath(path).catch(() => path)));
  }

  async #nearest(folder: FilePath): Promise<FilePath> {
    const { wire } = this.#remote;
    let nearest = folder;
    for (;;) {
      const path = nearest === '' ? '.' : nearest;
      const there = await lookAt(this.#remote, path);
      if (there !== undefined) {
        if (kindOf(await wire.stat(path).catch(() => there)) !== 'folder') throw notAFolder(nearest);
        break;
      }
      if (nearest === '' || nearest === '/') break;
      nearest = folderOf(nearest);
    }
    const shown = printable(await wire.realpath(nearest === '' ? '.' : nearest).catch(() => nearest));
    if (nearest === folder) this.#ok('folder', shown);
    else {
      this.#ok('folder', `${printable(folder)} is not there yet`, {
        warning: true,
        means: `The first delivery makes it, in ${shown}.`,
        advice: 'Is the path right? One without a leading / starts where the login does.',
      });
    }
    return nearest;
  }

  async #writeAndRename(where: FilePath): Promise<void> {
    const remote = this.#remote;
    const token = `check${randomBytes(6).toString('hex').slice(0, 11)}`;
    const temp = tempPath(where, token);
    const target = inFolderOf(where, `${OWN_PREFIX}${token}.done`);
    try {
      this.step = 'write';
      await write(remote, temp, () => createTemp(remote, temp, temp, undefined));
      this.#ok('write', `${CONTENT.length} bytes under a temporary name`);
      this.step = 'rename';
      const first = await publish(remote, temp, target, { replace: true, token });
      if (first === 'refused') {
        remote.memory.renames = false;
        this.#ok('rename', 'the server lets no file be renamed', {
          warning: true,
          means: 'Files are written under their final name: whoever reads there may see a part of one.',
          advice: 'Allow renaming, if you can.',
        });
        return;
      }
      await write(remote, temp, () => createTemp(remote, temp, temp, undefined));
      await publish(remote, temp, target, { replace: true, token });
      if (remote.traits.posixRename) this.#ok('rename', 'renamed, and replaced an older file in one step');
      else this.#ok('rename', 'renamed; older files are moved aside first', { warning: true });
      this.step = 'delete';
      await remote.wire.remove(target);
      this.#ok('delete', 'removed again');
    } catch (error) {
      throw await explain(remote, error, 'remove', target);
    } finally {
      await removeIfThere(remote, temp).catch(() => undefined);
      await removeIfThere(remote, target).catch(() => undefined);
    }
  }

  async #writeDirectly(where: FilePath): Promise<void> {
    const remote = this.#remote;
    const path = inFolderOf(where, `${OWN_PREFIX}check${randomBytes(6).toString('hex')}.txt`);
    try {
      this.step = 'write';
      const open = (): Promise<Buffer> => remote.wire.open(path, FLAG.write | FLAG.create | FLAG.truncate);
      await write(remote, path, () => openInFolder(remote, path, open));
      this.#ok('write', `${CONTENT.length} bytes under the final name`);
      this.step = 'delete';
      await remote.wire.remove(path);
      this.#ok('delete', 'removed again');
    } catch (error) {
      await removeIfThere(remote, path).catch(() => undefined);
      throw await explain(remote, error, 'remove', path);
    }
  }
}

function notAFolder(path: FilePath): Fault {
  return new Fault('permanent', `${printable(path)} is not a folder`, {
    code: 'ENOTDIR',
    advice: 'Correct the path in the job.',
  });
}

async function write(remote: Remote, path: FilePath, open: () => Promise<Buffer>): Promise<void> {
  const { wire, traits } = remote;
  const handle = await open();
  try {
    await wire.write(handle, CONTENT, 0);
    if (!traits.commitsAtClose && (await wire.fstat(handle)).sizeBytes !== CONTENT.length) {
      throw new Fault('transient', `${remote.name} did not keep what was written`, { code: 'SIZE_MISMATCH' });
    }
  } catch (error) {
    throw await explain(remote, error, 'write', path);
  } finally {
    await wire.close(handle).catch(() => undefined);
  }
}
