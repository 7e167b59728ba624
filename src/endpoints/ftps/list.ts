/**
 * Walks a remote tree, folder by folder: MLSD where the server knows it, else LIST for the names and MDTM for the
 * times (LIST itself gives them without zone, often without year), many of those on their way at once.
 */

import { asFault, Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, joinPath, printable, takenFrom } from '../../sync/names.ts';
import type { Entry, ListOptions } from '../endpoint.ts';
import { recover } from './aside.ts';
import type { Connection } from './connection.ts';
import { missingFault, replyFault } from './faults.ts';
import type { Lanes } from './lanes.ts';
import { type Line, lineIn, mlsdLineIn, namesNothing } from './listing.ts';
import { entryOf, look } from './look.ts';
import { nameOfWire } from './names.ts';
import { isGood, mdtmIn } from './reply.ts';
import { transfer } from './transfer.ts';

/** MDTMs on their way at once. */
const AHEAD = 100;

export async function* list(
  lanes: Lanes,
  root: FilePath,
  options: ListOptions,
): AsyncGenerator<Entry, void, undefined> {
  const { signal } = options;
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    throwIfAborted(signal);
    for (const entry of await entriesOf(lanes, folder, folder === root, options)) {
      throwIfAborted(signal);
      const enter = entry.kind === 'folder' && options.recursive !== false;
      if (enter && options.enter?.(entry.path) !== false) folders.push(entry.path);
      yield entry;
    }
  }
}

/** A folder that cannot be read is told of, and the walk goes on; one that has gone meanwhile is nothing. */
async function entriesOf(
  lanes: Lanes,
  folder: FilePath,
  isRoot: boolean,
  options: ListOptions,
): Promise<readonly Entry[]> {
  try {
    return await lanes.use(options.signal, (connection) => readFolder(connection, folder, options));
  } catch (error) {
    const fault = asFault(error, options.signal);
    if (isRoot || fault.kind === 'unreachable' || fault.kind === 'aborted' || fault.kind === 'rejected')
      throw fault;
    if (fault.code !== 'ENOENT') options.unreadable?.(folder, fault);
    return [];
  }
}

async function readFolder(
  connection: Connection,
  folder: FilePath,
  options: ListOptions,
): Promise<readonly Entry[]> {
  const { facts } = connection.traits;
  const lines = await linesOf(connection, folder, options.signal);
  const found: Line[] = [];
  for (const text of lines) {
    const line = facts ? mlsdLineIn(text) : (lineIn(text) ?? (namesNothing(text) ? 'skip' : undefined));
    if (line === undefined) options.unreadable?.(folder, strangeFault(connection, folder, text));
    else if (line !== 'skip') found.push(line);
  }
  const named = found.map((line) => ({ line, path: joinPath(folder, nameOfWire(line.wire)) }));
  const entries = named.filter(({ path }) => takenFrom(path) === undefined);
  const known = facts
    ? entries.map(({ line, path }) => entryOf(path, line))
    : await withTimes(connection, entries);
  const back: Entry[] = [];
  for (const { path } of options.lookOnly === true ? [] : named) {
    if (takenFrom(path) !== undefined) back.push(...(await putBack(connection, path, options)));
  }
  return [...known, ...back];
}

/** What a removal that was cut short has left aside. */
async function putBack(
  connection: Connection,
  aside: FilePath,
  options: ListOptions,
): Promise<readonly Entry[]> {
  try {
    const path = await recover(connection, aside);
    const facts = path === undefined ? undefined : await look(connection, path);
    return path === undefined || facts === undefined ? [] : [entryOf(path, facts)];
  } catch (error) {
    const fault = asFault(error, options.signal);
    if (fault.kind === 'unreachable' || fault.kind === 'aborted') throw fault;
    options.unreadable?.(aside, fault);
    return [];
  }
}

async function linesOf(
  connection: Connection,
  folder: FilePath,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { facts } = connection.traits;
  const wire = connection.wire(folder);
  if (!facts) {
    const reply = await connection.control.ask(`CWD ${wire}`);
    if (!isGood(reply)) throw await notEntered(connection, folder, reply);
  }
  const chunks: Buffer[] = [];
  const options = { doing: 'list', path: folder, together: true, signal };
  const command = facts ? `MLSD ${wire}` : 'LIST -a';
  try {
    const result = await transfer(connection, { ...options, command }, async (data) => {
      for await (const chunk of data.chunks()) chunks.push(chunk);
    });
    if (result.state === 'unconfirmed') throw result.fault;
  } catch (error) {
    if (!(error instanceof Fault) || error.kind !== 'permanent' || connection.broken !== undefined)
      throw error;
    throw (await look(connection, folder)) === undefined
      ? missingFault('list', folder, connection.name)
      : error;
  }
  return Buffer.concat(chunks)
    .toString('latin1')
    .split(/\r?\n/)
    .filter((line) => line !== '');
}

async function notEntered(
  connection: Connection,
  folder: FilePath,
  reply: Parameters<typeof replyFault>[0],
): Promise<Fault> {
  const there = await look(connection, folder);
  if (there === undefined && !/permission|denied/i.test(reply.text))
    return missingFault('list', folder, connection.name);
  return replyFault(reply, 'list', folder, connection.name);
}

/** Files get their time; one that is gone by now is left out. */
async function withTimes(
  connection: Connection,
  entries: readonly { readonly line: Line; readonly path: FilePath }[],
): Promise<readonly Entry[]> {
  const timed: Entry[] = [];
  for (let at = 0; at < entries.length; at += AHEAD) {
    const part = entries.slice(at, at + AHEAD);
    const asked = part.filter(({ line }) => line.kind === 'file');
    const commands = asked.map(({ path }) => `MDTM ${connection.wire(path)}`);
    const replies = await connection.control.askAll(...commands);
    const times = new Map(asked.map(({ path }, index) => [path, replies[index]]));
    for (const { line, path } of part) {
      const reply = times.get(path);
      if (reply === undefined) timed.push(entryOf(path, line));
      else if (isGood(reply)) timed.push(entryOf(path, { ...line, mtimeMs: mdtmIn(reply) ?? 0 }));
    }
  }
  return timed;
}

function strangeFault(connection: Connection, folder: FilePath, text: string): Fault {
  return new Fault(
    'permanent',
    `${connection.name}: a line of the listing of ${printable(folder)} cannot be read: ${printable(nameOfWire(text))}`,
    {
      code: 'EILSEQ',
      advice: 'A file with a line break in its name looks so: FTP cannot carry it. Rename it there.',
    },
  );
}
