/** A line of the log for a person: the time, how grave, what happened, and the rest as `name=value`. */

import { clean } from './clean.ts';
import { paint, type Style } from './paint.ts';

const LEVELS: Readonly<Record<string, readonly [text: string, style: Style]>> = {
  fatal: ['FATAL', 'red'],
  error: ['ERROR', 'red'],
  warn: ['WARN ', 'yellow'],
  info: ['info ', 'green'],
  debug: ['debug', 'dim'],
  trace: ['trace', 'dim'],
};

/** What the message says already, and what only machines want. */
const LEFT_OUT: ReadonlySet<string> = new Set(['time', 'level', 'msg', 'advice', 'err', 'event']);

/** @param line a parsed line of pino's */
export function formatLine(line: unknown, color: boolean): string {
  const fields = new Map(typeof line === 'object' && line !== null ? Object.entries(line) : []);
  const [level, style] = LEVELS[String(fields.get('level'))] ?? ['?    ', 'dim'];
  const rest = [...fields]
    .filter(([name, value]) => !LEFT_OUT.has(name) && value !== undefined && value !== null)
    .map(([name, value]) => ` ${paint(color, 'dim', `${clean(name)}=`)}${shown(value)}`);
  const first = `${paint(color, 'dim', clock(fields.get('time')))} ${paint(color, style, level)} ${clean(String(fields.get('msg') ?? ''))}`;
  const below = [...advice(fields.get('advice'), color), ...trace(fields.get('err'), color)];
  return `${[`${first}${rest.join('')}`, ...below].join('\n')}\n`;
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? clean(value) : clean(JSON.stringify(value));
  return typeof value === 'string' && /[\s"=]|^$/.test(text)
    ? JSON.stringify(text).replaceAll('\\\\', '\\')
    : text;
}

function clock(time: unknown): string {
  const at = new Date(typeof time === 'string' ? time : Number.NaN);
  return Number.isNaN(at.getTime()) ? '--:--:--' : at.toTimeString().slice(0, 8);
}

function advice(text: unknown, color: boolean): readonly string[] {
  return typeof text === 'string' ? [`         ${paint(color, 'cyan', '→')} ${clean(text)}`] : [];
}

function trace(error: unknown, color: boolean): readonly string[] {
  const stack = typeof error === 'object' && error !== null && 'stack' in error ? error.stack : undefined;
  if (typeof stack !== 'string') return [];
  return stack.split('\n').map((line) => paint(color, 'dim', `         ${clean(line)}`));
}
