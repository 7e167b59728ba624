/** What happens to a remote source once it was delivered: removed, or moved to an archive, exactly that version. */

import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { candidate, type FilePath, printable } from '../../sync/names.ts';
import type { CallOptions, FileVersion } from '../endpoint.ts';
import { expectTaken, takeAside } from './aside.ts';
import type { Connection } from './connection.ts';
import { replyFault, saysMissing } from './faults.ts';
import { ensureFolderOf } from './folders.ts';
import { look, lookAtLink } from './look.ts';
import { rename } from './publish.ts';
import { isGood } from './reply.ts';
import { otherFault, sameAs, vanishedFault } from './source.ts';

const MOST_NAMES = 10_000;

export async function remove(
  connection: Connection,
  path: FilePath,
  version: FileVersion,
  options: CallOptions,
): Promise<void> {
  await expectVersion(connection, path, version);
  throwIfAborted(options.signal);
  await takeAside(connection, path, version, async (taken) => {
    const reply = await connection.control.ask(`DELE ${connection.wire(taken)}`);
    if (isGood(reply)) return;
    const gone = saysMissing(reply) || (await look(connection, taken)) === undefined;
    if (gone) throw vanishedFault(connection.name, path);
    throw replyFault(reply, 'remove', path, connection.name);
  });
}

/** FTP's rename replaces: the target is looked at before, and nobody else of this endpoint takes it meanwhile. */
export async function archive(
  connection: Connection,
  path: FilePath,
  version: FileVersion,
  target: FilePath,
  options: CallOptions,
): Promise<FilePath> {
  connection.wire(target);
  await expectVersion(connection, path, version);
  await ensureFolderOf(connection, target);
  return await connection.memory.alone(target, async () => {
    for (let n = 0; n < MOST_NAMES; n += 1) {
      throwIfAborted(options.signal);
      const name = candidate(target, n);
      if ((await look(connection, name)) !== undefined) continue;
      const reply = await rename(connection, path, name);
      if (isGood(reply)) {
        await expectTaken(connection, path, version, name);
        return name;
      }
      if ((await look(connection, path)) === undefined) throw vanishedFault(connection.name, path);
      throw replyFault(reply, 'archive to', name, connection.name);
    }
    throw new Fault(
      'permanent',
      `${connection.name}: ${MOST_NAMES} names like ${printable(target)} are taken`,
      {
        code: 'EEXIST',
      },
    );
  });
}

async function expectVersion(connection: Connection, path: FilePath, version: FileVersion): Promise<void> {
  const there = await lookAtLink(connection, path);
  if (there === undefined) throw vanishedFault(connection.name, path);
  if (there.kind !== 'file' || !sameAs(version, there)) throw otherFault(connection.name, path);
}
