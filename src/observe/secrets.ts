/** What must never be written anywhere: every secret the configuration gave us, masked wherever it appears. */

/** Shorter values would mask half of every line. */
const SHORTEST = 4;

export const MASK = '[secret]';

export class Secrets {
  readonly #values = new Set<string>();
  #forms: readonly string[] = [];

  constructor(values: Iterable<string> = []) {
    for (const value of values) this.add(value);
  }

  add(value: string): void {
    if (value.trim().length < SHORTEST || this.#values.has(value)) return;
    this.#values.add(value);
    const forms = new Set<string>();
    for (const secret of this.#values) {
      for (const form of [secret, secret.trim()]) {
        forms.add(form);
        forms.add(encodeURIComponent(form.toWellFormed()));
      }
    }
    // Longest first: one secret may be a part of another.
    this.#forms = [...forms].sort((a, b) => b.length - a.length);
  }

  mask(text: string): string {
    let out = text;
    for (const form of this.#forms) if (out.includes(form)) out = out.replaceAll(form, MASK);
    return out;
  }

  /** The same value with all of its strings masked, at any depth; names of fields too. */
  maskAll(value: unknown): unknown {
    if (typeof value === 'string') return this.mask(value);
    if (Array.isArray(value)) return value.map((one) => this.maskAll(one));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [this.mask(name), this.maskAll(one)]),
    );
  }

  /** True when there is nothing to mask in a text of JSON. */
  absentFromJson(text: string): boolean {
    return this.#forms.every((form) => !text.includes(JSON.stringify(form).slice(1, -1)));
  }
}
