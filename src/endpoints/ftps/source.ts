/** A remote file as the source of a `send`: each read is a RETR, after REST where it starts in the middle. */

import { asFault, Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, printable } from '../../sync/names.ts';
import { CHUNK_BYTES, type FileVersion, type SourceFile, type SourceReader } from '../endpoint.ts';
import type { Lanes } from './lanes.ts';
import type { Facts } from './listing.ts';
import { look } from './look.ts';
import { readRange } from './read.ts';

export function sourceOf(lanes: Lanes, path: FilePath, version: FileVersion): SourceFile {
  return {
    path,
    version,
    open: async (signal) => {
      throwIfAborted(signal);
      const reader = new RemoteReader(lanes, path, version);
      await reader.recheck(signal);
      return reader;
    },
  };
}

/** FTP knows whole seconds, and no inode. */
export function sameAs(version: FileVersion, facts: Facts): boolean {
  const seconds = (ms: number): number => Math.floor(ms / 1000);
  return facts.sizeBytes === version.sizeBytes && seconds(facts.mtimeMs) === seconds(version.mtimeMs);
}

export function vanishedFault(name: string, path: FilePath): Fault {
  return new Fault('vanished', `${name}: ${printable(path)} is not there any more`, { code: 'ENOENT' });
}

export function otherFault(name: string, path: FilePath): Fault {
  return new Fault('changed', `${name}: ${printable(path)} is another version by now`, { code: 'CHANGED' });
}

class RemoteReader implements SourceReader {
  readonly #lanes: Lanes;
  readonly #path: FilePath;
  readonly #version: FileVersion;

  constructor(lanes: Lanes, path: FilePath, version: FileVersion) {
    this.#lanes = lanes;
    this.#path = path;
    this.#version = version;
  }

  async *read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    if (start >= end) return;
    const lane = await this.#lanes.take(signal);
    try {
      for await (const chunk of readRange(lane.connection, this.#path, { start, end }, signal)) {
        for (let at = 0; at < chunk.length; at += CHUNK_BYTES) yield chunk.subarray(at, at + CHUNK_BYTES);
      }
    } catch (error) {
      throw this.#fault(error, signal);
    } finally {
      lane.release();
    }
  }

  async readAll(signal: AbortSignal): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.read(0, this.#version.sizeBytes, signal)) parts.push(part);
    return Buffer.concat(parts);
  }

  async recheck(signal: AbortSignal): Promise<void> {
    await this.#lanes.use(signal, async (connection) => {
      const facts = await look(connection, this.#path);
      if (facts === undefined) throw vanishedFault(connection.name, this.#path);
      if (facts.kind !== 'file' || !sameAs(this.#version, facts))
        throw otherFault(connection.name, this.#path);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // nothing is held between reads
  }

  #fault(error: unknown, signal: AbortSignal): Fault {
    const fault = asFault(error, signal);
    if (fault.kind === 'changed') return otherFault(this.#lanes.name, this.#path);
    return fault.code === 'ENOENT' ? vanishedFault(this.#lanes.name, this.#path) : fault;
  }
}
