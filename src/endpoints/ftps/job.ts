/** One `send`: what is to go where, and what its parts share. */

import { Fault } from '../../sync/errors.ts';
import { type FilePath, inFolderOf, OWN_PREFIX, printable } from '../../sync/names.ts';
import type { SendOptions, SourceFile } from '../endpoint.ts';
import type { Connection } from './connection.ts';
import type { Lane } from './lanes.ts';
import { isGood, type Reply, timeValOf } from './reply.ts';

export interface Job {
  readonly source: SourceFile;
  readonly sizeBytes: number;
  /** Final name. */
  readonly path: FilePath;
  readonly options: SendOptions;
  /** Another control connection, for when the first is lost. @throws Fault */
  readonly reconnect: (signal: AbortSignal) => Promise<Connection>;
  /** Lets another file have the control connection. */
  readonly free: () => void;
  /** Waits for it to be free again. @throws Fault */
  readonly take: (signal: AbortSignal) => Promise<Lane>;
}

export function tempPath(path: FilePath, token: string): FilePath {
  return inFolderOf(path, `${OWN_PREFIX}${token}.part`);
}

/** Where the old file waits while a server that cannot replace it gets the new one. */
export function asidePath(path: FilePath, token: string): FilePath {
  return inFolderOf(path, `${OWN_PREFIX}${token}.old`);
}

/** A name that is tried to find out whether anything can be renamed. */
export function tryPath(path: FilePath, token: string): FilePath {
  return inFolderOf(path, `${OWN_PREFIX}${token}.try`);
}

export function changedFault(job: Job, what: string): Fault {
  return new Fault('changed', `${printable(job.source.path)} ${what} while it was sent`, { code: 'CHANGED' });
}

/** The commands that give a file its time and mode, to be sent before it is renamed; answers go to `attributesSet`. */
export function attributeCommands(connection: Connection, job: Job, path: FilePath): readonly string[] {
  const { traits, memory } = connection;
  const { options, source } = job;
  const { mtimeMs } = source.version;
  const wire = connection.wire(path);
  const inRange = mtimeMs >= 0 && mtimeMs < 253_402_300_800_000; // four digits of year
  const time = options.preserveMtime && inRange && memory.setsTime ? traits.setTime : undefined;
  return [
    ...(time === undefined ? [] : [`${time} ${timeValOf(mtimeMs)} ${wire}`]),
    ...(options.mode === undefined || !memory.setsMode
      ? []
      : [`SITE CHMOD ${(options.mode & 0o7777).toString(8)} ${wire}`]),
  ];
}

/** A server that refuses is mentioned once and not asked again, and the file is none the worse for it. */
export function attributesSet(
  connection: Connection,
  commands: readonly string[],
  replies: readonly Reply[],
): void {
  const { memory, name, traits } = connection;
  for (const [index, command] of commands.entries()) {
    const reply = replies[index];
    if (reply === undefined || isGood(reply)) continue;
    const mode = command.startsWith('SITE');
    if (mode) memory.setsMode = false;
    else memory.setsTime = false;
    if (traits.kind === 'aws-transfer') continue; // an object in S3 has neither
    memory.warn(
      `${name} does not let the ${mode ? 'mode' : 'time'} of files be set; they are delivered without`,
    );
  }
}
