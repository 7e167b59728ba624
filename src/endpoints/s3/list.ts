/**
 * Listing by ListObjectsV2, and looking at single names. Folders are what keys have before a `/`; there are none to be
 * missing, and they are shown only where a listing does not go into them.
 */

import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, nameOf, OWN_PREFIX, printable } from '../../sync/names.ts';
import type { CallOptions, Entry, ListOptions } from '../endpoint.ts';
import type { Bucket } from './bucket.ts';
import { foldersOf, prefixOf, unfit } from './keys.ts';
import { entryOf, folderEntry, lookAt } from './objects.ts';

/** Sorts after every key that begins with the same folder. */
const LAST = '\u{10ffff}';

interface Ask {
  readonly folder: FilePath;
  readonly prefix: string;
  readonly recursive: boolean;
  readonly signal: AbortSignal;
}

export async function* list(bucket: Bucket, folder: FilePath, options: ListOptions): AsyncGenerator<Entry> {
  throwIfAborted(options.signal);
  const stop = new AbortController();
  const ask: Ask = {
    folder,
    prefix: prefixOf(bucket.settings.prefix, folder),
    recursive: options.recursive !== false,
    signal: AbortSignal.any([options.signal, stop.signal]),
  };
  const closed = closedFolders(ask, options);
  let next: Promise<ListObjectsV2CommandOutput> | undefined = page(bucket, ask, {});
  try {
    while (next !== undefined) {
      const found: ListObjectsV2CommandOutput = await next;
      const after = following(found, ask, closed);
      next = after === undefined ? undefined : page(bucket, ask, after);
      next?.catch(() => undefined); // awaited in its turn, or given up
      yield* entriesOf(found, ask, options, closed);
      if (after === undefined && found.IsTruncated === true) throw endlessFault(bucket, ask);
    }
  } finally {
    stop.abort();
    await next?.catch(() => undefined);
  }
}

/** The outermost folder of a name that is not entered, if there is one. Both as below the listed folder. */
type Closed = (below: string) => string | undefined;

/** Asks about each folder once. */
function closedFolders(ask: Ask, { enter }: ListOptions): Closed {
  if (enter === undefined || !ask.recursive) return () => undefined;
  const asked = new Map<string, boolean>();
  return (below) =>
    foldersOf(below).find((folder) => {
      const known = asked.get(folder) ?? enter(pathOf(folder, ask));
      asked.set(folder, known);
      return !known;
    });
}

type Where = { readonly ContinuationToken?: string; readonly StartAfter?: string };

function page(bucket: Bucket, ask: Ask, where: Where): Promise<ListObjectsV2CommandOutput> {
  const doing = { verb: 'list', action: 's3:ListBucket', path: ask.folder === '' ? '/' : ask.folder };
  const input = {
    Bucket: bucket.settings.bucket,
    Prefix: ask.prefix,
    EncodingType: 'url' as const,
    ...(ask.recursive ? {} : { Delimiter: '/' }),
    ...where,
  };
  return bucket.call(doing, ask.signal, (s3, http) => s3.listObjectsV2(input, http));
}

/** Where the next page begins: beyond a folder that is not entered, when the page ended inside one. */
function following(found: ListObjectsV2CommandOutput, ask: Ask, closed: Closed): Where | undefined {
  const { NextContinuationToken } = found;
  if (found.IsTruncated !== true || NextContinuationToken === undefined) return undefined;
  const folder = closed(belowOf(found, found.Contents?.at(-1)?.Key, ask));
  return folder === undefined
    ? { ContinuationToken: NextContinuationToken }
    : { StartAfter: `${ask.prefix}${folder}/${LAST}` };
}

function* entriesOf(
  found: ListObjectsV2CommandOutput,
  ask: Ask,
  options: ListOptions,
  closed: Closed,
): Generator<Entry> {
  for (const { Prefix } of found.CommonPrefixes ?? []) {
    const below = belowOf(found, Prefix, ask).replace(/\/$/, '');
    if (unfit(ask.prefix + below) === undefined) yield folderEntry(pathOf(below, ask));
    else options.unreadable?.(pathOf(below, ask), oddFault(below));
  }
  for (const object of found.Contents ?? []) {
    const below = belowOf(found, object.Key, ask);
    // What consoles and other tools make to show an empty folder.
    if (below === '' || below.endsWith('/')) continue;
    if (nameOf(below).startsWith(OWN_PREFIX) || closed(below) !== undefined) continue;
    if (unfit(ask.prefix + below) === undefined) yield entryOf(pathOf(below, ask), object);
    else options.unreadable?.(pathOf(below, ask), oddFault(below));
  }
}

/**
 * What follows the listed folder in a key. Keys come encoded as in an HTML form, so that any character can; but not every
 * server does that (https://github.com/versity/versitygw/issues/813).
 */
function belowOf(
  { EncodingType }: ListObjectsV2CommandOutput,
  key: string | undefined,
  { prefix }: Ask,
): string {
  const plain = EncodingType === 'url' ? decodeURIComponent((key ?? '').replaceAll('+', ' ')) : (key ?? '');
  return plain.slice(prefix.length);
}

function pathOf(below: string, { folder }: Ask): FilePath {
  return folder === '' || folder.endsWith('/') ? folder + below : `${folder}/${below}`;
}

/** The rest would never be seen, and nobody would know. */
function endlessFault({ name }: Bucket, { folder }: Ask): Fault {
  return new Fault('permanent', `${name}: there is more in ${printable(folder)}, and no way to list it`, {
    code: 'EOPNOTSUPP',
    advice: 'The server does not know ListObjectsV2: is there a newer version of it?',
  });
}

function oddFault(path: FilePath): Fault {
  return new Fault('permanent', `the key of ${printable(path)} is no name that a file could have`, {
    code: 'EINVAL',
    advice: 'Rename the object (aws s3 mv) if it is to be fetched.',
  });
}

/** A folder is there when something is in it. */
export async function stat(bucket: Bucket, path: FilePath, options: CallOptions): Promise<Entry | undefined> {
  const prefix = prefixOf(bucket.settings.prefix, path);
  if (prefix !== bucket.settings.prefix && !path.endsWith('/')) {
    const head = await lookAt(bucket, path, options.signal);
    if (head !== undefined) return entryOf(path, head);
  }
  const doing = { verb: 'look at', action: 's3:ListBucket', path };
  const input = { Bucket: bucket.settings.bucket, Prefix: prefix, MaxKeys: 1 };
  const found = await bucket.call(doing, options.signal, (s3, http) => s3.listObjectsV2(input, http));
  return (found.KeyCount ?? found.Contents?.length ?? 0) > 0 ? folderEntry(path) : undefined;
}
