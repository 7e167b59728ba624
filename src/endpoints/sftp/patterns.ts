/** Patterns as ssh_config(5), "PATTERNS", has them: `*`, `?`, lists with commas, negation by `!`. */

/** One pattern, without negation. Case matters: who does not want that gives both in small letters. */
export function fits(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`, 's').test(text);
}

/** True when one of them fits and no negated one does. */
export function fitsAny(patterns: readonly string[], text: string): boolean {
  let found = false;
  for (const pattern of patterns) {
    if (pattern.startsWith('!')) {
      if (fits(pattern.slice(1), text)) return false;
    } else found ||= fits(pattern, text);
  }
  return found;
}
