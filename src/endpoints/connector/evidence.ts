/**
 * Looks at the partner's side for a file of which the service does not tell whether it arrived, because its answer or
 * its results are lost. What cannot be known is never guessed.
 */

import { type FilePath, nameOf, OWN_PREFIX } from '../../sync/names.ts';
import type { Listing } from './listings.ts';

/** Times in listings are whole seconds. */
const PRECISION_MS = 2_000;

export type Evidence =
  /** It is there, as a whole, and it is the one that was sent. */
  | 'there'
  /** Some of it is. */
  | 'coming'
  /** Nothing of that name, or what has been there before. */
  | 'nothing'
  /** The listing does not tell. */
  | 'unknown';

/**
 * @param startedMs when it was (about to be) asked for, by this host's clock
 *
 * A name of our own (in a temporary folder) can be nobody else's. Under another name it is ours if it has the size, and
 * was written since then: by the partner's clock, so that one which runs ahead of ours is not believed.
 */
export function evidenceOf(listing: Listing, path: FilePath, sizeBytes: number, startedMs: number): Evidence {
  const name = nameOf(path);
  const seen = listing.files.get(name);
  if (seen === undefined) return listing.truncated ? 'unknown' : 'nothing';
  const { sizeBytes: size, modifiedMs } = seen;
  if (size === undefined) return 'unknown';
  if (!name.startsWith(OWN_PREFIX)) {
    if (modifiedMs === undefined || modifiedMs > listing.askedMs + PRECISION_MS * 30) return 'unknown';
    if (modifiedMs < startedMs - PRECISION_MS) return 'nothing';
  }
  if (size === sizeBytes) return 'there';
  return size < sizeBytes ? 'coming' : 'nothing';
}
