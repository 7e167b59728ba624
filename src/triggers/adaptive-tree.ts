/**
 * A tree watched by the engine that fits it: chokidar while it is ordinary; folder by folder from the moment
 * that it is not, until the watch ends. Nothing is lost when they change over: what comes up in between is
 * covered by a look at the whole.
 */

import type { FilePath } from '../sync/names.ts';
import { ChokidarTree, type Ordinary } from './chokidar-tree.ts';
import { onFlood } from './flood.ts';
import { Folders } from './folders.ts';
import type { Tree, TreeOptions } from './tree.ts';

/** At most 13 MB, and a tenth of a core but for bursts (chokidar-tree.ts). */
export const ORDINARY: Ordinary = { entries: 1_000, looks: 100_000 };

export interface AdaptiveTreeOptions extends TreeOptions {
  /** One native watch for the whole tree, where the system has it (Windows and macOS): then no other engine is needed. */
  readonly recursive: boolean;
  /** No entries: never chokidar. */
  readonly ordinary: Ordinary;
}

export class AdaptiveTree implements Tree {
  readonly #folders: Folders;
  readonly #onDoubt: (reason: string) => void;
  #chokidar: ChokidarTree | undefined;
  #flood: Disposable | undefined;

  constructor(options: AdaptiveTreeOptions) {
    this.#onDoubt = options.onDoubt;
    this.#folders = new Folders(options);
    if (!options.recursive && options.ordinary.entries > 0) this.#chokidar = new ChokidarTree(options);
  }

  get engine(): 'chokidar' | 'folders' {
    return this.#chokidar === undefined ? 'folders' : 'chokidar';
  }

  get watched(): number {
    return this.#tree.watched;
  }

  get limit(): Error | undefined {
    return this.#tree.limit;
  }

  has(path: FilePath): boolean {
    return this.#tree.has(path);
  }

  open(): Promise<void> {
    this.#flood ??= onFlood(() => this.#onDoubt('more events than the system keeps'));
    return this.#byWhatFits((tree) => tree.open());
  }

  sync(): Promise<void> {
    return this.#byWhatFits((tree) => tree.sync());
  }

  refresh(paths: readonly FilePath[]): Promise<void> {
    return this.#byWhatFits((tree) => tree.refresh(paths));
  }

  close(): void {
    this.#flood?.[Symbol.dispose]();
    this.#flood = undefined;
    this.#tree.close();
  }

  [Symbol.dispose](): void {
    this.#flood?.[Symbol.dispose]();
    this.#chokidar?.[Symbol.dispose]();
    this.#folders[Symbol.dispose]();
  }

  get #tree(): Tree {
    return this.#chokidar ?? this.#folders;
  }

  async #byWhatFits(act: (tree: Tree) => Promise<void>): Promise<void> {
    if (this.#chokidar?.unfit === undefined) await act(this.#tree);
    if (this.#chokidar?.unfit === undefined) return;
    this.#chokidar[Symbol.dispose]();
    this.#chokidar = undefined;
    await this.#folders.open();
  }
}
