/**
 * Which name a file gets when the one asked for is taken: `conflict: skip | rename | fail`, and giving a name only
 * where none is.
 */

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { codeOf, Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, joinPath, nameOf, printable } from '../../sync/names.ts';
import type { SendOptions, SourceReader } from '../endpoint.ts';
import type { Disk } from './disk.ts';
import { isMissing } from './faults.ts';
import { hashTo } from './part.ts';

/** File systems without hard links: FAT, some network shares; and files that we may not link. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EACCES']);
const MOST_TRIED = 10_000;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** `name.ext`, `name (1).ext`, `name (2).ext` … in the same folder. */
export function candidate(path: FilePath, number: number): FilePath {
  if (number === 0) return path;
  const name = nameOf(path);
  const dot = name.lastIndexOf('.');
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  const folder = path.slice(0, path.length - name.length);
  return `${folder}${stem} (${number})${extension}`;
}

/** Renames unless `to` is taken: resolves to whether it did. One step where the file system has hard links. */
export async function moveUnlessTaken(disk: Disk, from: FilePath, to: FilePath): Promise<boolean> {
  try {
    await disk.link(from, to);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return false;
    if (code === undefined || !NO_LINKS.has(code)) throw error;
    return await disk.alone(async () => {
      if (await isTaken(disk, to)) return false;
      await disk.rename(from, to);
      return true;
    });
  }
  await disk.unlink(from);
  return true;
}

async function isTaken(disk: Disk, path: FilePath): Promise<boolean> {
  try {
    await disk.lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** SHA-256 of a file of exactly that size; undefined when there is no such file. */
export async function sha256At(disk: Disk, path: FilePath, sizeBytes: number): Promise<string | undefined> {
  let fd: number;
  try {
    fd = await disk.open(path, READ);
  } catch {
    return undefined;
  }
  try {
    const stats = await disk.fstat(fd);
    if (!stats.isFile() || stats.size !== sizeBytes) return undefined;
    const hash = createHash('sha256');
    const read = await hashTo(disk, fd, sizeBytes, hash);
    return read === sizeBytes ? hash.digest('hex') : undefined;
  } finally {
    await disk.close(fd);
  }
}

export interface Wanted {
  readonly disk: Disk;
  /** Where it should go: a path of this host, and as the endpoint says it. */
  readonly target: FilePath;
  readonly shown: FilePath;
  readonly sizeBytes: number;
  readonly conflict: SendOptions['conflict'];
  /** SHA-256 of the whole source; asked only when a file of the same size is there. */
  readonly sha256: () => Promise<string>;
}

export interface Spot {
  readonly target: FilePath;
  /** Set when exactly this content is there already. */
  readonly sha256?: string;
}

/** The first name, from `number` on, that is free or holds this very content. @throws Fault `skipped` | `permanent` EEXIST */
export async function findSpot(wanted: Wanted): Promise<Spot> {
  const { disk, conflict } = wanted;
  for (let number = 0; number < MOST_TRIED; number += 1) {
    const target = candidate(wanted.target, number);
    if (!(await isTaken(disk, target))) return { target };
    const there = await sha256At(disk, target, wanted.sizeBytes);
    if (there !== undefined && there === (await wanted.sha256())) return { target, sha256: there };
    if (conflict !== 'rename') throw takenFault(wanted.shown, conflict);
  }
  throw new Fault('permanent', `${MOST_TRIED} names like ${printable(wanted.shown)} are taken`, {
    code: 'EEXIST',
    advice: 'Clear the folder, or choose another `conflict` for the job.',
  });
}

export function takenFault(shown: FilePath, conflict: SendOptions['conflict']): Fault {
  const message = `${printable(shown)} is taken by other content`;
  if (conflict === 'skip')
    return new Fault('skipped', `${message}; left alone, as the job says`, { code: 'EEXIST' });
  return new Fault('permanent', message, {
    code: 'EEXIST',
    advice: 'Move that file away and run `ferry retry`, or choose `conflict: replace`, `skip` or `rename`.',
  });
}

/** SHA-256 of all that a reader gives. */
export async function sha256Of(
  reader: SourceReader,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of reader.read(0, sizeBytes, signal)) hash.update(chunk);
  return hash.digest('hex');
}

/** Where a candidate lies, in the words of the endpoint. */
export function shownAs(shown: FilePath, target: FilePath): FilePath {
  const folder = folderOf(shown);
  return folder === '' ? nameOf(target) : joinPath(folder, nameOf(target));
}
