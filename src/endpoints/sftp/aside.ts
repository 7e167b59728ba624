/**
 * Taking a file aside before it is removed: whoever fills the folder may put a new version under its name between our
 * look at it and the removal. Under a name of ours nobody does, and what turns out to be another version is put back.
 *
 * What a crash leaves aside is put back by the next listing, with nobody's leave: should another Ferry be at work on
 * it, that one finds nothing to remove and meets the file again.
 */

import { randomBytes } from 'node:crypto';
import { Fault } from '../../sync/errors.ts';
import { candidate, type FilePath, takenAside, takenFrom } from '../../sync/names.ts';
import type { FileVersion } from '../endpoint.ts';
import { fileFault, STATUS, statusOf } from './faults.ts';
import { isFile } from './kinds.ts';
import { lookAt } from './publish.ts';
import type { Remote } from './remote.ts';
import { otherFault, sameAs, vanishedFault } from './source.ts';

const MOST_NAMES = 10_000;

/**
 * @param use gets where it is, which is its own path on servers that rename nothing; what it leaves is put back
 * @throws Fault `changed` | `vanished`, and what `use` throws
 */
export async function takeAside(
  remote: Remote,
  path: FilePath,
  version: FileVersion,
  use: (taken: FilePath) => Promise<void>,
): Promise<void> {
  const own = takenAside(path, randomBytes(8).toString('hex'));
  // A rename there copies the whole object.
  const copies = remote.traits.kind === 'aws-transfer';
  if (own === undefined || copies || !remote.memory.renames) return await use(path);
  remote.memory.aside.add(own);
  try {
    if (!(await moved(remote, path, own))) return await use(path);
    await expectTaken(remote, path, version, own);
    await use(own).catch(async (error: unknown) => {
      await putBack(remote, own, path);
      throw error;
    });
  } finally {
    remote.memory.aside.delete(own);
  }
}

/** Puts it back where it was unless it is that version. @throws Fault `changed` | `vanished` */
export async function expectTaken(
  remote: Remote,
  path: FilePath,
  version: FileVersion,
  taken: FilePath,
): Promise<void> {
  const there = await lookAt(remote, taken);
  if (there === undefined) throw vanishedFault(remote, path, undefined);
  if (isFile(there) && sameAs(version, there)) return;
  await putBack(remote, taken, path);
  throw otherFault(remote, path);
}

/** Of a file that was left aside: resolves to where it is now, undefined when nothing was to be done. @throws Fault */
export async function recover(remote: Remote, aside: FilePath): Promise<FilePath | undefined> {
  const home = takenFrom(aside);
  return home === undefined || remote.memory.aside.has(aside)
    ? undefined
    : await putBack(remote, aside, home);
}

/** Under its old name, or the next that is free: somebody may have put a new version there. */
async function putBack(remote: Remote, aside: FilePath, home: FilePath): Promise<FilePath | undefined> {
  for (let n = 0; n < MOST_NAMES; n += 1) {
    const place = candidate(home, n);
    if ((await lookAt(remote, place)) !== undefined) continue;
    try {
      await remote.wire.rename(aside, place);
      return place;
    } catch (error) {
      if (statusOf(error) === STATUS.noSuchFile) return undefined;
      if ((await lookAt(remote, place)) === undefined) throw fileFault(error, 'put back', home, remote.name);
    }
  }
  return undefined;
}

/** False where the server does not let it be renamed. @throws Fault `vanished` */
async function moved(remote: Remote, path: FilePath, own: FilePath): Promise<boolean> {
  try {
    await remote.wire.rename(path, own);
    return true;
  } catch (error) {
    if (error instanceof Fault) throw error;
    if (statusOf(error) === STATUS.noSuchFile) throw vanishedFault(remote, path, error);
    return false;
  }
}
