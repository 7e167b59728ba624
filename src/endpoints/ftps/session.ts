/** A live FTPS connection as the contract's Session. Each call is bounded, honours its signal and throws only Faults. */

import type { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import {
  type CallOptions,
  type Capabilities,
  type Entry,
  type FileVersion,
  type ListOptions,
  type Receipt,
  SERVER_CLOCK_SKEW_MS,
  type SendOptions,
  type SendResult,
  type Session,
  type SourceFile,
} from '../endpoint.ts';
import { archive, remove } from './after.ts';
import type { Connection } from './connection.ts';
import { tempPath, tryPath } from './job.ts';
import type { Lane, Lanes } from './lanes.ts';
import { list } from './list.ts';
import { entryOf, lookAtLink } from './look.ts';
import { putBack, removeIfThere } from './publish.ts';
import { send } from './send.ts';
import { sourceOf } from './source.ts';

export class FtpsSession implements Session {
  readonly #lanes: Lanes;
  readonly #reconnect: (signal: AbortSignal) => Promise<Connection>;
  /** They have freed it, and wait for what became of their rename. */
  readonly #freed = new Set<Promise<unknown>>();

  constructor(lanes: Lanes, reconnect: (signal: AbortSignal) => Promise<Connection>) {
    this.#lanes = lanes;
    this.#reconnect = reconnect;
  }

  /** For `ferry check`. */
  get connection(): Connection {
    return this.#lanes.main;
  }

  get broken(): Fault | undefined {
    return this.#lanes.broken;
  }

  get capabilities(): Capabilities {
    return capabilitiesOf(this.#lanes.main);
  }

  async send(source: SourceFile, path: FilePath, options: SendOptions): Promise<SendResult> {
    const { sizeBytes } = source.version;
    const reconnect = this.#reconnect;
    const take = (signal: AbortSignal): Promise<Lane> => this.#lanes.takeMain(signal);
    const begin = (connection: Connection, lane: Lane): Promise<Receipt> => {
      const free = (): void => {
        this.#freed.add(sending);
        lane.release();
        options.freed?.();
      };
      return send(connection, { source, sizeBytes, path, options, reconnect, free, take });
    };
    const sending = this.#lanes.use(options.signal, begin, take(options.signal));
    try {
      return { state: 'done', receipt: await sending };
    } finally {
      this.#freed.delete(sending);
    }
  }

  discard(path: FilePath, token: string, _note: string | undefined, options: CallOptions): Promise<void> {
    return this.#lanes.use(options.signal, async (connection) => {
      if (!connection.memory.renames) return;
      await removeIfThere(connection, tempPath(path, token));
      await removeIfThere(connection, tryPath(path, token));
      if (connection.memory.replaces === false) await putBack(connection, path, token);
    });
  }

  list(folder: FilePath, options: ListOptions): AsyncIterable<Entry> {
    return list(this.#lanes, folder, options);
  }

  stat(path: FilePath, options: CallOptions): Promise<Entry | undefined> {
    return this.#lanes.use(options.signal, async (connection) => {
      const facts = await lookAtLink(connection, path);
      return facts === undefined ? undefined : entryOf(path, facts);
    });
  }

  source(path: FilePath, version: FileVersion): SourceFile {
    return sourceOf(this.#lanes, path, version);
  }

  remove(path: FilePath, version: FileVersion, options: CallOptions): Promise<void> {
    return this.#lanes.use(options.signal, (connection) => remove(connection, path, version, options));
  }

  archive(path: FilePath, version: FileVersion, target: FilePath, options: CallOptions): Promise<FilePath> {
    return this.#lanes.use(options.signal, (connection) =>
      archive(connection, path, version, target, options),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#freed);
    await this.#lanes[Symbol.asyncDispose]();
  }
}

/** With what was learned since it was made. */
export function capabilitiesOf({ traits, memory }: Pick<Connection, 'traits' | 'memory'>): Capabilities {
  return {
    atomicRename: memory.renames && (memory.replaces ?? traits.replaces),
    commitsAtClose: !memory.renames && traits.commitsAtClose,
    filesInFlight: 1,
    resume: memory.renames && traits.restart && memory.restarts,
    positionalWrites: false,
    checksum: traits.hash || traits.xsha256 ? 'remote' : 'read-back',
    setsMtime: traits.setTime !== undefined && memory.setsTime && traits.kind !== 'aws-transfer',
    asynchronous: false,
    byteNames: traits.byteNames,
    clockSkewMs: SERVER_CLOCK_SKEW_MS,
  };
}
