/** A remote file as the source of a `send`: read at any position, several READs in flight. */

import { asFault, Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import type { FileVersion, SourceFile, SourceReader } from '../endpoint.ts';
import { fileFault, STATUS, statusOf } from './faults.ts';
import { isFile } from './kinds.ts';
import { readRange } from './read.ts';
import type { Remote } from './remote.ts';
import { type Attributes, FLAG, type Handle } from './wire.ts';

export function sourceOf(remote: Remote, path: FilePath, version: FileVersion): SourceFile {
  return {
    path,
    version,
    open: async (signal) => {
      throwIfAborted(signal);
      const handle = await open(remote, path);
      const reader = new RemoteReader(remote, path, version, handle);
      try {
        await reader.expectSame(remote.wire.fstat(handle));
        return reader;
      } catch (error) {
        await reader[Symbol.asyncDispose]();
        throw error;
      }
    },
  };
}

/** SFTP knows whole seconds, and no inode. */
export function sameAs(version: FileVersion, attributes: Attributes): boolean {
  return (
    attributes.sizeBytes === version.sizeBytes && attributes.mtime === Math.floor(version.mtimeMs / 1000)
  );
}

export function vanishedFault(remote: Remote, path: FilePath, cause: unknown): Fault {
  return new Fault('vanished', `${remote.name}: ${printable(path)} is not there any more`, {
    code: 'ENOENT',
    cause,
  });
}

export function otherFault(remote: Remote, path: FilePath): Fault {
  return new Fault('changed', `${remote.name}: ${printable(path)} is another version by now`, {
    code: 'CHANGED',
  });
}

async function open(remote: Remote, path: FilePath): Promise<Handle> {
  try {
    return await remote.wire.open(path, FLAG.read);
  } catch (error) {
    if (statusOf(error) === STATUS.noSuchFile) throw vanishedFault(remote, path, error);
    throw fileFault(error, 'read', path, remote.name);
  }
}

class RemoteReader implements SourceReader {
  readonly #remote: Remote;
  readonly #path: FilePath;
  readonly #version: FileVersion;
  readonly #handle: Handle;

  constructor(remote: Remote, path: FilePath, version: FileVersion, handle: Handle) {
    this.#remote = remote;
    this.#path = path;
    this.#version = version;
    this.#handle = handle;
  }

  async *read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* readRange(this.#remote, this.#handle, { start, end }, signal);
    } catch (error) {
      throw this.#fault(error, signal);
    }
  }

  async readAll(signal: AbortSignal): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.read(0, this.#version.sizeBytes, signal)) parts.push(part);
    const [first] = parts;
    return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
  }

  /** The open file and whatever has its name now must both still be that version. */
  async recheck(signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const { wire } = this.#remote;
    await Promise.all([this.expectSame(wire.fstat(this.#handle)), this.expectSame(wire.lstat(this.#path))]);
  }

  /** @throws Fault `changed` | `vanished` */
  async expectSame(looking: Promise<Attributes>): Promise<void> {
    let attributes: Attributes;
    try {
      attributes = await looking;
    } catch (error) {
      if (statusOf(error) === STATUS.noSuchFile) throw vanishedFault(this.#remote, this.#path, error);
      throw fileFault(error, 'look at', this.#path, this.#remote.name);
    }
    if (!isFile(attributes) || !sameAs(this.#version, attributes)) throw otherFault(this.#remote, this.#path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remote.wire.close(this.#handle).catch(() => undefined);
  }

  #fault(error: unknown, signal: AbortSignal): Fault {
    if (error instanceof Fault && error.kind === 'changed') return otherFault(this.#remote, this.#path);
    if (error instanceof Fault) return error;
    const fault = statusOf(error) === undefined ? asFault(error, signal) : undefined;
    return fault ?? fileFault(error, 'read', this.#path, this.#remote.name);
  }
}
