/** What is wrong with the configuration, where it is written, and what was probably meant. Never holds a secret. */

export interface Problem {
  /** As a person would write it: relative to the folder they are in. */
  readonly file: string;
  /** From 1; 0 when it is about the file or folder as a whole. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/** Keys and list indexes from the top of a file down to a value. */
export type Path = readonly (string | number)[];

/** A problem that knows its place in the data, not yet in the file. */
export interface Finding {
  readonly path: Path;
  /** Whether the key or its value is at fault; default the value. */
  readonly on?: 'key';
  readonly message: string;
  readonly remedy?: string;
}

/** What reading a part of the configuration found. */
export interface Findings {
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
  /** Absolute paths of further files that it refers to. */
  readonly files: readonly string[];
}

/** What is wrong with one value. */
export interface Advice {
  readonly message: string;
  readonly remedy?: string;
}

/** `jobs/invoices.yaml:7:3  unknown key "setle"; did you mean "settle"?` */
export function formatProblem(problem: Problem): string {
  const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
  return `${place}  ${problem.message}${problem.remedy === undefined ? '' : `; ${problem.remedy}`}`;
}

/** One problem a line, in the order of files and lines. */
export function formatProblems(problems: readonly Problem[]): string {
  return [...problems].sort(byPlace).map(formatProblem).join('\n');
}

export function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

/** `a`, `a or b`, `a, b or c`. */
export function listOf(words: readonly string[], last = 'or'): string {
  const head = words.slice(0, -1).join(', ');
  const tail = words.at(-1) ?? '';
  return head === '' ? tail : `${head} ${last} ${tail}`;
}

/** `1 problem`, `2 problems`. */
export function problemCount(problems: readonly Problem[]): string {
  return `${problems.length} problem${problems.length === 1 ? '' : 's'}`;
}
