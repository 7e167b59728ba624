/** What has come up since the last look: changed names, in a bounded number, or that anything may have changed. */

import type { FilePath } from '../sync/names.ts';

/** More changed names than this at once and the whole is looked at. */
const MANY_PATHS = 1_000;

export class Agenda {
  /** Names with events, and whether what has the name may be another thing now. */
  readonly events = new Map<FilePath, boolean>();
  /** Why the whole has to be looked at. */
  doubt: string | undefined;
  /** The root may have been replaced, even if it looks the same. */
  suspect = false;

  note(path: FilePath, structural: boolean): void {
    if (this.events.size >= MANY_PATHS && !this.events.has(path)) this.doubt ??= 'many changes';
    else this.events.set(path, structural || this.events.get(path) === true);
  }

  get empty(): boolean {
    return this.events.size === 0 && this.doubt === undefined && !this.suspect;
  }
}
