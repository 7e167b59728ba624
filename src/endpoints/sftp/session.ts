/** A live SFTP connection as the contract's Session. Each call is bounded, honours its signal and throws only Faults. */

import type { Fault } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import {
  type CallOptions,
  type Capabilities,
  type Entry,
  type FileVersion,
  type ListOptions,
  SERVER_CLOCK_SKEW_MS,
  type SendOptions,
  type SendResult,
  type Session,
  type SourceFile,
} from '../endpoint.ts';
import { archive, remove, stat } from './after.ts';
import { bounded } from './bounded.ts';
import { list } from './list.ts';
import { lookAt } from './publish.ts';
import type { Remote } from './remote.ts';
import { send } from './send.ts';
import { sourceOf } from './source.ts';
import { asidePath, removeIfThere, tempPath, tryPath } from './temp.ts';

export class SftpSession implements Session {
  readonly remote: Remote;
  readonly #filesInFlight: number;
  #capabilities: Capabilities | undefined;

  readonly roundTripMs: number | undefined;

  /** @param filesInFlight as set; fewer where the server has fewer handles */
  constructor(remote: Remote, filesInFlight: number, roundTripMs: number | undefined) {
    this.remote = remote;
    this.roundTripMs = roundTripMs;
    // A listing and the other sessions' help need handles too.
    this.#filesInFlight = Math.max(1, Math.min(filesInFlight, Math.floor(remote.wire.maxHandles / 2)));
  }

  get broken(): Fault | undefined {
    return this.remote.link.broken;
  }

  /** As negotiated, and as learned since. Asked for often: made anew only when something was learned. */
  get capabilities(): Capabilities {
    const { renames, sha256Tool } = this.remote.memory;
    const known = this.#capabilities;
    const checksum = typeof sha256Tool === 'string' ? 'remote' : 'read-back';
    if (known?.resume === renames && known.checksum === checksum) return known;
    const { traits, wire } = this.remote;
    this.#capabilities = {
      atomicRename: renames && traits.posixRename,
      commitsAtClose: !renames && traits.commitsAtClose,
      filesInFlight: this.#filesInFlight,
      resume: renames,
      positionalWrites: renames && traits.positionalWrites,
      checksum,
      setsMtime: traits.setsMtime,
      asynchronous: false,
      byteNames: wire.byteNames && traits.kind !== 'aws-transfer',
      clockSkewMs: SERVER_CLOCK_SKEW_MS,
    };
    return this.#capabilities;
  }

  async send(source: SourceFile, path: FilePath, options: SendOptions): Promise<SendResult> {
    const { remote } = this;
    const receipt = await bounded(remote.link, options.signal, () =>
      send({
        remote,
        source,
        sizeBytes: source.version.sizeBytes,
        path,
        options,
        helpers: this.#helpers(options.helpers),
      }),
    );
    return { state: 'done', receipt };
  }

  discard(path: FilePath, token: string, _note: string | undefined, options: CallOptions): Promise<void> {
    const { remote } = this;
    const temp = tempPath(path, token);
    const clear = async (): Promise<void> => {
      const own = [temp, tryPath(path, token)];
      await Promise.all(own.map((temporary) => removeIfThere(remote, temporary)));
      if (!remote.traits.posixRename) await this.#putBack(path, asidePath(path, token));
    };
    return bounded(remote.link, options.signal, () => remote.memory.alone(temp, options.signal, clear));
  }

  list(folder: FilePath, options: ListOptions): AsyncIterable<Entry> {
    return list(this.remote, folder, options);
  }

  stat(path: FilePath, options: CallOptions): Promise<Entry | undefined> {
    return bounded(this.remote.link, options.signal, () => stat(this.remote, path));
  }

  source(path: FilePath, version: FileVersion): SourceFile {
    return sourceOf(this.remote, path, version);
  }

  remove(path: FilePath, version: FileVersion, options: CallOptions): Promise<void> {
    return bounded(this.remote.link, options.signal, () => remove(this.remote, path, version, options));
  }

  archive(path: FilePath, version: FileVersion, target: FilePath, options: CallOptions): Promise<FilePath> {
    return bounded(this.remote.link, options.signal, () =>
      archive(this.remote, path, version, target, options),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remote.link.close();
  }

  /** The old file of a replacement that was interrupted: back under its name, unless that holds a file again. */
  async #putBack(path: FilePath, aside: FilePath): Promise<void> {
    const { remote } = this;
    if ((await lookAt(remote, aside)) === undefined) return;
    if ((await lookAt(remote, path)) === undefined)
      await remote.wire.rename(aside, path).catch(() => undefined);
    else await removeIfThere(remote, aside);
  }

  /** Sessions of the same endpoint, on a host with the same key. */
  #helpers(sessions: readonly Session[]): readonly Remote[] {
    const { memory, hostKey, traits } = this.remote;
    if (!traits.positionalWrites) return [];
    return sessions
      .filter((session): session is SftpSession => session instanceof SftpSession && session !== this)
      .map((session) => session.remote)
      .filter((remote) => remote.memory === memory && remote.link.broken === undefined)
      .filter((remote) => remote.hostKey.fingerprint === hostKey.fingerprint);
  }
}
