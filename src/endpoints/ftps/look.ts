/** What a server says of one path: by MLST (RFC 3659), or by SIZE, MDTM, CWD and STAT where it does not know that. */

import type { FilePath } from '../../sync/names.ts';
import type { Entry } from '../endpoint.ts';
import type { Connection } from './connection.ts';
import { replyFault, saysMissing } from './faults.ts';
import { type Facts, factsIn, lineIn } from './listing.ts';
import { factLineIn, isGood, isUnknown, mdtmIn, type Reply, sizeIn } from './reply.ts';

/** Undefined when there is nothing. A link may pass for what it leads to. @throws Fault when it may not be looked at */
export async function look(connection: Connection, path: FilePath): Promise<Facts | undefined> {
  if (connection.traits.facts) {
    const reply = await connection.control.ask(`MLST ${connection.wire(path)}`);
    const facts = factsOf(reply);
    if (facts !== undefined) return facts;
    if (!isUnknown(reply)) return missing(connection, reply, path);
  }
  return await lookByParts(connection, path);
}

/** As `look`, and tells links from files where the server does: ProFTPD's MLST follows them, and so does SIZE. */
export async function lookAtLink(connection: Connection, path: FilePath): Promise<Facts | undefined> {
  const facts = await look(connection, path);
  if (facts?.kind !== 'file') return facts; // the STAT of a folder may be endless
  const wire = connection.wire(path);
  const reply = await connection.control.ask(`STAT ${wire}`);
  const name = wire.slice(wire.lastIndexOf('/') + 1);
  const isLink = reply.text.split('\n').some((text) => {
    const line = lineIn(text.trimStart());
    return line?.kind === 'link' && line.wire.split('/').at(-1) === name;
  });
  return isLink ? { ...facts, kind: 'link' } : facts;
}

function factsOf(reply: Reply): Facts | undefined {
  const line = factLineIn(reply);
  return line === undefined ? undefined : factsIn(line);
}

function missing(connection: Connection, reply: Reply, path: FilePath): undefined {
  if (saysMissing(reply) || isGood(reply)) return undefined;
  const fault = replyFault(reply, 'look at', path, connection.name);
  // Most servers do not tell "not there" from "no reason given", and a file is a folder to none of them.
  if (reply.code === 550 && !/permission|denied|privilege/i.test(reply.text)) return undefined;
  if (fault.code === 'ENOTDIR' || reply.code === 553) return undefined;
  throw fault;
}

async function lookByParts(connection: Connection, path: FilePath): Promise<Facts | undefined> {
  const { control } = connection;
  const wire = connection.wire(path);
  const [size, time, folder] = await control.askAll(`SIZE ${wire}`, `MDTM ${wire}`, `CWD ${wire}`);
  if (isGood(folder)) return { kind: 'folder', sizeBytes: 0, mtimeMs: 0 };
  const sizeBytes = sizeIn(size);
  if (sizeBytes === undefined) return missing(connection, size, path);
  return { kind: 'file', sizeBytes, mtimeMs: mdtmIn(time) ?? 0 };
}

/** As the server knows it, whatever else it is; undefined when there is no such file. */
export async function sizeOf(connection: Connection, path: FilePath): Promise<number | undefined> {
  const reply = await connection.control.ask(`SIZE ${connection.wire(path)}`);
  return await sizeBy(connection, path, reply);
}

/** @param reply to SIZE: servers without it are asked otherwise */
export async function sizeBy(
  connection: Connection,
  path: FilePath,
  reply: Reply,
): Promise<number | undefined> {
  const size = sizeIn(reply);
  if (size !== undefined || !isUnknown(reply)) return size;
  return (await look(connection, path))?.sizeBytes;
}

export function entryOf(path: FilePath, facts: Facts): Entry {
  const { kind, mtimeMs, mode } = facts;
  const sizeBytes = kind === 'file' ? facts.sizeBytes : 0;
  return {
    path,
    kind,
    version: { sizeBytes, mtimeMs, tag: '' },
    changedMs: mtimeMs,
    ...(mode === undefined ? {} : { mode }),
  };
}
