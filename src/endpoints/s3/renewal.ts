/**
 * Credentials that somebody else renews: a script or a helper that writes ~/.aws/credentials every hour. Nothing there says
 * when they end, so that the SDK keeps what it has read for as long as its client lives. Once S3 refuses them, they are
 * looked for again.
 */

import type { S3 } from '@aws-sdk/client-s3';

export class Renewal {
  readonly #s3: S3;
  #count = 0;
  #looking: Promise<void> | undefined;

  constructor(s3: S3) {
    this.#s3 = s3;
  }

  /** How often there were others. */
  get count(): number {
    return this.#count;
  }

  /** Whether there are others by now than at that count. @throws the SDK's errors when there are none at all */
  async since(count: number): Promise<boolean> {
    if (count === this.#count) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
      await this.#looking;
    }
    return count !== this.#count;
  }

  async #look(): Promise<void> {
    const { credentials } = this.#s3.config;
    const before = await credentials();
    const now = await credentials({ forceRefresh: true });
    const same =
      now.accessKeyId === before.accessKeyId &&
      now.secretAccessKey === before.secretAccessKey &&
      now.sessionToken === before.sessionToken;
    if (!same) this.#count += 1;
  }
}
