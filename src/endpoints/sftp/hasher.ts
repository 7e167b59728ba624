/** SHA-256 over a stream of chunks in order. */

import { createHash, type Hash } from 'node:crypto';

export interface Hasher {
  /** The chunk may be reused afterwards. */
  update(chunk: Buffer): void;
  /** Resolves when more may be given without piling up. */
  ready(): Promise<void> | undefined;
  /** Of what was given so far, lower-case hex; more may follow. */
  snapshot(): Promise<string>;
}

export class InlineHasher implements Hasher {
  readonly #hash: Hash = createHash('sha256');

  update(chunk: Buffer): void {
    this.#hash.update(chunk);
  }

  ready(): undefined {
    return undefined;
  }

  async snapshot(): Promise<string> {
    return this.#hash.copy().digest('hex');
  }
}
