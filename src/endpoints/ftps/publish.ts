/**
 * Gives a finished temporary its final name, in the safest way that the server has.
 *
 * Most servers replace an existing file on rename, in one step. FTP has no word for it, so it is found out where it
 * matters, and without risk: the rename is tried, and where it is refused because the name is taken, the old file is
 * moved aside, the new one renamed, and the old one removed, or put back when the rename fails.
 */

import type { FilePath } from '../../sync/names.ts';
import type { Connection } from './connection.ts';
import { folderFault, replyFault } from './faults.ts';
import { asidePath, tryPath } from './job.ts';
import { look } from './look.ts';
import { isGood, type Reply } from './reply.ts';

/** `refused`: this server renames nothing. */
export type Published = 'published' | 'refused';

export interface PublishOptions {
  readonly temp: FilePath;
  readonly path: FilePath;
  readonly token: string;
}

/** Replaces what is there. Errors are Faults. */
export async function publish(connection: Connection, options: PublishOptions): Promise<Published> {
  const { temp, path, token } = options;
  const { memory, name } = connection;
  const taken = memory.replaces === false ? await look(connection, path) : undefined;
  if (taken !== undefined) {
    if (taken.kind === 'folder') throw folderFault(path, name, undefined);
    await replaceByMovingAside(connection, temp, path, token);
    return 'published';
  }
  const reply = await rename(connection, temp, path);
  if (isGood(reply)) return 'published';
  if (await renamesNothing(connection, temp, token)) return 'refused';
  const there = await look(connection, path);
  if (there?.kind === 'folder') throw folderFault(path, name, reply);
  if (there === undefined) throw replyFault(reply, 'rename to', path, name);
  memory.replaces = false;
  await replaceByMovingAside(connection, temp, path, token);
  return 'published';
}

/**
 * As `publish`, where the server is known to replace: the commands leave, and the reply alone is waited for.
 * @param sent called once they have left
 * @returns false when the rename was refused: `publish` finds out why
 */
export async function publishQuickly(
  connection: Connection,
  { temp, path }: PublishOptions,
  sent: () => void,
): Promise<boolean> {
  const renaming = rename(connection, temp, path);
  sent();
  return isGood(await renaming);
}

/** Whether not even the temporary can get another name in its own folder. */
async function renamesNothing(connection: Connection, temp: FilePath, token: string): Promise<boolean> {
  const other = tryPath(temp, token);
  if (!isGood(await rename(connection, temp, other))) return true;
  await rename(connection, other, temp);
  return false;
}

/**
 * Both commands in one packet: RNTO without a good RNFR is refused, and ProFTPD takes nothing but RNTO after RNFR.
 * Gives the reply that refused, or the last.
 */
export async function rename(connection: Connection, from: FilePath, to: FilePath): Promise<Reply> {
  const { control } = connection;
  const [ready, done] = await control.askAll(`RNFR ${connection.wire(from)}`, `RNTO ${connection.wire(to)}`);
  return isGood(ready) ? done : ready;
}

async function replaceByMovingAside(
  connection: Connection,
  temp: FilePath,
  path: FilePath,
  token: string,
): Promise<void> {
  const { name } = connection;
  const aside = asidePath(path, token);
  await removeIfThere(connection, aside);
  const moved = await rename(connection, path, aside);
  if (!isGood(moved)) throw replyFault(moved, 'move aside', path, name);
  const renamed = await rename(connection, temp, path);
  if (!isGood(renamed)) {
    await rename(connection, aside, path);
    throw replyFault(renamed, 'rename to', path, name);
  }
  await connection.control.ask(`DELE ${connection.wire(aside)}`);
}

/** @throws Fault when it is there and cannot be removed */
export async function removeIfThere(connection: Connection, path: FilePath): Promise<void> {
  const reply = await connection.control.ask(`DELE ${connection.wire(path)}`);
  if (isGood(reply) || (await look(connection, path)) === undefined) return;
  throw replyFault(reply, 'remove', path, connection.name);
}

/** The old file of a replacement that was interrupted: back under its name, unless that holds a file again. */
export async function putBack(connection: Connection, path: FilePath, token: string): Promise<void> {
  const aside = asidePath(path, token);
  if ((await look(connection, aside)) === undefined) return;
  if ((await look(connection, path)) === undefined) await rename(connection, aside, path);
  else await removeIfThere(connection, aside);
}
