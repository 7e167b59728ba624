/** What happened, as lines for a person: one for each file as long as there are not too many. */

import type { Receipt } from '../endpoints/endpoint.ts';
import type { Delivery } from '../sync/delivery.ts';
import type { Fault } from '../sync/errors.ts';
import { clean } from './clean.ts';
import { formatBytes, formatDuration } from './format.ts';
import { paint } from './paint.ts';

/** So many lines may come at once, and so many a second for ever. */
const BURST = 200;
const PER_SECOND = 2;

/** Says when a line is one too many. */
export class LineBudget {
  readonly #now: () => number;
  #left = BURST;
  #atMs: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#atMs = now();
  }

  take(): boolean {
    const nowMs = this.#now();
    this.#left = Math.min(BURST, this.#left + (Math.max(0, nowMs - this.#atMs) / 1000) * PER_SECOND);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

export function deliveredLine(delivery: Delivery, receipt: Receipt, ms: number, color: boolean): string {
  const to = paint(color, 'dim', `→ ${clean(delivery.endpoint)}:${clean(receipt.remotePath)}`);
  const how =
    receipt.alreadyThere === true
      ? 'was there already'
      : `${formatBytes(receipt.sizeBytes)} in ${formatDuration(ms)}`;
  return `${paint(color, 'green', '✓')} ${clean(delivery.path)} ${to}  ${how}`;
}

export function failedLine(delivery: Delivery, fault: Fault, color: boolean): string {
  const what = `${clean(delivery.path)} → ${whatHappened(delivery.endpoint, fault)}`;
  return `${paint(color, 'red', '✗')} ${what}${adviceLine(fault, color)}`;
}

export function retryLine(delivery: Delivery, fault: Fault, afterMs: number, color: boolean): string {
  const what = `${clean(delivery.path)} → ${whatHappened(delivery.endpoint, fault)}`;
  return `${paint(color, 'yellow', '!')} ${what}; ${nextTry(fault, afterMs)}`;
}

/** What was refused waits for a person, with the endpoint, however soon the file itself may go. */
export function nextTry(fault: Fault, afterMs: number): string {
  return fault.kind === 'rejected' ? 'stays due until someone acts' : `again in ${formatDuration(afterMs)}`;
}

export function downLine(
  endpoint: string,
  fault: Fault,
  nextProbeMs: number | undefined,
  color: boolean,
): string {
  const next =
    nextProbeMs === undefined ? 'stopped until someone acts' : `next try in ${formatDuration(nextProbeMs)}`;
  const mark = nextProbeMs === undefined ? paint(color, 'red', '✗') : paint(color, 'yellow', '!');
  return `${mark} ${whatHappened(endpoint, fault)}; ${next}${adviceLine(fault, color)}`;
}

export function alarmLine(job: string, fault: Fault, color: boolean): string {
  return `${paint(color, 'red', '✗')} ${clean(job)}: ${clean(fault.message)}${adviceLine(fault, color)}`;
}

export function goodLine(text: string, color: boolean): string {
  return `${paint(color, 'green', '✓')} ${clean(text)}`;
}

export function noteLine(text: string, color: boolean): string {
  return `${paint(color, 'yellow', '!')} ${clean(text)}`;
}

function adviceLine(fault: Fault, color: boolean): string {
  return fault.advice === undefined ? '' : `\n    ${paint(color, 'cyan', '→')} ${clean(fault.advice)}`;
}

/** Many faults name their endpoint themselves. */
function whatHappened(endpoint: string, { message }: Fault): string {
  return message.startsWith(`${endpoint}: `) ? clean(message) : `${clean(endpoint)}: ${clean(message)}`;
}
