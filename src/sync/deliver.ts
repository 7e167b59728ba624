/**
 * One attempt at a delivery: opens the source, has the endpoint send and verify it, writes the receipt into the
 * ledger, and only then lets `after` touch the source.
 *
 * What goes wrong is thrown as a Fault for the queue to decide on; a success is settled here.
 */

import { createHash } from 'node:crypto';
import type { Receipt, SendOptions, Session, SourceFile } from '../endpoints/endpoint.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { After } from './after.ts';
import type { Delivery } from './delivery.ts';
import { asFault, Fault, faultAt } from './errors.ts';
import type { Events } from './events.ts';
import { destinationOf, type Job, type Place } from './job.ts';
import { assertMounted, destinationAt, mountPointOf, rememberMount, UNMOUNTED } from './mounts.ts';
import { type FilePath, isUtf8, joinPath, printable } from './names.ts';
import { openBoth, type Places } from './places.ts';

export interface DeliverOptions {
  readonly ledger: Ledger;
  readonly places: Places;
  readonly after: After;
  readonly events: Events;
  readonly now: () => number;
  readonly job: (name: string) => Job | undefined;
}

export type Delivered =
  | { readonly state: 'done' }
  | { readonly state: 'pending'; readonly checkAfterMs: number };

/** @param delivery claimed by this process */
export type Deliver = (delivery: Delivery, signal: AbortSignal) => Promise<Delivered>;

/** Names a job, destination and path over all attempts and versions: what temporaries are called by. */
export function tokenOf(delivery: Pick<Delivery, 'job' | 'destination' | 'path'>): string {
  const identity = [delivery.job, delivery.destination, delivery.path].join('\0');
  return createHash('sha256').update(identity, 'utf16le').digest('hex').slice(0, 16);
}

export function createDeliver(options: DeliverOptions): Deliver {
  const { ledger, places, after, events, now } = options;

  return async (delivery, signal) => {
    const job = options.job(delivery.job);
    if (job === undefined) throw new Fault('aborted', `job ${delivery.job} is not configured any more`);
    const place = job.to.find((one) => destinationOf(one) === delivery.destination);
    if (place === undefined) {
      // Should the job come back to it, it is owed anew.
      throw new Fault('vanished', `job ${job.name} does not deliver to ${delivery.destination} any more`);
    }
    const startedAtMs = now();
    events.emit('sending', delivery);
    const result = await send(job, place, delivery, signal);
    if (result.state === 'pending') return result;
    const endedAtMs = now();
    await ledger.settle(
      delivery.id,
      { state: 'delivered', receipt: result.receipt },
      { startedAtMs, endedAtMs },
    );
    events.emit('delivered', delivery, result.receipt, endedAtMs - startedAtMs);
    await after.whenDelivered(job, delivery.path, delivery.version, signal);
    return { state: 'done' };
  };

  async function send(job: Job, place: Place, delivery: Delivery, signal: AbortSignal) {
    await using both = await openBoth(
      places,
      job.from.endpoint,
      delivery.endpoint,
      delivery.version.sizeBytes,
      signal,
    );
    const { from, to } = both;
    assertName(delivery, to.session);
    const path = joinPath(job.from.path, delivery.path);
    const mode = job.preserve.mode ? await modeOf(from, path, signal) : undefined;
    const sendOptions: SendOptions = {
      signal,
      conflict: job.conflict,
      verify: job.verify,
      token: tokenOf(delivery),
      preserveMtime: job.preserve.mtime,
      helpers: to.helpers,
      awaited: to.awaited,
      resume: delivery.note,
      checkpoint: (note, underWay) => ledger.checkpoint(delivery.id, note, underWay),
      progress: (bytes) => events.emit('progress', delivery, bytes),
      ...(mode === undefined ? {} : { mode }),
      // Where both ends are one session, that is still read from.
      ...(from === to.session ? {} : { freed: () => void to[Symbol.asyncDispose]() }),
    };
    const destination = destinationAt(place);
    await assertMounted(to.session, destination, ledger, { signal });
    const source = sourceAt(job.from.endpoint, from.source(path, delivery.version));
    const result = await to.session
      .send(source, delivery.target, sendOptions)
      .catch(async (error: unknown) => {
        throw await withItsMount(job, from, asFault(error, signal), signal);
      });
    if (result.state === 'done') {
      assertWhole(delivery, result.receipt);
      // What was unmounted meanwhile has it not; what was written beneath does not count.
      rememberMount(ledger, destination, await assertMounted(to.session, destination, ledger, { signal }));
    }
    return result;
  }

  /** What vanished together with its file system was not deleted: it stays due, and a look at the source tells why. */
  async function withItsMount(job: Job, from: Session, fault: Fault, signal: AbortSignal): Promise<Fault> {
    if (fault.kind !== 'vanished') return fault;
    try {
      await mountPointOf(from, job, ledger.job(job.name)?.mount, { signal });
      return fault;
    } catch (error) {
      const { message, code } = asFault(error, signal);
      return code === UNMOUNTED ? new Fault('aborted', message, { code }) : fault;
    }
  }
}

/** A source whose trouble with its endpoint is not taken for the destination's. */
function sourceAt(endpoint: string, source: SourceFile): SourceFile {
  const rethrow = (error: unknown): never => {
    throw error instanceof Fault ? faultAt(endpoint, error) : error;
  };
  return {
    ...source,
    open: async (signal) => {
      const reader = await source.open(signal).catch(rethrow);
      return {
        read: async function* (start, end, readSignal) {
          try {
            yield* reader.read(start, end, readSignal);
          } catch (error) {
            rethrow(error);
          }
        },
        giveBack: (chunk) => reader.giveBack?.(chunk),
        readAll: (readSignal) => reader.readAll(readSignal).catch(rethrow),
        recheck: (readSignal, sent) => reader.recheck(readSignal, sent).catch(rethrow),
        [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
      };
    },
  };
}

async function modeOf(session: Session, path: FilePath, signal: AbortSignal): Promise<number | undefined> {
  return (await session.stat(path, { signal }))?.mode;
}

function assertName({ endpoint, target }: Delivery, { capabilities }: Session): void {
  if (capabilities.byteNames || isUtf8(target)) return;
  throw new Fault('permanent', `${endpoint} cannot hold the name ${printable(target)}: it is not UTF-8`, {
    code: 'EILSEQ',
    advice: 'Rename it at the source (convmv turns whole folders into UTF-8), or ignore it in the job.',
  });
}

/** The last guard, whatever an endpoint says: no receipt for another size. */
function assertWhole(delivery: Delivery, receipt: Receipt): void {
  if (receipt.sizeBytes === delivery.version.sizeBytes) return;
  throw new Fault('transient', `${receipt.sizeBytes} bytes arrived of ${delivery.version.sizeBytes}`, {
    code: 'SIZE_MISMATCH',
    advice: 'If it repeats, something between here and there changes files.',
  });
}
