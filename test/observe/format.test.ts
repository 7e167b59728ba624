import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatAgo,
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  formatRate,
} from '../../src/observe/format.ts';
import { fitEnd, textWidth } from '../../src/observe/terminal-width.ts';

test('bytes', () => {
  const said = [
    0,
    1,
    999,
    1023,
    1024,
    1536,
    10_239,
    10_240,
    1_048_575,
    1_048_576,
    1.4 * 1024 ** 3,
    250 * 1024 ** 4,
  ].map(formatBytes);
  assert.deepEqual(said, [
    '0 B',
    '1 B',
    '999 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '10 KiB',
    '10 KiB',
    '1.0 MiB',
    '1.0 MiB',
    '1.4 GiB',
    '250 TiB',
  ]);
  assert.equal(formatRate(2_202_009), '2.1 MiB/s');
});

test('durations', () => {
  const said = [
    0, 40, 400, 9_940, 9_960, 59_400, 59_600, 60_000, 200_000, 3_599_600, 3_600_000, 18_120_000, 86_400_000,
    273_600_000,
  ].map(formatDuration);
  assert.deepEqual(said, [
    '0.0 s',
    '0.0 s',
    '0.4 s',
    '9.9 s',
    '10 s',
    '59 s',
    '1 min',
    '1 min',
    '3 min 20 s',
    '1 h',
    '1 h',
    '5 h 2 min',
    '1 d',
    '3 d 4 h',
  ]);
});

test('how long ago', () => {
  const said = [-5, 0, 1_400, 12_000, 300_000, 3 * 3_600_000, 30 * 3_600_000, 72 * 3_600_000].map(formatAgo);
  assert.deepEqual(said, [
    'just now',
    'just now',
    'just now',
    '12 s ago',
    '5 min ago',
    '3 h ago',
    '30 h ago',
    '3 d ago',
  ]);
});

test('counts', () => {
  assert.deepEqual(
    [formatCount(1, 'file'), formatCount(1240, 'file'), formatCount(2, 'delivery', 'deliveries')],
    ['1 file', '1,240 files', '2 deliveries'],
  );
  assert.deepEqual([0, 999, 1_000, 1_234_567].map(formatNumber), ['0', '999', '1,000', '1,234,567']);
});

test('text cut to the width of a terminal keeps its end', () => {
  assert.equal(fitEnd('a/b/report.csv', 20), 'a/b/report.csv');
  assert.equal(fitEnd('a/b/report.csv', 11), '…report.csv');
  assert.equal(fitEnd('a/b/報告書.csv', 11), '…報告書.csv');
  assert.equal(fitEnd('a/b/報告書.csv', 10), '…告書.csv');
  assert.equal(textWidth('e\u0301🚀'), 3);
});
