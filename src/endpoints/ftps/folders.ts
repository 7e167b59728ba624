/** Makes missing folders, each once: which ones are there is remembered for all sessions of the endpoint. */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, printable } from '../../sync/names.ts';
import type { Connection } from './connection.ts';
import { replyFault } from './faults.ts';
import { look } from './look.ts';
import { absolute } from './names.ts';
import { isGood } from './reply.ts';

/** Makes the folder of a path and those above it. @throws Fault */
export async function ensureFolderOf(connection: Connection, path: FilePath): Promise<void> {
  const folder = folderOf(absolute(connection.home, path));
  const { folders } = connection.memory;
  if (folder === '' || folder === '/' || folders.has(folder)) return;
  if (await enters(connection, folder)) {
    folders.add(folder);
    return;
  }
  await make(connection, folder);
}

/** Forgets the folder of a path if it is not there any more. True when it is to be made again. */
export async function folderVanished(connection: Connection, path: FilePath): Promise<boolean> {
  const folder = folderOf(absolute(connection.home, path));
  if (folder === '' || folder === '/' || (await enters(connection, folder))) return false;
  const { folders } = connection.memory;
  for (const known of folders) if (known === folder || folder.startsWith(`${known}/`)) folders.delete(known);
  return true;
}

async function enters(connection: Connection, folder: FilePath): Promise<boolean> {
  return isGood(await connection.control.ask(`CWD ${connection.wire(folder)}`));
}

/** From the nearest that is there downwards. */
async function make(connection: Connection, folder: FilePath): Promise<void> {
  const missing = [folder];
  for (let above = folderOf(folder); above !== '' && above !== '/'; above = folderOf(above)) {
    if (connection.memory.folders.has(above) || (await enters(connection, above))) break;
    missing.unshift(above);
  }
  for (const next of missing) {
    const reply = await connection.control.ask(`MKD ${connection.wire(next)}`);
    // Somebody else may have made it at the same moment.
    if (!isGood(reply) && !(await enters(connection, next))) {
      const there = await look(connection, next).catch(() => undefined);
      if (there === undefined) throw replyFault(reply, 'make the folder', next, connection.name);
      throw new Fault(
        'permanent',
        `${connection.name}: ${printable(next)} is to be a folder, but a file has that name`,
        {
          code: 'ENOTDIR',
          advice: 'Rename that file, or deliver to another folder; then ferry retry.',
        },
      );
    }
    connection.memory.folders.add(next);
  }
}
