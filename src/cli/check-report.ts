/** What a person sees of `ferry check`: a heading for each place, a line for each step, and below it what to do. */

import { stripVTControlCharacters } from 'node:util';
import type { ProbeStep } from '../endpoints/endpoint.ts';
import { paint, type Style } from '../observe/paint.ts';
import { type Cli, line } from './cli.ts';

/** Columns for the names of steps; the longest is `proxy command`. */
const STEP_COLUMNS = 13;
const LEAST_COLUMNS = 60;
/** A space at which no line is broken. */
const HELD = '\u00a0';
const CLEAR_LINE = '\r\u001b[2K';

export class CheckReport {
  readonly #cli: Cli;
  /** The jump host whose steps are being shown; '' for the endpoint itself. */
  #host = '';
  #underway = false;

  constructor(cli: Cli) {
    this.#cli = cli;
  }

  heading(name: string, address: string, below: string): void {
    this.#host = '';
    line(this.#cli.stdout, '');
    const more = below === '' ? '' : `  ${this.#paint('dim', below)}`;
    line(this.#cli.stdout, `${this.#paint('bold', name)}  ${address}${more}`);
  }

  step(step: ProbeStep): void {
    const { host = '' } = step;
    this.#wipe();
    if (host !== this.#host)
      line(
        this.#cli.stdout,
        host === '' ? `  ${this.#paint('dim', 'behind it')}` : `  ${this.#paint('dim', 'jump host')} ${host}`,
      );
    this.#host = host;
    if (step.underway === true && this.#cli.stdout.isTTY === true) {
      const text = `  · ${step.step.padEnd(STEP_COLUMNS)} ${step.saw}`.slice(0, this.#columns - 1); // one line, to be wiped
      this.#cli.stdout.write(this.#paint('dim', text));
      this.#underway = true;
      return;
    }
    const mark = markOf(step);
    const time =
      step.ms === undefined || step.ms < 1 || step.underway === true
        ? ''
        : this.#paint('dim', `${HELD}${HELD}${duration(step.ms).replace(' ', HELD)}`);
    const name = step.step.padEnd(STEP_COLUMNS);
    this.#paragraph(`  ${this.#paint(mark.style, mark.sign)} ${name} `, `${step.saw}${time}`);
    if (step.means !== undefined) this.#paragraph(' '.repeat(STEP_COLUMNS + 5), step.means);
    if (step.advice !== undefined)
      this.#paragraph(`${' '.repeat(STEP_COLUMNS + 3)}${this.#paint('yellow', '→')} `, step.advice);
  }

  /** @param broken places that need attention, each with the step at which it broke */
  summary(tried: number, broken: readonly string[]): void {
    line(this.#cli.stdout, '');
    if (broken.length === 0) line(this.#cli.stdout, this.#paint('green', 'all well'));
    else {
      const text = `${broken.length} of ${tried} ${broken.length === 1 && tried === 1 ? 'needs' : 'need'} attention: ${broken.join(', ')}`;
      line(this.#cli.stdout, this.#paint('red', text));
    }
  }

  /** What went on is gone from the line that it was written on. */
  #wipe(): void {
    if (this.#underway) this.#cli.stdout.write(CLEAR_LINE);
    this.#underway = false;
  }

  /** On a terminal, lines are broken between words and begin below the first. */
  #paragraph(start: string, text: string): void {
    const indent = stripVTControlCharacters(start).length;
    const lines = wrap(text, this.#columns - indent);
    line(this.#cli.stdout, `${start}${lines.join(`\n${' '.repeat(indent)}`)}`.replaceAll(HELD, ' '));
  }

  get #columns(): number {
    const { isTTY, columns } = this.#cli.stdout;
    return isTTY === true ? Math.max(LEAST_COLUMNS, columns ?? 80) : Number.POSITIVE_INFINITY;
  }

  #paint(style: Style, text: string): string {
    return paint(this.#cli.color, style, text);
  }
}

function markOf(step: ProbeStep): { readonly sign: string; readonly style: Style } {
  if (step.underway === true) return { sign: '·', style: 'dim' };
  if (!step.ok) return { sign: '✗', style: 'red' };
  return step.warning === true ? { sign: '!', style: 'yellow' } : { sign: '✓', style: 'green' };
}

function duration(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1_000)} s`;
}

/** A word that is longer than a line keeps to itself. */
function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let current = '';
  for (const word of text.split(' ')) {
    const longer = current === '' ? word : `${current} ${word}`;
    if (current !== '' && stripVTControlCharacters(longer).length > columns) {
      lines.push(current);
      current = word;
    } else current = longer;
  }
  return [...lines, current];
}
