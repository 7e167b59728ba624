/** Walks a remote tree: several folders and several READDIRs at once, entries as they come. */

import { abortFault } from '../../roads/road.ts';
import { asFault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, joinPath, takenFrom } from '../../sync/names.ts';
import type { Entry, ListOptions } from '../endpoint.ts';
import { recover } from './aside.ts';
import { stopped } from './bounded.ts';
import { fileFault } from './faults.ts';
import { Feed } from './feed.ts';
import { kindOf } from './kinds.ts';
import { lookAt } from './publish.ts';
import type { Remote } from './remote.ts';
import type { Attributes, Named } from './wire.ts';

/** Folders read at once. */
const FOLDERS = 16;
/** READDIRs of one folder under way at once, where answers keep their order. OpenSSH gives 100 entries in each. */
const AHEAD = 3;
/** Entries that wait for the reader. */
const MOST_WAITING = 4_096;

export async function* list(
  remote: Remote,
  folder: FilePath,
  options: ListOptions,
): AsyncGenerator<Entry, void, undefined> {
  const { signal } = options;
  throwIfAborted(signal);
  if (remote.link.broken !== undefined) throw remote.link.broken;
  const stop = new AbortController();
  const walk = new Walk(remote, options, AbortSignal.any([signal, stop.signal]));
  const done = walk.run(folder);
  try {
    yield* walk.feed;
  } catch (error) {
    throwIfAborted(signal);
    throw asFault(error);
  } finally {
    stop.abort();
    await stopped(remote.link, done);
  }
}

class Walk {
  readonly feed = new Feed<Entry>(MOST_WAITING);
  readonly #remote: Remote;
  readonly #options: ListOptions;
  readonly #signal: AbortSignal;
  readonly #waiting: FilePath[] = [];

  constructor(remote: Remote, options: ListOptions, signal: AbortSignal) {
    this.#remote = remote;
    this.#options = options;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.feed.fail(abortFault(signal)), {
      once: true,
    });
  }

  /** Never rejects; the feed does. */
  async run(root: FilePath): Promise<void> {
    try {
      await this.#read(root);
      const running = new Set<Promise<void>>();
      for (;;) {
        for (let folder = this.#waiting.pop(); folder !== undefined; folder = this.#waiting.pop()) {
          const reading: Promise<void> = this.#readBelow(folder).finally(() => running.delete(reading));
          running.add(reading);
          if (running.size >= FOLDERS) await Promise.race(running);
        }
        if (running.size === 0) break;
        await Promise.race(running);
      }
      this.feed.end();
    } catch (error) {
      this.feed.fail(error);
    }
  }

  /** A folder that cannot be read is told of, and the walk goes on; one that has gone meanwhile is nothing. */
  async #readBelow(folder: FilePath): Promise<void> {
    try {
      await this.#read(folder);
    } catch (error) {
      const fault = asFault(error, this.#signal);
      if (fault.kind === 'unreachable' || fault.kind === 'aborted') throw fault;
      if (fault.code !== 'ENOENT') this.#options.unreadable?.(folder, fault);
    }
  }

  async #read(folder: FilePath): Promise<void> {
    const { wire, name, traits } = this.#remote;
    throwIfAborted(this.#signal);
    const aside: FilePath[] = [];
    try {
      const handle = await wire.opendir(folder === '' ? '.' : folder);
      try {
        const ahead: Promise<readonly Named[] | undefined>[] = [];
        for (;;) {
          while (ahead.length < (traits.inOrder ? AHEAD : 1)) {
            const next = wire.readdir(handle);
            next.catch(() => undefined); // it is awaited below, or given up
            ahead.push(next);
          }
          const named = await ahead.shift();
          if (named === undefined) break;
          for (const entry of named) {
            if (takenFrom(entry.name) === undefined) this.#found(folder, entry);
            else aside.push(joinPath(folder, entry.name));
          }
          await this.feed.room();
          throwIfAborted(this.#signal);
        }
      } finally {
        wire.close(handle).catch(() => undefined);
      }
    } catch (error) {
      throw fileFault(error, 'list', folder, name);
    }
    if (this.#options.lookOnly === true) return;
    for (const path of aside) await this.#putBack(path);
  }

  /** What a removal that was cut short has left aside. */
  async #putBack(path: FilePath): Promise<void> {
    try {
      const back = await recover(this.#remote, path);
      const there = back === undefined ? undefined : await lookAt(this.#remote, back);
      if (back !== undefined && there !== undefined) this.feed.push(entryOf(back, there));
    } catch (error) {
      const fault = asFault(error, this.#signal);
      if (fault.kind === 'unreachable' || fault.kind === 'aborted') throw fault;
      this.#options.unreadable?.(path, fault);
    }
  }

  #found(folder: FilePath, { name, attributes, long }: Named): void {
    const path = joinPath(folder, name);
    const kind = kindOf(attributes, long);
    this.feed.push(entryOf(path, attributes, kind));
    if (kind !== 'folder' || this.#options.recursive === false) return;
    if (this.#options.enter?.(path) !== false) this.#waiting.push(path);
  }
}

export function entryOf(path: FilePath, attributes: Attributes, kind = kindOf(attributes)): Entry {
  const mtimeMs = attributes.mtime * 1000;
  return {
    path,
    kind,
    version: { sizeBytes: attributes.sizeBytes, mtimeMs, tag: '' },
    changedMs: mtimeMs,
    ...(attributes.mode === undefined ? {} : { mode: attributes.mode & 0o7777 }),
  };
}
