/**
 * Taking a file aside before it is removed: whoever fills the folder may put a new version under its name between our
 * look at it and the removal. Under a name of ours nobody does, and what turns out to be another version is put back.
 *
 * What a crash leaves aside is put back by the next listing, with nobody's leave: should another Ferry be at work on
 * it, that one finds nothing to remove and meets the file again.
 */

import { randomBytes } from 'node:crypto';
import { candidate, type FilePath, takenAside, takenFrom } from '../../sync/names.ts';
import type { FileVersion } from '../endpoint.ts';
import type { Connection } from './connection.ts';
import { replyFault, saysMissing } from './faults.ts';
import { look } from './look.ts';
import { rename } from './publish.ts';
import { isGood } from './reply.ts';
import { otherFault, sameAs, vanishedFault } from './source.ts';

const MOST_NAMES = 10_000;

/**
 * @param use gets where it is, which is its own path on servers that rename nothing; what it leaves is put back
 * @throws Fault `changed` | `vanished`, and what `use` throws
 */
export async function takeAside(
  connection: Connection,
  path: FilePath,
  version: FileVersion,
  use: (taken: FilePath) => Promise<void>,
): Promise<void> {
  const { memory, name, traits } = connection;
  const own = takenAside(path, randomBytes(8).toString('hex'));
  // A rename there copies the whole object.
  const copies = traits.kind === 'aws-transfer';
  if (own === undefined || copies || !memory.renames) return await use(path);
  memory.aside.add(own);
  try {
    const reply = await rename(connection, path, own);
    if (saysMissing(reply)) throw vanishedFault(name, path);
    if (!isGood(reply)) return await use(path); // it does not let it be renamed
    await expectTaken(connection, path, version, own);
    await use(own).catch(async (error: unknown) => {
      if (connection.broken === undefined) await putBack(connection, own, path);
      throw error;
    });
  } finally {
    memory.aside.delete(own);
  }
}

/** Puts it back where it was unless it is that version. @throws Fault `changed` | `vanished` */
export async function expectTaken(
  connection: Connection,
  path: FilePath,
  version: FileVersion,
  taken: FilePath,
): Promise<void> {
  const there = await look(connection, taken);
  if (there === undefined) throw vanishedFault(connection.name, path);
  if (there.kind === 'file' && sameAs(version, there)) return;
  await putBack(connection, taken, path);
  throw otherFault(connection.name, path);
}

/** Of a file that was left aside: resolves to where it is now, undefined when nothing was to be done. @throws Fault */
export async function recover(connection: Connection, aside: FilePath): Promise<FilePath | undefined> {
  const home = takenFrom(aside);
  if (home === undefined || connection.memory.aside.has(aside)) return undefined;
  return await putBack(connection, aside, home);
}

/** Under its old name, or the next that is free: somebody may have put a new version there. */
async function putBack(
  connection: Connection,
  aside: FilePath,
  home: FilePath,
): Promise<FilePath | undefined> {
  for (let n = 0; n < MOST_NAMES; n += 1) {
    const place = candidate(home, n);
    if ((await look(connection, place)) !== undefined) continue;
    const reply = await rename(connection, aside, place);
    if (isGood(reply)) return place;
    if ((await look(connection, aside)) === undefined) return undefined;
    throw replyFault(reply, 'put back', home, connection.name);
  }
  return undefined;
}
