/** The settings' schema of each kind of endpoint, for one reading of the configuration. */

import type { z } from 'zod';
import type { Kind } from '../endpoints/index.ts';
import type { Filling, Values } from './values.ts';

/** Made when first asked for: making a schema costs more than using it. */
export class Schemas {
  readonly names: readonly string[];
  readonly #kinds: Readonly<Record<string, Kind>>;
  readonly #values: Values;
  readonly #made = new Map<string, z.ZodType>();

  constructor(kinds: Readonly<Record<string, Kind>>, values: Values) {
    this.names = Object.keys(kinds);
    this.#kinds = kinds;
    this.#values = values;
  }

  /** How entries of a kind are filled from elsewhere; undefined where they are not. */
  filling(name: string): Filling | undefined {
    return this.names.includes(name) ? this.#kinds[name]?.filling : undefined;
  }

  /** @returns undefined where there is no such kind */
  get(name: string): z.ZodType | undefined {
    const kind = this.names.includes(name) ? this.#kinds[name] : undefined;
    const schema = this.#made.get(name) ?? kind?.settings(this.#values);
    if (schema !== undefined) this.#made.set(name, schema);
    return schema;
  }
}
