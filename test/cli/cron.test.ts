/** Cron lines of a running worker, over its restarts. */

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { filesOf } from '../support/files.ts';
import { startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

const DAY_MS = 86_400_000;
const NIGHTLY = { cron: '0 2 * * *', timezone: 'Asia/Tokyo' };

/** As if the worker had last been there ten days ago. */
function lastRunTenDaysAgo(home: Home, jobs: readonly string[]): void {
  using ledger = openLedger({ folder: home.dataFolder, now: Date.now });
  for (const job of jobs) ledger.setJob(job, { lastCronMs: Date.now() - 10 * DAY_MS });
}

async function lastRuns(home: Home): Promise<readonly number[]> {
  using ledger = openLedger({ folder: home.dataFolder, now: Date.now });
  return ['once', 'none'].map((job) => ledger.job(job)?.lastCronMs ?? 0);
}

async function arrivals(folder: string): Promise<readonly string[]> {
  return filesOf(folder).catch(() => []);
}

describe('a cron line', () => {
  test('that was missed is made up for once, or not at all, and not again at the next start', async () => {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.endpoints({ there: { type: 'local', path: './there' } });
    for (const catchUp of ['once', 'none'] as const)
      await home.job(catchUp, {
        from: './outbox',
        to: { endpoint: 'there', path: catchUp },
        settle: '0s',
        when: { ...NIGHTLY, catchUp },
      });
    await writeFile(join(home.outbox, 'f'), 'x');

    // At the very first start nothing was missed.
    const first = await home.worker();
    await until('the jobs to be known', async () => (await lastRuns(home)).every((at) => at > 0));
    assert.equal((await first.stop()).code, 0);
    assert.deepEqual(await arrivals(join(home.path, 'there')), []);

    lastRunTenDaysAgo(home, ['once', 'none']);
    const second = await home.worker();
    await until('the missed run', async () =>
      (await arrivals(join(home.path, 'there', 'once'))).includes('f'),
    );
    await until('both to be honoured', async () =>
      (await lastRuns(home)).every((at) => at > Date.now() - DAY_MS),
    );
    assert.equal((await second.stop()).code, 0);
    assert.deepEqual(await arrivals(join(home.path, 'there', 'none')), []);

    await writeFile(join(home.outbox, 'later'), 'y');
    // By the time that a job which watches has delivered, a run to be made up for would have begun.
    const to = { endpoint: 'there', path: 'watched' };
    await home.job('watched', { from: './outbox', to, settle: '0s', when: { watch: true } });
    const third = await home.worker({ FERRY_LOG: 'debug' });
    await until(
      'the other job',
      async () => (await arrivals(join(home.path, 'there', 'watched'))).length === 2,
    );
    const ended = await third.stop();
    assert.equal(ended.code, 0);
    assert.match(ended.stderr, /"event":"scanned","job":"watched"/);
    assert.doesNotMatch(ended.stderr, /"event":"scanned","job":"(once|none)"/);
    assert.deepEqual(await arrivals(join(home.path, 'there', 'once')), ['f']);
  });

  test('whose source could not be reached has its look when it can be', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    const out = join(server.folder, 'out');
    await mkdir(out);
    await mkdir(join(home.path, 'inbox'));
    await writeFile(join(out, 'f'), 'x');
    await home.endpoints({ server: endpointOf(server) });
    await home.job('fetch', {
      from: { endpoint: 'server', path: out },
      to: './inbox',
      settle: '0s',
      when: { ...NIGHTLY, catchUp: 'once' },
    });
    lastRunTenDaysAgo(home, ['fetch']);
    await server.stop();
    const worker = home.start(['start']);
    await until('the alarm', () => worker.output().includes('"event":"alarm"'));
    await server.start();
    await until('the file', async () => (await arrivals(join(home.path, 'inbox'))).includes('f'), {
      timeoutMs: 60_000,
    });
    const ended = await worker.stop();
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(ended.stderr.split('"event":"alarm"').length, 2, 'it was told once');
    assert.match(ended.stderr, /"event":"alarmOver"/);
  });
});
