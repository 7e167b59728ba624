import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createProgress } from '../../src/observe/progress.ts';
import { drawBlock, timeLeftMs } from '../../src/observe/progress-block.ts';
import { textWidth } from '../../src/observe/terminal-width.ts';
import { Fault } from '../../src/sync/errors.ts';
import { Events } from '../../src/sync/events.ts';
import { until } from '../support/until.ts';
import { delivery, receiptOf } from './examples.ts';
import { Screen } from './screen.ts';

async function showing(live: boolean) {
  const events = new Events();
  const screen = new Screen();
  const progress = await createProgress(events, {
    out: screen,
    live,
    color: false,
    now: () => performance.now(),
  });
  return { events, screen, progress, [Symbol.dispose]: () => progress.stop() };
}

describe('on a terminal', () => {
  test('a block shows all and the current files; lines for what is over stay above it', async () => {
    using shown = await showing(true);
    const { events, screen, progress } = shown;
    const big = delivery(1, { path: 'big.iso', version: { sizeBytes: 10 * 1024 ** 2, mtimeMs: 0, tag: '' } });
    const small = delivery(2);
    events.emit('owed', big);
    events.emit('owed', small);
    events.emit('sending', big);
    events.emit('sending', small);
    events.emit('progress', big, 5 * 1024 ** 2);
    await until('the block', () =>
      screen.lines.some((line) => /50 % {2}big\.iso → app-server {2}10 MiB/.test(line)),
    );
    assert.match(screen.lines[0] ?? '', /^. .*49 % {2}0 of 2 files {2}5\.0 MiB of 10 MiB/);
    events.emit('delivered', small, receiptOf(small), 20);
    await until('the finished file', () => screen.lines.some((line) => /1 of 2 files/.test(line)));
    assert.match(
      screen.lines[0] ?? '',
      /^✓ file-2\.csv → app-server:\/srv\/inbox\/file-2\.csv {2}1\.0 KiB in 0\.0 s$/,
    );
    progress.print('said in between');
    assert.equal(screen.lines[1], 'said in between');
    events.emit('failed', big, new Fault('permanent', 'no permission', { advice: 'Ask for it.' }));
    progress.stop();
    assert.deepEqual(screen.lines, [
      '✓ file-2.csv → app-server:/srv/inbox/file-2.csv  1.0 KiB in 0.0 s',
      'said in between',
      '✗ big.iso → app-server: no permission',
      '    → Ask for it.',
    ]);
    assert.deepEqual(events.eventNames(), [], 'nothing is listened to any more');
  });

  test('with nothing to do there is no block', async () => {
    using shown = await showing(true);
    const { events, screen } = shown;
    const one = delivery(1);
    events.emit('owed', one);
    await until('the block', () => screen.lines.some((line) => line.includes('0 of 1 file')));
    events.emit('delivered', one, receiptOf(one), 1);
    await until('its end', () => screen.lines.length === 1);
    assert.match(screen.lines[0] ?? '', /^✓ file-1\.csv/);
  });

  test('no line is wider than the terminal, whatever the names', () => {
    const moving = Array.from({ length: 9 }, (_, at) => ({
      delivery: delivery(at, { path: `${'長い名前'.repeat(20)}/${'x'.repeat(at * 20)}.csv` }),
      confirmedBytes: 512,
      sinceMs: 0,
    }));
    const shot = {
      done: { files: 1234, bytes: 5 * 1024 ** 3 },
      total: { files: 20_000, bytes: 90 * 1024 ** 3 },
      failed: 3,
      moving,
      movingBytes: 4096,
      rate: { bytesPerSecond: 12_345_678, filesPerSecond: 3 },
    };
    for (const columns of [200, 100, 80, 60, 40]) {
      const lines = drawBlock(shot, columns, false, 1);
      assert.equal(lines.length, 6);
      for (const line of lines) assert.ok(textWidth(line) <= columns, `${columns}: ${line}`);
    }
    assert.match(
      drawBlock(shot, 120, false, 1)[0] ?? '',
      /5 % {2}1,234 of 20,000 files {2}5\.0 GiB of 90 GiB {2}12 MiB\/s {2}3 failed {2}about .* left/,
    );
  });

  test('the time left follows what is slower: bytes, or files when there are many', () => {
    const rate = { bytesPerSecond: 1000, filesPerSecond: 10 };
    const none = { files: 0, bytes: 0 };
    assert.equal(
      timeLeftMs({ done: none, total: { files: 1, bytes: 60_000 }, movingBytes: 10_000, rate }),
      50_000,
    );
    assert.equal(
      timeLeftMs({ done: none, total: { files: 1000, bytes: 1000 }, movingBytes: 0, rate }),
      99_950,
    );
    assert.equal(
      timeLeftMs({
        done: none,
        total: { files: 1, bytes: 1 },
        movingBytes: 0,
        rate: { bytesPerSecond: 0, filesPerSecond: 0 },
      }),
      undefined,
    );
  });
});

describe('elsewhere', () => {
  test('a line a file, without control characters', async () => {
    using shown = await showing(false);
    const { events, screen } = shown;
    const one = delivery(1, { path: 'two\nlines\u001b[2J.csv' });
    events.emit('owed', one);
    events.emit('sending', one);
    events.emit('attemptFailed', one, new Fault('unreachable', 'connection reset'), 5_000);
    events.emit('delivered', one, receiptOf(one), 1_500);
    assert.equal(
      screen.written,
      '! two\\nlines\\x1b[2J.csv → app-server: connection reset; again in 5.0 s\n' +
        '✓ two\\nlines\\x1b[2J.csv → app-server:/srv/inbox/two\\nlines\\x1b[2J.csv  1.0 KiB in 1.5 s\n',
    );
  });

  test('does not promise to try again soon what was refused', async () => {
    using shown = await showing(false);
    const { events, screen } = shown;
    const one = delivery(1);
    events.emit('owed', one);
    events.emit('sending', one);
    events.emit('attemptFailed', one, new Fault('rejected', 'wrong password'), 0);
    assert.equal(screen.written, '! file-1.csv → app-server: wrong password; stays due until someone acts\n');
  });

  test('2,000 files at once: some lines, then a summary', async () => {
    using shown = await showing(false);
    const { events, screen, progress } = shown;
    progress.setTotal(2_000, 2_000 * 1024);
    for (let at = 0; at < 2_000; at += 1) {
      const one = delivery(at);
      events.emit('sending', one);
      events.emit('delivered', one, receiptOf(one), 1);
    }
    progress.stop();
    const files = screen.lines.filter((line) => line.startsWith('✓'));
    assert.ok(files.length >= 200 && files.length < 1_000, `${files.length} lines`);
    assert.match(screen.lines.at(-1) ?? '', /^2,000 of 2,000 files, 2\.0 MiB of 2\.0 MiB, .*\/s$/);
  });
});
