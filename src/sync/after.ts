/**
 * What happens to a source once all its destinations have it: keep, delete, archive.
 *
 * Acts on exactly the version whose receipts the ledger holds, never on another; what cannot be done now is
 * tried again by the next scan, which finds the file delivered and still there.
 */

import type { FileVersion, Session } from '../endpoints/endpoint.ts';
import { sameVersion } from '../endpoints/endpoint.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { asFault, type Fault } from './errors.ts';
import type { Events } from './events.ts';
import { destinationOf, type Job } from './job.ts';
import { archiveAt, assertMounted, rememberMount } from './mounts.ts';
import { type FilePath, joinPath } from './names.ts';
import type { Places } from './places.ts';
import { markerOf } from './select.ts';

export interface AfterOptions {
  readonly ledger: Ledger;
  readonly places: Places;
  readonly events: Events;
}

export class After {
  readonly #options: AfterOptions;
  /** Paths at work, so that a scan and a delivery do not act on one file twice. */
  readonly #busy = new Set<string>();

  constructor(options: AfterOptions) {
    this.#options = options;
  }

  /** Acts if every destination has this version by now. Never throws. */
  async whenDelivered(job: Job, path: FilePath, version: FileVersion, signal: AbortSignal): Promise<void> {
    if (job.after.action === 'keep') return;
    const ids: number[] = [];
    for (const place of job.to) {
      const latest = this.#options.ledger.latest(job.name, destinationOf(place), path);
      if (latest?.state !== 'delivered' || !sameVersion(latest.version, version)) return;
      ids.push(latest.id);
    }
    await this.perform(job, path, version, ids, signal);
  }

  /** @param ids the deliveries whose receipts allow it. Never throws. */
  async perform(
    job: Job,
    path: FilePath,
    version: FileVersion,
    ids: readonly number[],
    signal: AbortSignal,
  ): Promise<void> {
    const key = `${job.name}\0${path}`;
    if (job.after.action === 'keep' || this.#busy.has(key)) return;
    this.#busy.add(key);
    try {
      await using place = await this.#options.places.open(job.from.endpoint, signal);
      const to = await this.#act(job, place.session, path, version, signal);
      if (job.done !== undefined)
        await this.#actOnMarker(job, place.session, markerOf(job.done, path), signal);
      this.#options.ledger.afterDone(ids);
      this.#options.events.emit('after', job.name, path, job.after.action, to);
    } catch (error) {
      this.#report(job, path, asFault(error, signal));
    } finally {
      this.#busy.delete(key);
    }
  }

  async #act(
    job: Job,
    session: Session,
    path: FilePath,
    version: FileVersion,
    signal: AbortSignal,
  ): Promise<FilePath | undefined> {
    const from = joinPath(job.from.path, path);
    const archive = archiveAt(job);
    if (archive !== undefined) {
      const { ledger } = this.#options;
      const point = await assertMounted(session, archive, ledger, { signal });
      const went = await session.archive(from, version, joinPath(archive.folder, path), { signal });
      rememberMount(ledger, archive, point);
      return went;
    }
    await session.remove(from, version, { signal });
    return undefined;
  }

  async #actOnMarker(job: Job, session: Session, marker: FilePath, signal: AbortSignal): Promise<void> {
    const found = await session.stat(joinPath(job.from.path, marker), { signal });
    if (found?.kind === 'file') await this.#act(job, session, marker, found.version, signal);
  }

  #report(job: Job, path: FilePath, fault: Fault): void {
    // Gone already, or a newer version, which will be due by itself: nothing to do here.
    if (fault.kind === 'vanished' || fault.kind === 'changed' || fault.kind === 'aborted') return;
    this.#options.events.emit('afterFailed', job.name, path, fault);
  }
}
