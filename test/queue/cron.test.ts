/** When a cron line is due, also on the days when clocks are changed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CronLine, missedDue, nextDue } from '../../src/queue/cron.ts';

/** The next due times, one after another, in UTC. */
function due(line: CronLine, after: string, count: number): readonly string[] {
  const times: string[] = [];
  for (let at = Date.parse(after); times.length < count; ) {
    const next = nextDue(line, at);
    if (next === undefined) break;
    times.push(new Date(next).toISOString().slice(0, 16));
    at = next;
  }
  return times;
}

test('a line is due by the clocks of its own time zone', () => {
  const line = { pattern: '0 2 * * *', timezone: 'Asia/Tokyo' };
  assert.deepEqual(due(line, '2026-11-24T18:00Z', 2), ['2026-11-25T17:00', '2026-11-26T17:00']);
});

test('a night whose hour is skipped in spring has its run an hour later, once', () => {
  const line = { pattern: '30 2 * * *', timezone: 'Europe/Berlin' };
  // Clocks go from 02:00 to 03:00 on 29 March 2026.
  assert.deepEqual(due(line, '2026-03-27T12:00Z', 3), [
    '2026-03-28T01:30',
    '2026-03-29T01:30',
    '2026-03-30T00:30',
  ]);
});

test('a night whose hour comes twice in autumn has its run once', () => {
  const line = { pattern: '30 2 * * *', timezone: 'Europe/Berlin' };
  // Clocks go from 03:00 back to 02:00 on 25 October 2026.
  assert.deepEqual(due(line, '2026-10-23T12:00Z', 3), [
    '2026-10-24T00:30',
    '2026-10-25T00:30',
    '2026-10-26T01:30',
  ]);
});

test('lines that are due each hour follow real time through both', () => {
  const line = { pattern: '0 * * * *', timezone: 'Europe/Berlin' };
  for (const day of ['2026-03-29', '2026-10-25'])
    assert.deepEqual(due(line, `${day}T00:30Z`, 2), [`${day}T01:00`, `${day}T02:00`]);
});

test('what was missed is the first run after the last one honoured', () => {
  const line = { pattern: '0 2 * * *', timezone: 'UTC' };
  const last = Date.parse('2026-11-20T02:00Z');
  assert.equal(missedDue(line, last, Date.parse('2026-11-21T01:59Z')), undefined);
  assert.equal(missedDue(line, last, Date.parse('2026-11-24T12:00Z')), Date.parse('2026-11-21T02:00Z'));
});

test('a day that never comes is never due', () => {
  assert.equal(nextDue({ pattern: '0 2 31 2 *', timezone: 'UTC' }, 0), undefined);
});
