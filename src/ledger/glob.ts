/** Globs over paths, as `ferry history --path` takes them. */

/**
 * `**` any text, `**` and a slash any folders or none, `*` any text within a name, `?` one character of a name; all other
 * characters stand for themselves. A plain text, without any of these, matches anywhere in a path.
 */
export function patternOf(glob: string): RegExp {
  if (!/[*?]/.test(glob)) return new RegExp(literal(glob), 'u');
  const source = glob.replace(/\*\*\/|\*\*|\*|\?|[^*?]+/g, (part) => {
    if (part === '**/') return '(?:.*/)?';
    if (part === '**') return '.*';
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    return literal(part);
  });
  return new RegExp(`^${source}$`, 'su');
}

function literal(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}/]/g, '\\$&');
}

/**
 * A pattern for SQLite's GLOB, which is quick, that lets through at least all that `patternOf` does: its `*` goes over
 * slashes too.
 */
export function sqlGlobOf(glob: string): string {
  const pattern = glob.toWellFormed().replaceAll('[', '[[]');
  return /[*?]/.test(glob) ? pattern.replace(/\*\*\/|\*\*/g, '*') : `*${pattern}*`;
}
