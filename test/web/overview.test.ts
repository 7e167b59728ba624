import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job } from '../../src/sync/job.ts';
import { readOverview } from '../../src/web/overview.ts';
import { delivery } from '../observe/examples.ts';

const job: Job = {
  name: 'invoices',
  from: { endpoint: 'folder:/srv/outbox', path: 'invoices' },
  match: ['**'],
  ignore: [],
  to: [
    { endpoint: 'app-server', path: '/srv/inbox' },
    { endpoint: 'folder:/mnt/copy', path: '' },
  ],
  when: {
    watch: true,
    cron: '0 2 * * *',
    timezone: 'Asia/Tokyo',
    catchUp: 'once',
    rescanMs: 60_000,
    pollMs: undefined,
  },
  settleMs: 5_000,
  done: undefined,
  after: { action: 'keep' },
  conflict: 'replace',
  verify: 'size',
  retry: { attempts: 8, delayMs: 5_000, maxDelayMs: 900_000 },
  order: 'none',
  preserve: { mtime: true, mode: false },
  historyMs: 0,
  file: 'jobs/invoices.yaml',
};

test('an overview is what the ledger and the configuration say, each job and endpoint once', () => {
  const overview = readOverview({
    ledger: {
      counts: () => [
        { job: 'invoices', endpoint: 'app-server', state: 'due', files: 3, bytes: 300 },
        { job: 'invoices', endpoint: 'app-server', state: 'sending', files: 1, bytes: 50 },
        { job: 'invoices', endpoint: 'folder:/mnt/copy', state: 'delivered', files: 9, bytes: 900 },
        { job: 'invoices', endpoint: 'app-server', state: 'failed', files: 2, bytes: 20 },
        { job: 'gone', endpoint: 'app-server', state: 'due', files: 5, bytes: 1 },
      ],
      endpoints: () => [
        { endpoint: 'app-server', state: 'held', fault: undefined, sinceMs: 1_000, nextProbeMs: 9_000 },
      ],
      jobs: () => [
        {
          job: 'invoices',
          lastScanMs: 7_000,
          lastCronMs: undefined,
          lastDeliveredMs: 6_000,
          alarm: undefined,
          mount: undefined,
        },
      ],
      paused: () => new Set(['invoices']),
      underWay: () => new Map([['invoices', 2]]),
      history: ({ state }) => [delivery(state === 'failed' ? 1 : 2)],
    },
    jobs: () => [job],
    endpoints: () => [
      { name: 'app-server', address: 'sftp ec2-user@host:22' },
      { name: 'unused', address: 'folder /x' },
    ],
    activity: { moving: [], rate: () => ({ bytesPerSecond: 1, filesPerSecond: 2 }) },
    health: () => ({ live: true, ready: true, reasons: [] }),
    queue: () => 'on Redis',
    now: () => 10_000,
    site: 'tokyo-1',
    version: '0.1.0',
    startedAtMs: 0,
  });
  assert.deepEqual(overview.jobs, [
    {
      name: 'invoices',
      from: '/srv/outbox/invoices',
      to: ['app-server:/srv/inbox', '/mnt/copy'],
      when: 'watched, cron 0 2 * * * Asia/Tokyo',
      paused: true,
      owed: 4,
      owedBytes: 350,
      sending: 1,
      underWay: 2,
      failed: 2,
      delivered: 9,
      lastScanMs: 7_000,
      lastDeliveredMs: 6_000,
      alarm: undefined,
    },
  ]);
  assert.deepEqual(
    overview.endpoints.map(({ name, state, owed, nextProbeMs }) => [name, state, owed, nextProbeMs]),
    [
      ['app-server', 'held', 9, 9_000],
      ['unused', 'up', 0, undefined],
    ],
  );
  assert.deepEqual([overview.failed[0]?.id, overview.recent[0]?.id], [1, 2]);
});
