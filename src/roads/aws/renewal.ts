/**
 * Credentials that somebody else renews: a script or a helper that writes ~/.aws/credentials every hour. Nothing there says
 * when they end, so that the SDK keeps what it has read for as long as its client lives. Once AWS refuses them, they are
 * looked for again.
 */

/** Of a client of the SDK. */
interface Config {
  readonly credentials: (options?: { readonly forceRefresh?: boolean }) => Promise<{
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string | undefined;
  }>;
}

export class Renewal {
  readonly #config: Config;
  #count = 0;
  #looking: Promise<void> | undefined;

  constructor(config: Config) {
    this.#config = config;
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
    const { credentials } = this.#config;
    const before = await credentials();
    const now = await credentials({ forceRefresh: true });
    const same =
      now.accessKeyId === before.accessKeyId &&
      now.secretAccessKey === before.secretAccessKey &&
      now.sessionToken === before.sessionToken;
    if (!same) this.#count += 1;
  }
}
