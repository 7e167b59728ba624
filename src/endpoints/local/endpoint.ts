/**
 * A folder of this host, or a share mounted here, as an endpoint. Paths are relative to the folder; a leading `/`
 * means the folder itself, except in an archive's target, where it is a path of this host.
 */

import { isAbsolute } from 'node:path';
import type { FilePath } from '../../sync/names.ts';
import { printable } from '../../sync/names.ts';
import type {
  CallOptions,
  Capabilities,
  Endpoint,
  EndpointContext,
  Entry,
  FileVersion,
  ListOptions,
  Mount,
  MountOptions,
  SendOptions,
  SendResult,
  Session,
  SourceFile,
} from '../endpoint.ts';
import { archive } from './archive.ts';
import { Aside } from './aside.ts';
import { Disk } from './disk.ts';
import { entryOf } from './entry.ts';
import { isMissing } from './faults.ts';
import { FolderSync } from './folder-sync.ts';
import { list } from './list.ts';
import { Mounts } from './mount.ts';
import { type PartContext, partOf, remove } from './part.ts';
import { probe } from './probe.ts';
import { Prompt } from './prompt.ts';
import { Root } from './root.ts';
import { send } from './send.ts';
import type { LocalSettings } from './settings.ts';
import { type SourceContext, sourceOf } from './source.ts';

const CAPABILITIES: Capabilities = {
  atomicRename: true,
  commitsAtClose: false,
  filesInFlight: 64,
  resume: true,
  positionalWrites: false,
  checksum: 'read-back',
  setsMtime: true,
  asynchronous: false,
  byteNames: true,
  clockSkewMs: 0,
};

export function createLocal(settings: LocalSettings, context: Pick<EndpointContext, 'name'>): Endpoint {
  return {
    name: context.name,
    kind: 'local',
    capabilities: CAPABILITIES,
    address: `folder ${printable(settings.path)}`,
    // A source is read by every destination's deliveries at once.
    connections: 4,
    idleMs: 60_000,
    connect: async (signal) => {
      const disk = new Disk();
      try {
        const root = new Root(settings.path, disk);
        await disk.bounded(signal, () => root.assertThere());
        return new LocalSession(disk, root);
      } catch (error) {
        disk[Symbol.dispose]();
        throw error;
      }
    },
    probe: (folder, options) => probe(settings.path, folder, options),
  };
}

class LocalSession implements Session {
  readonly capabilities = CAPABILITIES;
  readonly #disk: Disk;
  readonly #root: Root;
  readonly #aside: Aside;
  readonly #mounts: Mounts;
  readonly #parts: PartContext;
  readonly #reading: SourceContext;

  constructor(disk: Disk, root: Root) {
    this.#disk = disk;
    this.#root = root;
    this.#aside = new Aside(disk, root, Date.now);
    this.#mounts = new Mounts(disk, root);
    this.#parts = { disk, root, folders: new FolderSync(disk) };
    this.#reading = { disk, root, prompt: new Prompt(disk) };
  }

  get broken() {
    return this.#disk.broken;
  }

  send(source: SourceFile, path: FilePath, options: SendOptions): Promise<SendResult> {
    return this.#disk.bounded(options.signal, () => send(this.#parts, source, path, options));
  }

  async discard(
    path: FilePath,
    token: string,
    _note: string | undefined,
    options: CallOptions,
  ): Promise<void> {
    await this.#call(options, `clean up for ${printable(path)}`, async () => {
      await this.#root.assertThere();
      await remove(this.#disk, partOf(this.#root.fileAt(path), token));
    });
  }

  list(folder: FilePath, options: ListOptions): AsyncIterable<Entry> {
    const context = {
      disk: this.#disk,
      root: this.#root,
      stat: (path: FilePath) => this.stat(path, options),
      recover: async (own: FilePath) => {
        const back = await this.#aside.recover(this.#root.at(own));
        const prefix = own.slice(0, own.lastIndexOf('/') + 1);
        return back.map((path) => prefix + path.slice(path.lastIndexOf('/') + 1));
      },
    };
    return list(context, folder, options);
  }

  mount(folder: FilePath, options: MountOptions): Promise<Mount> {
    const isOutside = options.archive === true && isAbsolute(folder);
    return this.#call(options, `look for the mount of ${printable(folder)}`, () =>
      this.#mounts.of(isOutside ? folder : this.#root.at(folder)),
    );
  }

  stat(path: FilePath, options: CallOptions): Promise<Entry | undefined> {
    return this.#call(options, `look at ${printable(path)}`, async () => {
      try {
        return entryOf(path, await this.#disk.lstat(this.#root.at(path)));
      } catch (error) {
        if (!isMissing(error)) throw error;
        await this.#root.assertThere();
        return undefined;
      }
    });
  }

  source(path: FilePath, version: FileVersion): SourceFile {
    return sourceOf(this.#reading, path, version);
  }

  async remove(path: FilePath, version: FileVersion, options: CallOptions): Promise<void> {
    await this.#call(options, `delete ${printable(path)}`, () =>
      this.#aside.take(this.#root.fileAt(path), path, version, (taken) => this.#disk.unlink(taken)),
    );
  }

  archive(path: FilePath, version: FileVersion, target: FilePath, options: CallOptions): Promise<FilePath> {
    return this.#call(options, `archive ${printable(path)}`, () =>
      archive({ context: this.#parts, aside: this.#aside, path, version, target }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disk[Symbol.dispose]();
  }

  async #call<T>(options: CallOptions, doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#disk.bounded(options.signal, work);
    } catch (error) {
      throw this.#disk.fault(error, doing);
    }
  }
}
