/** What happens to a remote source once it was delivered: removed, or moved to an archive, exactly that version. */

import { createHash } from 'node:crypto';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { candidate, type FilePath, folderOf, printable } from '../../sync/names.ts';
import type { CallOptions, Entry, FileVersion } from '../endpoint.ts';
import { expectTaken, takeAside } from './aside.ts';
import { fileFault, STATUS, statusOf } from './faults.ts';
import { isFile } from './kinds.ts';
import { entryOf } from './list.ts';
import { lookAt } from './publish.ts';
import type { Remote } from './remote.ts';
import { send } from './send.ts';
import { otherFault, sameAs, sourceOf, vanishedFault } from './source.ts';

const MOST_NAMES = 10_000;

export async function stat(remote: Remote, path: FilePath): Promise<Entry | undefined> {
  const attributes = await lookAt(remote, path === '' ? '.' : path);
  return attributes === undefined ? undefined : entryOf(path, attributes);
}

export async function remove(
  remote: Remote,
  path: FilePath,
  version: FileVersion,
  options: CallOptions,
): Promise<void> {
  await expectVersion(remote, path, version);
  throwIfAborted(options.signal);
  await takeAside(remote, path, version, async (taken) => {
    try {
      await remote.wire.remove(taken);
    } catch (error) {
      if (statusOf(error) === STATUS.noSuchFile) throw vanishedFault(remote, path, error);
      throw fileFault(error, 'remove', path, remote.name);
    }
  });
}

/** By a plain rename, which refuses a taken name; where that cannot be (another file system) by copy, verify and remove. */
export async function archive(
  remote: Remote,
  path: FilePath,
  version: FileVersion,
  target: FilePath,
  options: CallOptions,
): Promise<FilePath> {
  await expectVersion(remote, path, version);
  for (let n = 0; n < MOST_NAMES; n += 1) {
    throwIfAborted(options.signal);
    const name = candidate(target, n);
    if ((await lookAt(remote, name)) !== undefined) continue;
    const moved = await move(remote, path, name);
    if (moved === 'moved') {
      await expectTaken(remote, path, version, name);
      return name;
    }
    if (moved === 'impossible') return await copyAndRemove(remote, path, version, name, options);
  }
  throw new Fault('permanent', `${remote.name}: ${MOST_NAMES} names like ${printable(target)} are taken`, {
    code: 'EEXIST',
  });
}

async function expectVersion(remote: Remote, path: FilePath, version: FileVersion): Promise<void> {
  const there = await lookAt(remote, path);
  if (there === undefined) throw vanishedFault(remote, path, undefined);
  if (!isFile(there) || !sameAs(version, there)) throw otherFault(remote, path);
}

async function move(
  remote: Remote,
  path: FilePath,
  target: FilePath,
): Promise<'moved' | 'taken' | 'impossible'> {
  const { wire, memory } = remote;
  const since = memory.folders.now();
  const rename = async (): Promise<'moved' | 'failed' | 'no folder'> => {
    try {
      await wire.rename(path, target);
      return 'moved';
    } catch (error) {
      if (error instanceof Fault) throw error;
      return statusOf(error) === STATUS.noSuchFile ? 'no folder' : 'failed';
    }
  };
  let result = await rename();
  if (result === 'no folder') {
    if ((await lookAt(remote, path)) === undefined) throw vanishedFault(remote, path, undefined);
    await memory.folders.ensure(wire, folderOf(target), since);
    result = await rename();
  }
  if (result === 'moved') return 'moved';
  return (await lookAt(remote, target)) === undefined ? 'impossible' : 'taken';
}

async function copyAndRemove(
  remote: Remote,
  path: FilePath,
  version: FileVersion,
  target: FilePath,
  options: CallOptions,
): Promise<FilePath> {
  const token = createHash('sha256').update(`${path}\0${target}`, 'utf16le').digest('hex').slice(0, 16);
  const receipt = await send({
    remote,
    source: sourceOf(remote, path, version),
    sizeBytes: version.sizeBytes,
    path: target,
    helpers: [],
    options: {
      signal: options.signal,
      conflict: 'rename',
      verify: 'checksum',
      token,
      preserveMtime: true,
      helpers: [],
      resume: undefined,
      checkpoint: async () => undefined,
      progress: () => undefined,
    },
  });
  await remove(remote, path, version, options);
  return receipt.remotePath;
}
