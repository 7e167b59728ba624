/**
 * SHA-256 over the chunks of an upload, in order. Large files are hashed in a thread of their own: encrypting fills
 * one already, and hashing 1 GiB takes a second of it.
 */

import { createHash, type Hash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { CHUNK_BYTES } from '../endpoint.ts';

export interface Hasher extends Disposable {
  /** At most CHUNK_BYTES, one after the other: undefined when it was taken in at once. It may be reused afterwards. */
  add(chunk: Buffer): Promise<void> | undefined;
  /** Of what was given so far, lower-case hex; more may follow. */
  digest(): Promise<string>;
}

export class InlineHasher implements Hasher {
  readonly #hash: Hash = createHash('sha256');

  add(chunk: Buffer): undefined {
    this.#hash.update(chunk);
    return undefined;
  }

  async digest(): Promise<string> {
    return this.#hash.copy().digest('hex');
  }

  [Symbol.dispose](): void {
    // nothing is held
  }
}

type Order =
  | { readonly what: 'chunk'; readonly stream: number; readonly slot: number; readonly length: number }
  | { readonly what: 'digest' | 'end'; readonly stream: number };

type Answer =
  | { readonly what: 'free'; readonly slot: number }
  | { readonly what: 'digest'; readonly stream: number; readonly sha256: string };

/** Plain JavaScript, because a thread that first has to load a type stripper takes twice the memory. */
const THREAD = `
  const { createHash } = require('node:crypto');
  const { parentPort: port, workerData: { memory, slotBytes } } = require('node:worker_threads');
  const streams = new Map();
  port.on('message', ({ what, stream, slot, length }) => {
    if (what === 'end') return streams.delete(stream);
    if (!streams.has(stream)) streams.set(stream, createHash('sha256'));
    const hash = streams.get(stream);
    if (what === 'chunk') {
      hash.update(new Uint8Array(memory, slot * slotBytes, length));
      port.postMessage({ what: 'free', slot });
    } else port.postMessage({ what: 'digest', stream, sha256: hash.copy().digest('hex') });
  });
`;

const SLOTS = 24;
/** Smaller files are not worth a thread. */
const THREAD_BYTES = 16 * 1024 * 1024;
/** The thread waits so long for another large file. */
const LINGER_MS = 5_000;

/** The thread, while there are large files under way; shared by all uploads of an endpoint. */
export class HashThread {
  #running: Running | undefined;
  #streams = 0;
  #lastStream = 0;
  #linger: NodeJS.Timeout | undefined;

  hasher(sizeBytes: number): Hasher {
    if (sizeBytes < THREAD_BYTES) return new InlineHasher();
    clearTimeout(this.#linger);
    this.#streams += 1;
    this.#lastStream += 1;
    this.#running ??= new Running();
    return new ThreadHasher(this.#running, this.#lastStream, () => {
      this.#streams -= 1;
      if (this.#streams === 0) this.#linger = setTimeout(() => this.stop(), LINGER_MS).unref();
    });
  }

  stop(): void {
    clearTimeout(this.#linger);
    this.#running?.stop();
    this.#running = undefined;
  }
}

class Running {
  readonly #memory = new SharedArrayBuffer(SLOTS * CHUNK_BYTES);
  readonly #worker: Worker;
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot);
  readonly #waiting: (() => void)[] = [];
  readonly #digests = new Map<number, PromiseWithResolvers<string>>();
  #failure: Error | undefined;

  constructor() {
    const workerData = { memory: this.#memory, slotBytes: CHUNK_BYTES };
    this.#worker = new Worker(THREAD, { eval: true, workerData, env: {}, name: 'ferry-sha256' });
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => this.#onAnswer(answer));
    this.#worker.on('error', (error: Error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the hashing thread ended')));
  }

  add(stream: number, chunk: Buffer): Promise<void> | undefined {
    const slot = this.#free.pop();
    if (slot === undefined) return this.#addLater(stream, chunk);
    new Uint8Array(this.#memory, slot * CHUNK_BYTES, chunk.length).set(chunk);
    this.#order({ what: 'chunk', stream, slot, length: chunk.length });
    return undefined;
  }

  digest(stream: number): Promise<string> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const answer = Promise.withResolvers<string>();
    this.#digests.set(stream, answer);
    this.#order({ what: 'digest', stream });
    return answer.promise;
  }

  end(stream: number): void {
    this.#digests.delete(stream);
    this.#order({ what: 'end', stream });
  }

  stop(): void {
    void this.#worker.terminate();
  }

  async #addLater(stream: number, chunk: Buffer): Promise<void> {
    if (this.#failure === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#failure !== undefined) throw this.#failure;
    await this.add(stream, chunk);
  }

  #order(order: Order): void {
    this.#worker.postMessage(order);
  }

  #onAnswer(answer: Answer): void {
    if (answer.what === 'free') {
      this.#free.push(answer.slot);
      this.#waiting.shift()?.();
      return;
    }
    this.#digests.get(answer.stream)?.resolve(answer.sha256);
    this.#digests.delete(answer.stream);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#digests.values()) reject(this.#failure);
    this.#digests.clear();
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

class ThreadHasher implements Hasher {
  readonly #running: Running;
  readonly #stream: number;
  readonly #onEnd: () => void;

  constructor(running: Running, stream: number, onEnd: () => void) {
    this.#running = running;
    this.#stream = stream;
    this.#onEnd = onEnd;
  }

  add(chunk: Buffer): Promise<void> | undefined {
    return this.#running.add(this.#stream, chunk);
  }

  digest(): Promise<string> {
    return this.#running.digest(this.#stream);
  }

  [Symbol.dispose](): void {
    this.#running.end(this.#stream);
    this.#onEnd();
  }
}
