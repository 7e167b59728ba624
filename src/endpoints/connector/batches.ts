/**
 * Sends that are ready at the same moment, in one StartFileTransfer: up to ten paths that go to one folder. Each member
 * notes its intent before the call goes out. What became of the call is told to all of them: accepted, refused, or
 * nobody knows. A call that is refused for what it names is made again for each member alone.
 */

import { asFault, Fault, throwIfAborted } from '../../sync/errors.ts';
import { type FilePath, nameOf } from '../../sync/names.ts';
import { answerOf, isSurelyNotDone } from './answer.ts';
import type { Api } from './api.ts';

/** Paths that one call takes (StartFileTransfer, SendFilePaths). */
export const MOST_PATHS = 10;
/** So long a call waits for others to join it. */
const WINDOW_MS = 50;
/** One that is told to stop while its call is out waits so long for the answer, which nobody could get again. */
const GRACE_MS = 3_000;

export interface Member {
  /** `/bucket/key` */
  readonly path: string;
  /** Notes what is about to be done; the call goes out afterwards. */
  intend(): Promise<void>;
  readonly signal: AbortSignal;
}

export type Started =
  | { readonly is: 'accepted'; readonly transferId: string }
  | { readonly is: 'refused'; readonly fault: Fault }
  /** The answer was lost. */
  | { readonly is: 'unknown'; readonly fault: Fault };

interface Waiting {
  readonly member: Member;
  readonly done: PromiseWithResolvers<Started>;
}

interface Batch {
  readonly folder: FilePath | undefined;
  readonly waiting: Waiting[];
  readonly timer: NodeJS.Timeout;
}

export class Batches implements AsyncDisposable {
  readonly #api: Api;
  readonly #open = new Map<string, Batch>();
  readonly #calling = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  constructor(api: Api) {
    this.#api = api;
  }

  /** @param folder at the partner; undefined where the login starts. @throws Fault `aborted`, and whatever `intend` throws */
  async start(member: Member, folder: FilePath | undefined): Promise<Started> {
    throwIfAborted(member.signal);
    const done = Promise.withResolvers<Started>();
    this.#join({ member, done }, folder);
    return await answered(done.promise, member.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = new Fault('aborted', 'stopped before it was done');
    for (const { timer, waiting } of this.#open.values()) {
      clearTimeout(timer);
      for (const { done } of waiting) done.reject(stopped);
    }
    this.#open.clear();
    this.#stop.abort();
    await Promise.allSettled(this.#calling);
  }

  #join(waiting: Waiting, folder: FilePath | undefined): void {
    const key = folder ?? '';
    const batch = this.#open.get(key);
    // Results are told apart by name, so a name goes into a call once.
    const name = nameOf(waiting.member.path);
    if (batch?.waiting.some((other) => nameOf(other.member.path) === name)) this.#send(key);
    const open = this.#open.get(key) ?? {
      folder,
      waiting: [],
      timer: setTimeout(() => this.#send(key), WINDOW_MS),
    };
    this.#open.set(key, open);
    open.waiting.push(waiting);
    if (open.waiting.length >= MOST_PATHS) this.#send(key);
  }

  #send(key: string): void {
    const batch = this.#open.get(key);
    if (batch === undefined) return;
    this.#open.delete(key);
    clearTimeout(batch.timer);
    const calling = this.#callAll(batch).finally(() => this.#calling.delete(calling));
    this.#calling.add(calling);
  }

  async #callAll({ folder, waiting }: Batch): Promise<void> {
    const ready: Waiting[] = [];
    await Promise.all(
      waiting.map(async (each) => {
        try {
          throwIfAborted(each.member.signal);
          await each.member.intend();
          ready.push(each);
        } catch (error) {
          each.done.reject(error);
        }
      }),
    );
    if (ready.length === 0) return;
    const started = await this.#call(ready, folder);
    const alone = ready.length > 1 && started.is === 'refused' && started.fault.code === 'EINVAL';
    for (const each of ready) each.done.resolve(alone ? await this.#call([each], folder) : started);
  }

  async #call(members: readonly Waiting[], folder: FilePath | undefined): Promise<Started> {
    try {
      const paths = members.map(({ member }) => member.path);
      return { is: 'accepted', transferId: await this.#api.send(paths, folder, this.#stop.signal) };
    } catch (error) {
      const fault = asFault(error, this.#stop.signal);
      const refused = fault.cause === undefined || isSurelyNotDone(answerOf(fault.cause));
      return { is: refused && fault.kind !== 'aborted' ? 'refused' : 'unknown', fault };
    }
  }
}

async function answered(promise: Promise<Started>, signal: AbortSignal): Promise<Started> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => reject(new Fault('aborted', 'stopped before it was done')), GRACE_MS);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
