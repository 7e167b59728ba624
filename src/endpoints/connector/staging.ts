/**
 * The bucket between here and the connector, through the s3 endpoint: puts files there for it to take, reads what it
 * puts there (listings, files for comparison), and removes both. One session, made when it is first needed. Its
 * trouble is the connector's, which is nothing without it.
 */

import { createHash } from 'node:crypto';
import { asFault, Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, joinPath } from '../../sync/names.ts';
import type { Endpoint, S3Object, SendOptions, Session, SourceFile } from '../endpoint.ts';

export interface StagingOptions {
  /** The s3 endpoint. */
  readonly endpoint: Endpoint;
  /** It is ours alone. */
  readonly owned: boolean;
}

export class Staging implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly #owned: boolean;
  #session: Promise<Session> | undefined;

  constructor({ endpoint, owned }: StagingOptions) {
    this.endpoint = endpoint;
    this.#owned = owned;
  }

  /** @throws Fault `rejected` where the endpoint is no bucket */
  object(path: FilePath): S3Object {
    const object = this.endpoint.objectAt?.(path);
    if (object !== undefined) return object;
    throw new Fault(
      'rejected',
      `${this.endpoint.name} is of type ${this.endpoint.kind}, and files are staged in S3`,
      {
        code: 'NO_BUCKET',
        advice: 'Name an s3 endpoint in staging, or write staging: { bucket: NAME, prefix: FOLDER }.',
      },
    );
  }

  /** A path at the endpoint as the connector takes it: `/bucket/key`. */
  address(path: FilePath): string {
    return addressOf(this.object(path));
  }

  /** Puts a file there, whole and verified. Resolves to the SHA-256 of its bytes. */
  async put(source: SourceFile, path: FilePath, options: SendOptions): Promise<string | undefined> {
    return await this.#with(options.signal, async (session) => {
      const result = await session.send(source, path, options);
      if (result.state === 'done') return result.receipt.sha256;
      throw new Fault('transient', `${this.endpoint.name} did not say that ${path} is there`);
    });
  }

  /** Undefined when nothing is there. */
  async stat(path: FilePath, signal: AbortSignal) {
    return await this.#with(signal, (session) => session.stat(path, { signal }));
  }

  /** The whole of a small object; undefined when it is not there. */
  async read(path: FilePath, signal: AbortSignal): Promise<Buffer | undefined> {
    return await this.#with(signal, async (session) => {
      const entry = await session.stat(path, { signal });
      if (entry === undefined) return undefined;
      await using reader = await session.source(path, entry.version).open(signal);
      const chunks: Buffer[] = [];
      for await (const chunk of reader.read(0, entry.version.sizeBytes, signal)) chunks.push(chunk);
      return Buffer.concat(chunks);
    });
  }

  /** SHA-256 of an object, lower-case hex; undefined when it is not there. */
  async digest(path: FilePath, signal: AbortSignal): Promise<string | undefined> {
    return await this.#with(signal, async (session) => {
      const entry = await session.stat(path, { signal });
      if (entry === undefined) return undefined;
      return await digestOf(session.source(path, entry.version), signal);
    });
  }

  /** What is not there need not be removed. */
  async remove(path: FilePath, signal: AbortSignal): Promise<void> {
    await this.#with(signal, async (session) => {
      const entry = await session.stat(path, { signal });
      if (entry === undefined) return;
      await session.remove(path, entry.version, { signal }).catch((error: unknown) => {
        if (!(error instanceof Fault) || error.kind !== 'vanished') throw error;
      });
    });
  }

  /** Of a `put` that was interrupted. */
  async discard(path: FilePath, token: string, note: string | undefined, signal: AbortSignal): Promise<void> {
    await this.#with(signal, (session) => session.discard(path, token, note, { signal }));
  }

  /** Makes sure that the bucket can be reached. */
  async reach(signal: AbortSignal): Promise<void> {
    await this.#with(signal, async () => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = await this.#session?.catch(() => undefined);
    this.#session = undefined;
    await session?.[Symbol.asyncDispose]();
    if (this.#owned) await this.endpoint.close?.();
  }

  async #with<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    try {
      return await work(await this.#live(signal));
    } catch (error) {
      throw asFault(error, signal);
    }
  }

  async #live(signal: AbortSignal): Promise<Session> {
    const before = this.#session;
    const session = await before?.catch(() => undefined);
    if (session !== undefined && session.broken === undefined) return session;
    // Another may have begun to connect meanwhile.
    if (this.#session === before) {
      void session?.[Symbol.asyncDispose]();
      const connecting = this.endpoint.connect(signal);
      connecting.catch(() => {
        if (this.#session === connecting) this.#session = undefined;
      });
      this.#session = connecting;
    }
    return await (this.#session ?? this.endpoint.connect(signal));
  }
}

export function addressOf({ bucket, key }: S3Object): string {
  return `/${bucket}/${key}`;
}

/** `/bucket/prefix` of a folder: that of a path in it, without its name. */
export function folderAddress(staging: Staging, folder: FilePath): string {
  const address = staging.address(joinPath(folder, 'x'));
  return address.slice(0, address.lastIndexOf('/'));
}

/** SHA-256 of a source, lower-case hex. @throws Fault `changed` when it is another version by now */
export async function digestOf(source: SourceFile, signal: AbortSignal): Promise<string> {
  await using reader = await source.open(signal);
  const hash = createHash('sha256');
  for await (const chunk of reader.read(0, source.version.sizeBytes, signal)) hash.update(chunk);
  await reader.recheck(signal);
  return hash.digest('hex');
}
