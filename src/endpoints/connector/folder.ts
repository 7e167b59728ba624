/** Folders at the partner as a session shows them: one listing each. */

import { asFault, Fault } from '../../sync/errors.ts';
import { type FilePath, folderOf, joinPath, nameOf } from '../../sync/names.ts';
import type { Entry, ListOptions } from '../endpoint.ts';
import type { Connector } from './connector.ts';
import type { Seen } from './listings.ts';

/** Everything below a folder, in no order. */
export async function* list(
  connector: Connector,
  folder: FilePath,
  options: ListOptions,
): AsyncGenerator<Entry> {
  const waiting: FilePath[] = [folder];
  for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
    const listing = await lookInto(connector, at, folder, options);
    if (listing === undefined) continue;
    for (const [name, seen] of listing.files) yield entryOf(joinPath(at, name), seen);
    for (const name of listing.folders) {
      if (name === '.' || name === '..') continue;
      const path = joinPath(at, name);
      yield folderEntry(path);
      if (options.recursive !== false && options.enter?.(path) !== false) waiting.push(path);
    }
    if (listing.truncated) {
      const fault = new Fault(
        'permanent',
        `${connector.name}: ${at} has over 10,000 entries, and a connector lists no more`,
        {
          code: 'LISTING_TRUNCATED',
        },
      );
      if (at === folder || options.unreadable === undefined) throw fault;
      options.unreadable(at, fault);
    }
  }
}

async function lookInto(connector: Connector, at: FilePath, root: FilePath, options: ListOptions) {
  try {
    return await connector.listings.of(at, connector.now(), options.signal);
  } catch (error) {
    const fault = asFault(error, options.signal);
    if (fault.code !== 'LISTING_FAILED') throw fault;
    // The API does not tell why there is no listing, and this is nearly always the reason.
    const missing = new Fault('permanent', fault.message, {
      code: 'ENOENT',
      ...(fault.advice === undefined ? {} : { advice: fault.advice }),
    });
    if (at === root || options.unreadable === undefined) throw missing;
    options.unreadable(at, missing);
    return undefined;
  }
}

/** Undefined when there is nothing, or the folder is not there either. */
export async function stat(
  connector: Connector,
  path: FilePath,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  const listing = await lookInto(connector, folderOf(path), folderOf(path), { signal }).catch(
    (error: unknown) => {
      if (error instanceof Fault && error.code === 'ENOENT') return undefined;
      throw error;
    },
  );
  const seen = listing?.files.get(nameOf(path));
  if (seen !== undefined) return entryOf(path, seen);
  return listing?.folders.has(nameOf(path)) ? folderEntry(path) : undefined;
}

function entryOf(path: FilePath, { sizeBytes = 0, modifiedMs = 0 }: Seen): Entry {
  return { path, kind: 'file', version: { sizeBytes, mtimeMs: modifiedMs, tag: '' }, changedMs: modifiedMs };
}

function folderEntry(path: FilePath): Entry {
  return { path, kind: 'folder', version: { sizeBytes: 0, mtimeMs: 0, tag: '' }, changedMs: 0 };
}
