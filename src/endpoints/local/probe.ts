/** `ferry check` for a folder: is it there, can it be written, renamed in and cleaned up, how much room is left. */

import { randomBytes } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import { type FilePath, joinPath, OWN_PREFIX, printable } from '../../sync/names.ts';
import { failedStep, type ProbeOptions, type ProbeStep } from '../endpoint.ts';
import { Disk } from './disk.ts';
import { diskFault } from './faults.ts';
import { FolderSync } from './folder-sync.ts';
import { Part, remove } from './part.ts';
import { Root } from './root.ts';

const LITTLE_ROOM = 0.02;

type Seen = Omit<ProbeStep, 'step' | 'ok' | 'ms'>;

export async function* probe(
  path: FilePath,
  folder: FilePath,
  options: ProbeOptions,
): AsyncGenerator<ProbeStep> {
  using disk = new Disk();
  const root = new Root(path, disk);
  const steps: readonly [string, () => Promise<Seen>][] = [
    ['folder', () => there(root, path)],
    ['space', () => room(disk, path)],
    options.use === 'read'
      ? ['list', () => listed(disk, root.at(folder))]
      : ['write', () => written(disk, root, folder)],
  ];
  for (const [step, work] of steps) {
    const startMs = performance.now();
    try {
      const seen = await disk.bounded(options.signal, work);
      yield { step, ok: true, ...seen, ms: performance.now() - startMs };
    } catch (error) {
      const fault = error instanceof Fault ? error : diskFault(error, `${step} in ${printable(path)}`);
      yield { ...failedStep(step, fault), ms: performance.now() - startMs };
      return;
    }
  }
}

async function there(root: Root, path: FilePath): Promise<Seen> {
  await root.assertThere();
  return { saw: printable(path) };
}

async function room(disk: Disk, path: FilePath): Promise<Seen> {
  const { bavail, blocks, bsize } = await disk.statfs(path);
  const saw = `${((Number(bavail) * Number(bsize)) / 1e9).toFixed(1)} GB free`;
  if (Number(bavail) > Number(blocks) * LITTLE_ROOM) return { saw };
  return { saw, warning: true, advice: 'Make room: almost all of it is in use.' };
}

async function listed(disk: Disk, folder: FilePath): Promise<Seen> {
  const { length } = await disk.readNames(folder);
  return { saw: `${length} ${length === 1 ? 'entry' : 'entries'}` };
}

async function written(disk: Disk, root: Root, folder: FilePath): Promise<Seen> {
  const context = { disk, root, folders: new FolderSync(disk) };
  const at = joinPath(root.at(folder), `${OWN_PREFIX}check-${randomBytes(4).toString('hex')}`);
  const moved = `${at}-2`;
  const part = await Part.create(context, at);
  try {
    await part.append(Buffer.from('ferry check\n'));
    await part.finish({ mtimeMs: undefined, mode: undefined });
    await disk.rename(at, moved);
  } finally {
    await part.close();
    await remove(disk, at);
    await remove(disk, moved);
  }
  return { saw: 'wrote, renamed and deleted a file' };
}
