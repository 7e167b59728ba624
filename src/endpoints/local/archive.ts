/** Moving a delivered file into an archive: never over another file, across file systems too, no byte lost. */

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { isAbsolute } from 'node:path';
import { codeOf, Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, printable } from '../../sync/names.ts';
import type { FileVersion } from '../endpoint.ts';
import type { Aside } from './aside.ts';
import { isVersion } from './entry.ts';
import { changed } from './faults.ts';
import { Part, type PartContext, partOf, remove } from './part.ts';
import { candidate, moveUnlessTaken, sha256At, shownAs } from './spot.ts';

const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const BLOCK = 1024 * 1024;
const MOST_TRIED = 10_000;

export interface Archiving {
  readonly context: PartContext;
  readonly aside: Aside;
  readonly path: FilePath;
  readonly version: FileVersion;
  /** As the endpoint says it; an absolute path is one of this host, outside the root. */
  readonly target: FilePath;
}

/** Resolves to where it went, in the words of the endpoint. */
export async function archive(archiving: Archiving): Promise<FilePath> {
  const { context, aside, path, version, target } = archiving;
  const { root, folders } = context;
  const from = root.fileAt(path);
  const to = isAbsolute(target) ? target : root.fileAt(target);
  const made = await root.makeFolder(folderOf(to));
  await Promise.all(made.map((folder) => folders.sync(folder)));
  let went: FilePath;
  try {
    went = await aside.take(from, path, version, (taken) => moveBeside(context, taken, to));
  } catch (error) {
    if (codeOf(error) !== 'EXDEV') throw error;
    went = await acrossFileSystems(archiving, from, to);
  }
  return went === to ? target : shownAs(target, went);
}

async function moveBeside({ disk, folders }: PartContext, taken: FilePath, to: FilePath): Promise<FilePath> {
  const { ino, dev } = await disk.lstat(taken);
  for (let number = 0; number < MOST_TRIED; number += 1) {
    const place = candidate(to, number);
    const there = await disk.lstat(place).catch(() => undefined);
    // A crash after the link and before the unlink: it is there already.
    if (there?.ino === ino && there.dev === dev) await disk.unlink(taken);
    else if (!(await moveUnlessTaken(disk, taken, place))) continue;
    await folders.sync(folderOf(place));
    return place;
  }
  throw tooMany(to);
}

/** Copies, makes the copy durable, and only then takes the file away. */
async function acrossFileSystems(archiving: Archiving, from: FilePath, to: FilePath): Promise<FilePath> {
  const { context, aside, path, version } = archiving;
  const { disk, folders } = context;
  const token = createHash('sha256').update(`archive\0${from}`, 'utf16le').digest('hex').slice(0, 16);
  const part = await copy(context, from, partOf(to, token), path, version);
  try {
    return await aside.take(from, path, version, async (taken) => {
      const place = await settle(context, part, to);
      await folders.sync(folderOf(place));
      await disk.unlink(taken);
      return place;
    });
  } finally {
    await part.close();
    await remove(disk, part.path);
  }
}

async function copy(
  context: PartContext,
  from: FilePath,
  to: FilePath,
  shown: FilePath,
  version: FileVersion,
): Promise<Part> {
  const { disk } = context;
  const fd = await disk.open(from, READ);
  try {
    const stats = await disk.fstat(fd);
    if (!isVersion(stats, version)) throw changed(shown);
    const part = await Part.create(context, to);
    try {
      while (part.length < version.sizeBytes) {
        const block = await disk.read(fd, Math.min(BLOCK, version.sizeBytes - part.length), part.length);
        if (block.length === 0) throw changed(shown);
        await part.append(block);
      }
      await part.finish({ mtimeMs: stats.mtimeMs, mode: stats.mode & 0o7777 });
      await part.assertSize(version.sizeBytes);
      return part;
    } catch (error) {
      await part.close();
      await remove(disk, to);
      throw error;
    }
  } finally {
    await disk.close(fd);
  }
}

/** Gives the copy its name, or finds it there already from a try that died just before its end. */
async function settle({ disk }: PartContext, part: Part, to: FilePath): Promise<FilePath> {
  const sha256 = part.hash.copy().digest('hex');
  for (let number = 0; number < MOST_TRIED; number += 1) {
    const place = candidate(to, number);
    if (await moveUnlessTaken(disk, part.path, place)) return place;
    if ((await sha256At(disk, place, part.length)) === sha256) return place;
  }
  throw tooMany(to);
}

function tooMany(path: FilePath): Fault {
  return new Fault('permanent', `${MOST_TRIED} names like ${printable(path)} are taken in the archive`, {
    code: 'EEXIST',
    advice: 'Clear the archive, or give the job another one.',
  });
}
