/** The figures as tables for people (Markdown) and as JSON for scripts. */

import { cpus, totalmem } from 'node:os';
import { CLAIMS, type Claim, type Figures } from './claims.ts';
import type { Memory } from './command.ts';

export interface Row {
  readonly work: string;
  readonly title: string;
  readonly tool: string;
  /** One a round. */
  readonly seconds: readonly number[];
  readonly memory: readonly Memory[];
}

export interface Verdict {
  readonly says: string;
  readonly target: string;
  readonly measured: string;
  readonly value: number | undefined;
  readonly verdict: 'reached' | 'MISSED' | 'not measured';
}

export interface Result {
  readonly machine: string;
  readonly node: string;
  readonly rows: readonly Row[];
  /** Milliseconds, one a drop. */
  readonly drops: readonly number[];
  readonly claims: readonly Verdict[];
}

export function median(numbers: readonly number[]): number | undefined {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [low, high] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.ceil((sorted.length - 1) / 2)],
  ];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

export function judge(rows: readonly Row[], drops: readonly number[]): Result {
  const row = (work: string, tool: string): Row | undefined =>
    rows.find((each) => each.work === work && each.tool === tool);
  const figures: Figures = {
    seconds: (work, tool) => median(row(work, tool)?.seconds ?? []),
    memory: (work, tool) => median((row(work, tool)?.memory ?? []).map((memory) => memory.treeBytes)),
    dropMs: median(drops),
  };
  const [cpu] = cpus();
  return {
    machine: `${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 1024 ** 3)} GiB`,
    node: process.version,
    rows,
    drops,
    claims: CLAIMS.map((claim) => verdictOf(claim, figures)),
  };
}

function verdictOf(claim: Claim, figures: Figures): Verdict {
  const { says, target, better } = claim;
  const value = claim.measure(figures);
  const sign = better === 'more' ? '≥' : '<';
  const reached = value !== undefined && (better === 'more' ? value >= target : value < target);
  return {
    says,
    target: `${sign} ${withUnit(target, claim.unit)}`,
    measured: value === undefined ? '' : withUnit(value, claim.unit),
    value,
    verdict: value === undefined ? 'not measured' : reached ? 'reached' : 'MISSED',
  };
}

function withUnit(value: number, unit: Claim['unit']): string {
  const digits = value < 20 ? Math.round(value * 100) / 100 : Math.round(value);
  return unit === 'times' ? `${digits} ×` : unit === 'seconds' ? `${digits} s` : `${digits} ${unit}`;
}

/** @param ours the tool that the others are compared with: how many times longer they take */
export function printResult(result: Result, ours: string): void {
  const works = [...new Set(result.rows.map((row) => row.work))];
  for (const work of works) {
    const rows = result.rows.filter((row) => row.work === work);
    const base = median(rows.find((row) => row.tool === ours)?.seconds ?? []);
    console.log(`\n### ${rows[0]?.title ?? work}\n`);
    printTable(
      ['tool', 'median', 'min – max', 'rounds', `÷ ${ours}`, 'memory (all, largest process)'],
      rows.map((row) => cellsOf(row, base)),
    );
  }
  if (result.drops.length > 0) {
    const drops = result.drops.map((ms) => `${Math.round(ms)}`).join(' ');
    console.log(`\n### Dropped files: ms from close to final name, less settle\n\n${drops}`);
  }
  console.log(`\n### What was asked, and what it is\n`);
  printTable(
    ['what', 'asked', 'measured', ''],
    result.claims
      .filter(({ value }) => value !== undefined)
      .map((claim) => [claim.says, claim.target, claim.measured, claim.verdict]),
  );
  console.log(`\n${result.machine}, Node ${result.node}`);
}

function cellsOf(row: Row, base: number | undefined): readonly string[] {
  const middle = median(row.seconds);
  if (middle === undefined) return [row.tool, 'failed', '', '', '', ''];
  const memory = row.memory.toSorted((a, b) => a.treeBytes - b.treeBytes)[Math.floor(row.memory.length / 2)];
  return [
    row.tool,
    `${middle.toFixed(2)} s`,
    `${Math.min(...row.seconds).toFixed(2)} – ${Math.max(...row.seconds).toFixed(2)}`,
    `${row.seconds.length}`,
    base === undefined ? '' : (middle / base).toFixed(2),
    memory === undefined
      ? ''
      : `${Math.round(memory.treeBytes / 1e6)} MB, ${Math.round(memory.processBytes / 1e6)} MB (${memory.process})`,
  ];
}

function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const print = (cells: readonly string[]): void =>
    console.log(`| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`);
  print(head);
  print(widths.map((width) => '-'.repeat(width)));
  for (const row of rows) print(row);
}
