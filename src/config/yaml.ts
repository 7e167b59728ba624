/**
 * One YAML file as plain data, with the line and column of every value in it.
 *
 * Syntax errors are told in our own words: the parser's messages quote the text around them, and that may be a
 * password.
 */

import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
} from 'yaml';
import type { Advice, Path, Problem } from './problems.ts';

export interface YamlFile {
  /** As displayed in problems. */
  readonly file: string;
  /** Undefined when the syntax is broken; null when the file is empty. */
  readonly data: unknown;
  readonly problems: readonly Problem[];
  /** Where a value (or its key) is written; of something missing, where it would belong. */
  at(path: Path, on?: 'key'): Position;
}

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** @param file how problems name it */
export function readYaml(text: string, file: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    stringKeys: true,
    logLevel: 'error',
  });
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faults = [...syntaxFaults(document, text), ...wrongAliases(document)];
  let data: unknown;
  let broken = faults.some((fault) => fault.fatal);
  if (!broken) {
    try {
      data = document.toJS({ maxAliasCount: 100 }) as unknown;
    } catch {
      broken = true;
      faults.push({ offset: 0, fatal: true, message: 'its aliases (*) or merges (<<) do not resolve' });
    }
  }
  const problems = onePerLine(
    faults.map(({ offset, message, remedy }) => ({
      file,
      ...position(offset),
      message,
      ...(remedy === undefined ? {} : { remedy }),
    })),
  );
  return {
    file,
    data: broken ? undefined : data,
    problems,
    at: (path, on) => position(offsetOf(document, path, on)),
  };
}

interface SyntaxFault extends Advice {
  readonly offset: number;
  /** The data cannot be trusted. */
  readonly fatal: boolean;
}

const QUOTE = 'put quotes around it';

/** In our words, by the parser's code; whatever is not listed is "not valid YAML here". */
const WORDS: Readonly<Record<string, Advice>> = {
  TAB_AS_INDENT: { message: 'a tab is used for indentation', remedy: 'YAML wants spaces' },
  MISSING_CHAR: { message: 'something is missing before this: a closing quote, or a ":" after a key' },
  BAD_INDENT: { message: 'the indentation does not fit, or a bracket before this was not closed' },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'a second ": " on one line',
    remedy: 'if it belongs to the value, put quotes around the value',
  },
  BAD_SCALAR_START: { message: 'a value cannot begin with this character', remedy: QUOTE },
  BAD_ALIAS: { message: 'a value that begins with * means an alias in YAML', remedy: QUOTE },
  BAD_DQ_ESCAPE: {
    message: 'a backslash has a meaning of its own in double quotes',
    remedy: 'use single quotes, or \\\\ for one \\',
  },
  MULTIPLE_DOCS: { message: 'a second document starts here ("---")', remedy: 'one file holds one document' },
  MULTILINE_IMPLICIT_KEY: {
    message: 'a key goes over several lines',
    remedy: 'look for a missing ":" or "-" in front of it',
  },
  TAG_RESOLVE_FAILED: { message: 'a value that begins with ! means a tag in YAML', remedy: QUOTE },
  NON_STRING_KEY: { message: 'a key must be plain text' },
};

function syntaxFaults(document: Document.Parsed, text: string): SyntaxFault[] {
  return [...document.errors, ...document.warnings].map((error) => {
    const offset = error.pos[0];
    if (error.code === 'DUPLICATE_KEY') return { offset, fatal: false, ...duplicate(document, offset, text) };
    return { offset, fatal: true, ...(WORDS[error.code] ?? { message: 'this is not valid YAML here' }) };
  });
}

function duplicate(document: Document.Parsed, offset: number, text: string): Advice {
  let key = '';
  let first = offset;
  visit(document, {
    Map(_, map) {
      const at = map.items.findIndex((pair) => isScalar(pair.key) && pair.key.range?.[0] === offset);
      const found = map.items[at];
      if (found === undefined || !isScalar(found.key)) return undefined;
      key = String(found.key.value);
      const earlier = map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === key);
      first = (isScalar(earlier?.key) ? earlier.key.range?.[0] : undefined) ?? offset;
      return visit.BREAK;
    },
  });
  const line = text.slice(0, first).split('\n').length;
  return { message: `key "${key}" is there twice`, remedy: `the first is on line ${line}; keep one of them` };
}

/** `match: *.csv` is an alias to YAML, and never what was meant. What it says may be a password. */
function wrongAliases(document: Document.Parsed): SyntaxFault[] {
  const faults: SyntaxFault[] = [];
  visit(document, {
    Alias(_, alias, ancestors) {
      const target = alias.resolve(document);
      if (target !== undefined && !ancestors.includes(target)) return;
      faults.push({
        offset: alias.range?.[0] ?? 0,
        fatal: true,
        message:
          target === undefined
            ? 'a value that begins with * means an alias in YAML'
            : 'this alias holds itself',
        ...(target === undefined ? { remedy: QUOTE } : {}),
      });
    },
  });
  return faults;
}

/** What follows the first error on a line is usually its echo. */
function onePerLine(problems: readonly Problem[]): Problem[] {
  const seen = new Set<number>();
  return problems.filter((problem) => !seen.has(problem.line) && seen.add(problem.line));
}

function offsetOf(document: Document.Parsed, path: Path, on: 'key' | undefined): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const found = isMap(node)
      ? node.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(step))
      : isSeq(node)
        ? node.items[Number(step)]
        : undefined;
    // A single value stands for a list of one.
    if (found === undefined)
      return typeof step === 'number' && !isSeq(node) ? (startOf(node) ?? offset) : offset;
    if (!isPair(found)) {
      node = found;
      offset = startOf(found) ?? offset;
      continue;
    }
    const last = index === path.length - 1;
    const key = startOf(found.key) ?? offset;
    // Of a value with lines of its own, the line with its key says more.
    offset =
      last && on !== 'key' && !(isMap(found.value) && !found.value.flow)
        ? (startOf(found.value) ?? key)
        : key;
    node = found.value;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
