/** What cron triggers promise, on any backend. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { Schedules } from '../../src/queue/schedules.ts';
import { Events } from '../../src/sync/events.ts';
import { until } from '../support/until.ts';
import { makeHome, type OnBackend } from './support.ts';

const EVERY_SECOND = '* * * * * *';
const DAY_MS = 86_400_000;

export function schedulesSuite({ backend }: OnBackend): void {
  // One test: the queue of triggers has one name, so a backend has room for one of them at a time.
  test('cron lines', async (t) => {
    await using home = await makeHome();
    using ledger = openLedger({ folder: home.folder, now: Date.now });
    const asked: { readonly job: string; readonly dueMs: number; readonly atMs: number }[] = [];
    const of = (job: string) => asked.filter((each) => each.job === job);
    let busy: Promise<void> | undefined;
    const open = () =>
      Schedules.open({
        backend: backend(),
        ledger,
        events: new Events(),
        now: Date.now,
        onCron: async (job, dueMs) => {
          asked.push({ job, dueMs, atMs: Date.now() });
          if (job === 'slow') await busy;
        },
      });
    const line = { pattern: EVERY_SECOND, timezone: 'Asia/Tokyo', catchUp: 'once' } as const;

    await t.test('ask for a scan when they are due, and are remembered', async () => {
      await using schedules = await open();
      await schedules.set([{ ...line, job: 'each' }]);
      await until('two runs', () => of('each').length >= 2);
      const [first, second] = of('each');
      assert.equal((first?.dueMs ?? 1) % 1_000, 0);
      assert.ok((second?.dueMs ?? 0) >= (first?.dueMs ?? 0) + 1_000);
      assert.ok((first?.atMs ?? 0) >= (first?.dueMs ?? 0));
      assert.ok((ledger.job('each')?.lastCronMs ?? 0) >= (first?.dueMs ?? Number.NaN));
    });

    await t.test('do not overlap', async () => {
      await using schedules = await open();
      let release = (): void => undefined;
      busy = new Promise((resolve) => {
        release = resolve;
      });
      await schedules.set([
        { ...line, job: 'slow' },
        { ...line, job: 'beside' },
      ]);
      await until('the other to run three times', () => of('beside').length >= 3);
      assert.equal(of('slow').length, 1);
      release();
      await until('it to run again', () => of('slow').length >= 2);
    });

    await t.test('are changed and removed with the configuration', async () => {
      await using schedules = await open();
      await schedules.set([
        { ...line, job: 'gone' },
        { ...line, job: 'changed' },
      ]);
      await until('both to run', () => of('gone').length > 0 && of('changed').length > 0);
      await schedules.set([{ ...line, job: 'changed', pattern: '0 0 1 1 *' }]);
      const [scheduler, ...others] = await schedules.queue.getJobSchedulers();
      assert.equal(others.length, 0);
      assert.equal(scheduler?.pattern, '0 0 1 1 *');
      assert.equal(scheduler?.tz, 'Asia/Tokyo');
      // Midnight in Tokyo is 15:00 UTC of the day before.
      assert.equal(new Date(scheduler?.next ?? 0).toISOString().slice(5), '12-31T15:00:00.000Z');
      await until(
        'what was due at that moment to be done',
        async () => (await schedules.queue.getJobCountByTypes('waiting', 'active')) === 0,
      );
      const before = asked.length;
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      assert.equal(asked.length, before);
    });

    await t.test('make up for what was missed, once, or not at all', async () => {
      await using schedules = await open();
      const days = { pattern: '0 2 * * *', timezone: 'Europe/Berlin' };
      const lastMs = Date.now() - 10 * DAY_MS;
      ledger.setJob('once', { lastCronMs: lastMs });
      ledger.setJob('none', { lastCronMs: lastMs });
      ledger.setJob('recent', { lastCronMs: Date.now() });
      await schedules.set([
        { ...days, job: 'once', catchUp: 'once' },
        { ...days, job: 'none', catchUp: 'none' },
        { ...days, job: 'recent', catchUp: 'once' },
        { ...days, job: 'new', catchUp: 'once' },
      ]);
      await until('the missed one to run', () => of('once').length > 0);
      await until('all to be remembered', () =>
        ['once', 'none', 'recent', 'new'].every(
          (job) => (ledger.job(job)?.lastCronMs ?? 0) > Date.now() - DAY_MS,
        ),
      );
      assert.equal(of('once').length, 1);
      assert.equal(of('none').length + of('recent').length + of('new').length, 0);
      await using again = await open();
      await again.set([{ ...days, job: 'once', catchUp: 'once' }]);
      assert.equal(of('once').length, 1, 'and not again at the next start');
    });
  });
}
