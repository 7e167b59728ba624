/** The block that a terminal shows while files move: one line for all, and one for each of the first few files. */

import type { Moving, Rate } from './activity.ts';
import { clean } from './clean.ts';
import { formatBytes, formatCount, formatDuration, formatNumber, formatRate } from './format.ts';
import { paint } from './paint.ts';
import { fitEnd, textWidth } from './terminal-width.ts';

const SHOWN_FILES = 4;
const BAR_COLUMNS = 20;
/** Spinner and percentage. */
const HEAD = 9;
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;

export interface Snapshot {
  readonly done: { readonly files: number; readonly bytes: number };
  readonly total: { readonly files: number; readonly bytes: number };
  readonly failed: number;
  readonly moving: readonly Moving[];
  readonly movingBytes: number;
  readonly rate: Rate;
}

/** Lines at most `columns` wide. `turn` counts up with each drawing. */
export function drawBlock(shot: Snapshot, columns: number, color: boolean, turn: number): readonly string[] {
  return [headLine(shot, columns, color, turn), ...fileLines(shot.moving, columns, color)];
}

/** The same on one line, for a log. */
export function describe(shot: Snapshot): string {
  return parts(shot).join(', ');
}

function parts({ done, total, failed, movingBytes, rate }: Snapshot): readonly string[] {
  const left = timeLeftMs({ done, total, movingBytes, rate });
  return [
    `${formatNumber(done.files)} of ${formatCount(total.files, 'file')}`,
    `${formatBytes(done.bytes + movingBytes)} of ${formatBytes(total.bytes)}`,
    formatRate(rate.bytesPerSecond),
    ...(failed > 0 ? [`${formatNumber(failed)} failed`] : []),
    ...(left === undefined ? [] : [`about ${formatDuration(left)} left`]),
  ];
}

/** By bytes or by files, whichever takes longer: many small files cost more than their bytes. */
export function timeLeftMs(
  shot: Pick<Snapshot, 'done' | 'total' | 'movingBytes' | 'rate'>,
): number | undefined {
  const { done, total, movingBytes, rate } = shot;
  const bytes = total.bytes - done.bytes - movingBytes;
  const files = total.files - done.files;
  if (files <= 0 || rate.bytesPerSecond + rate.filesPerSecond === 0) return undefined;
  const byBytes = bytes > 0 && rate.bytesPerSecond > 0 ? bytes / rate.bytesPerSecond : 0;
  // The files that are under way count half: some have just begun, some are nearly there.
  const byFiles = rate.filesPerSecond > 0 ? Math.max(0, files - 0.5) / rate.filesPerSecond : 0;
  const seconds = byBytes > 0 ? (files > 50 ? Math.max(byBytes, byFiles) : byBytes) : byFiles;
  return seconds > 0 ? seconds * 1000 : undefined;
}

function headLine(shot: Snapshot, columns: number, color: boolean, turn: number): string {
  const share = shareOf(shot);
  const spin = SPINNER[turn % SPINNER.length] ?? '';
  const percent = `${String(Math.floor(share * 100)).padStart(3)} %`;
  const texts = parts(shot);
  let text = texts.join('  ');
  for (let count = texts.length - 1; count > 1 && textWidth(text) + HEAD > columns; count -= 1) {
    text = texts.slice(0, count).join('  ');
  }
  const room = columns - textWidth(text) - HEAD - 1;
  const bar = room >= BAR_COLUMNS ? ` ${drawBar(share, BAR_COLUMNS, color)}` : '';
  return `${paint(color, 'cyan', spin)}${bar} ${paint(color, 'bold', percent)}  ${fitEnd(text, columns - HEAD)}`;
}

function shareOf({ done, total, movingBytes }: Snapshot): number {
  const share =
    total.bytes > 0
      ? (done.bytes + movingBytes) / total.bytes
      : total.files > 0
        ? done.files / total.files
        : 0;
  return Math.max(0, Math.min(1, share));
}

function drawBar(share: number, columns: number, color: boolean): string {
  const full = Math.round(share * columns);
  return `${paint(color, 'cyan', '━'.repeat(full))}${paint(color, 'dim', '┄'.repeat(columns - full))}`;
}

function fileLines(moving: readonly Moving[], columns: number, color: boolean): readonly string[] {
  const lines = moving.slice(0, SHOWN_FILES).map(({ delivery, confirmedBytes }) => {
    const size = delivery.version.sizeBytes;
    const percent = size > 0 ? Math.min(100, Math.floor((confirmedBytes / size) * 100)) : 0;
    const end = ` → ${clean(delivery.endpoint)}  ${formatBytes(size)}`;
    const name = fitEnd(clean(delivery.path), Math.max(8, columns - 10 - textWidth(end)));
    return `  ${paint(color, 'dim', `${String(percent).padStart(3)} %`)}  ${name}${paint(color, 'dim', end)}`;
  });
  const more = moving.length - SHOWN_FILES;
  return more > 0 ? [...lines, paint(color, 'dim', `         and ${formatNumber(more)} more`)] : lines;
}
