/** A file of this endpoint to be sent elsewhere. */

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, folderOf, printable } from '../../sync/names.ts';
import { CHUNK_BYTES, type FileVersion, type SourceFile, type SourceReader } from '../endpoint.ts';
import type { Disk, FileCalls } from './disk.ts';
import { isVersion } from './entry.ts';
import { changed, isMissing, vanished } from './faults.ts';
import type { Prompt } from './prompt.ts';
import type { Root } from './root.ts';

/** Chunks read ahead of whoever takes them. */
const AHEAD = 3;
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface SourceContext {
  readonly disk: Disk;
  readonly root: Root;
  readonly prompt: Prompt;
}

export function sourceOf(context: SourceContext, path: FilePath, version: FileVersion): SourceFile {
  return {
    path,
    version,
    near: true,
    open: (signal) => open(context, path, version, signal),
  };
}

async function open(
  context: SourceContext,
  path: FilePath,
  version: FileVersion,
  signal: AbortSignal,
): Promise<SourceReader> {
  const { prompt, root } = context;
  const at = root.at(path);
  const folder = folderOf(at);
  const opening = prompt.within(folder, signal, (calls) => openBy(calls, context, at, path, version));
  const learning = prompt.learn(folder);
  const opened = await opening;
  await learning;
  return readerOf(context, path, version, opened);
}

async function openBy(
  calls: FileCalls,
  { disk, root }: SourceContext,
  at: FilePath,
  path: FilePath,
  version: FileVersion,
): Promise<Opened> {
  let fd: number;
  try {
    fd = await calls.open(at, FLAGS);
  } catch (error) {
    if (!isMissing(error)) throw sourceFault(disk, error, path);
    await root.assertThere();
    throw vanished(path, error);
  }
  try {
    const opened = await calls.fstat(fd);
    if (!isVersion(opened, version)) throw changed(path);
    return { fd, ctimeMs: opened.ctimeMs };
  } catch (error) {
    await calls.close(fd);
    throw sourceFault(disk, error, path);
  }
}

interface Opened {
  readonly fd: number;
  /** What is written later shows here, also where the writer sets the file's mtime back. */
  readonly ctimeMs: number;
}

function readerOf(
  { disk, root, prompt }: SourceContext,
  path: FilePath,
  version: FileVersion,
  { fd, ctimeMs }: Opened,
): SourceReader {
  const at = root.at(path);
  const folder = folderOf(at);
  const spare: Buffer[] = [];
  const readExactly = async (start: number, end: number, calls: FileCalls): Promise<Buffer> => {
    const length = end - start;
    try {
      const bytes = await calls.read(fd, length, start, length === CHUNK_BYTES ? spare.pop() : undefined);
      if (bytes.length < length) throw changed(path);
      return bytes;
    } catch (error) {
      throw sourceFault(disk, error, path);
    }
  };

  // Reads under way; the file is closed when they are done.
  let underWay = 0;
  let whenIdle: (() => void) | undefined;
  const tracked = async (start: number, end: number, calls: FileCalls = disk): Promise<Buffer> => {
    underWay += 1;
    try {
      return await readExactly(start, end, calls);
    } finally {
      underWay -= 1;
      if (underWay === 0) whenIdle?.();
    }
  };

  let seenMs = ctimeMs;
  /** While the file is open no other can get its inode: the name's own version says it all. Resolves to its ctime. */
  const lookAgain = (signal: AbortSignal): Promise<number> =>
    prompt.within(folder, signal, async (calls) => {
      try {
        const now = await calls.lstat(at);
        if (!isVersion(now, version)) throw changed(path);
        return now.ctimeMs;
      } catch (error) {
        if (!isMissing(error)) throw sourceFault(disk, error, path);
        await root.assertThere();
        throw vanished(path, error);
      }
    });

  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    if (underWay > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      whenIdle = resolve;
      await promise;
    }
    await prompt.calls(folder).close(fd);
  };

  return {
    read: (start, end, signal) => ahead(tracked, start, end, signal, disk),
    giveBack: (chunk) => {
      if (chunk.length === CHUNK_BYTES && spare.length < AHEAD) spare.push(chunk);
    },
    readAll: (signal) => prompt.within(folder, signal, (calls) => tracked(0, version.sizeBytes, calls)),
    recheck: async (signal, sent) => {
      for (;;) {
        const nowMs = await lookAgain(signal);
        if (nowMs === seenMs) return;
        const hash = createHash('sha256');
        for await (const chunk of ahead(tracked, 0, version.sizeBytes, signal, disk)) hash.update(chunk);
        if (hash.digest('hex') !== (await sent?.())) throw changed(path);
        seenMs = nowMs; // its mode, its owner or a link to it: unless it was touched again meanwhile
      }
    },
    [Symbol.asyncDispose]: () => {
      closed ??= disk.broken === undefined ? close() : Promise.resolve();
      return closed;
    },
  };
}

async function* ahead(
  read: (start: number, end: number) => Promise<Buffer>,
  start: number,
  end: number,
  signal: AbortSignal,
  disk: Disk,
): AsyncGenerator<Buffer> {
  const reads: Promise<Buffer>[] = [];
  let at = start;
  while (at < end || reads.length > 0) {
    throwIfAborted(signal);
    while (at < end && reads.length < AHEAD) {
      const next = Math.min(at + CHUNK_BYTES, end);
      const chunk = read(at, next);
      chunk.catch(() => undefined); // reported when its turn comes
      reads.push(chunk);
      at = next;
    }
    const first = reads.shift();
    if (first !== undefined) yield await disk.bounded(signal, () => first);
  }
}

function sourceFault(disk: Disk, error: unknown, path: FilePath): Fault {
  if (error instanceof Fault) return error;
  const fault = disk.fault(error, `read ${printable(path)}`);
  // A link where the file was: something else took its name.
  return fault.code === 'ELOOP' ? changed(path) : fault;
}
