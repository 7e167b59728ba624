/** `ferry check` for a folder: is it there, can it be written, renamed in and cleaned up, how much room is left. */

import { randomBytes } from 'node:crypto';
import { Fault, messageOf } from '../../sync/errors.ts';
import { type FilePath, joinPath, OWN_PREFIX, printable } from '../../sync/names.ts';
import type { CallOptions, ProbeStep } from '../endpoint.ts';
import { Disk } from './disk.ts';
import { diskFault } from './faults.ts';
import { FolderSync } from './folder-sync.ts';
import { Part, remove } from './part.ts';
import { Root } from './root.ts';

const LITTLE_ROOM = 0.02;

export async function* probe(
  path: FilePath,
  folder: FilePath,
  options: CallOptions,
): AsyncGenerator<ProbeStep> {
  using disk = new Disk();
  const root = new Root(path, disk);
  const context = { disk, root, folders: new FolderSync(disk) };
  const steps: readonly [string, () => Promise<Omit<ProbeStep, 'step' | 'ok' | 'ms'>>][] = [
    [
      'folder',
      async () => {
        await root.assertThere();
        return { saw: printable(path) };
      },
    ],
    [
      'space',
      async () => {
        const { bavail, blocks, bsize } = await disk.statfs(path);
        const saw = `${((Number(bavail) * Number(bsize)) / 1e9).toFixed(1)} GB free`;
        if (Number(bavail) > Number(blocks) * LITTLE_ROOM) return { saw };
        return { saw, warning: true, advice: 'Make room: almost all of it is in use.' };
      },
    ],
    [
      'write',
      async () => {
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
      },
    ],
  ];
  for (const [step, work] of steps) {
    const startMs = performance.now();
    try {
      const seen = await disk.bounded(options.signal, work);
      yield { step, ok: true, ...seen, ms: performance.now() - startMs };
    } catch (error) {
      const fault = error instanceof Fault ? error : diskFault(error, `${step} in ${printable(path)}`);
      yield {
        step,
        ok: false,
        saw: messageOf(fault),
        ms: performance.now() - startMs,
        ...(fault.advice === undefined ? {} : { advice: fault.advice }),
      };
      return;
    }
  }
}
