/**
 * The watches on a tree of folders: what watch.ts asks of them, whoever holds them. Both engines promise it:
 * chokidar-tree.ts for ordinary trees, folders.ts for those that are too large for chokidar or too busy.
 */

import type { FilePath } from '../sync/names.ts';

export interface TreeOptions {
  /** Absolute. */
  readonly root: FilePath;
  /** Whether to go into a folder (relative to the root). */
  readonly enter: (folder: FilePath) => boolean;
  /** Something happened to the name `path`; `structural` when it may have come, gone or changed its kind. */
  readonly onEvent: (path: FilePath, structural: boolean) => void;
  /** Something may have happened that nobody told: `sync`, and look at everything. */
  readonly onDoubt: (reason: string) => void;
}

/** One call at a time, except `close` and disposal, which end one that is under way. */
export interface Tree extends Disposable {
  /** How many folders are watched. */
  readonly watched: number;
  /** Set when the system would not watch all folders: its error. */
  readonly limit: Error | undefined;
  /** True for a folder that is, or was until a moment ago. */
  has(path: FilePath): boolean;
  /** Begins afresh, from the root down. @throws the system's error when the root is not a folder that can be read */
  open(): Promise<void>;
  /** Makes the watches fit the folders as they are now, everywhere. Errors as `open`. */
  sync(): Promise<void>;
  /**
   * These folders came, went or were replaced by others of their names; parents first. What is there now is
   * watched, with all below, before what is in it is read. Errors as `open`.
   */
  refresh(paths: readonly FilePath[]): Promise<void>;
  /** Lets go of all watches; `open` begins again. */
  close(): void;
}
