/**
 * Credentials that somebody else renews: a script or a helper that writes ~/.aws/credentials every hour. Nothing there says
 * when they end, so that the SDK keeps what it has read for as long as its client lives. Once AWS refuses them, they are
 * looked for again.
 */

import { codeOf, throwIfAborted } from '../../sync/errors.ts';
import { unlessAborted } from '../road.ts';

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

  /** Does it again with others where the old ones are refused, and somebody has renewed them. Errors are those of `ask`. */
  async over<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const count = this.#count;
    try {
      return await ask();
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'CREDENTIALS_EXPIRED' && code !== 'LOGIN_REFUSED') throw error;
      // Looking for credentials does not hear of an abort.
      const renewed = await unlessAborted(this.#since(count), signal).catch(() => false);
      throwIfAborted(signal);
      if (!renewed) throw error;
      return await ask();
    }
  }

  /** Whether there are others by now than at that count. @throws the SDK's errors when there are none at all */
  async #since(count: number): Promise<boolean> {
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
