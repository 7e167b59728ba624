/** An overview with something of everything. */

import type { Overview } from '../../src/web/overview.ts';
import { delivery } from '../observe/examples.ts';

const NOW = Date.parse('2026-11-22T02:00:07Z');

const job: Overview['jobs'][number] = {
  name: 'invoices',
  from: '/srv/outbox/invoices',
  to: ['app-server:/srv/inbox', 'archive:in/'],
  when: 'watched, cron 0 2 * * * Asia/Tokyo',
  paused: false,
  owed: 0,
  owedBytes: 0,
  sending: 0,
  underWay: 0,
  failed: 0,
  delivered: 18_204,
  lastScanMs: NOW - 12_000,
  lastDeliveredMs: NOW - 61_000,
  alarm: undefined,
};

const endpoint: Overview['endpoints'][number] = {
  name: 'app-server',
  address: 'sftp ec2-user@nlb-0123.elb.ap-northeast-1.amazonaws.com:22',
  paused: false,
  state: 'up',
  fault: undefined,
  sinceMs: NOW - 3_600_000,
  nextProbeMs: undefined,
  owed: 0,
};

/** All is well. */
export const calm: Overview = {
  site: 'tokyo-1',
  version: '0.1.0',
  queue: 'on a private redis-server',
  startedAtMs: NOW - 273_600_000,
  nowMs: NOW,
  health: { live: true, ready: true, reasons: [] },
  jobs: [job],
  endpoints: [endpoint],
  moving: [],
  rate: { bytesPerSecond: 0, filesPerSecond: 0 },
  failed: [],
  recent: Array.from({ length: 6 }, (_, at) =>
    delivery(900 - at, {
      path: `2026-11/invoice-${1200 - at}.csv`,
      state: 'delivered',
      version: { sizeBytes: 18_200 * (at + 1), mtimeMs: 0, tag: '' },
      remotePath: `/srv/inbox/2026-11/invoice-${1200 - at}.csv`,
      sha256: `${at}a5f`.repeat(16),
      deliveredAtMs: NOW - 61_000 * (at + 1),
    }),
  ),
};

/** All kinds of trouble, and work going on. */
export const busy: Overview = {
  ...calm,
  health: { live: true, ready: false, reasons: ['the endpoint partner is stopped', 'Redis does not answer'] },
  jobs: [
    { ...job, owed: 1_240, owedBytes: 4.2e9, sending: 3, underWay: 7, failed: 4 },
    {
      ...job,
      name: 'photos',
      from: '/mnt/share/photos',
      to: ['partner:/in'],
      when: 'watched',
      lastDeliveredMs: undefined,
      delivered: 0,
      alarm: {
        kind: 'vanished',
        code: 'ENOENT',
        message: 'the folder /mnt/share/photos does not exist',
        advice: 'Create it, or mount it; Ferry notices by itself.',
      },
    },
    {
      ...job,
      name: 'reports',
      paused: true,
      when: 'by hand',
      to: ['archive:reports/'],
      lastScanMs: undefined,
    },
  ],
  endpoints: [
    { ...endpoint, owed: 1_236 },
    {
      ...endpoint,
      name: 'archive',
      address: 's3 my-bucket/in/ (ap-northeast-1)',
      state: 'held',
      sinceMs: NOW - 95_000,
      nextProbeMs: NOW + 21_000,
      owed: 4,
      fault: {
        kind: 'unreachable',
        code: 'ECONNREFUSED',
        message: 'cannot connect to 10.0.3.17:443: connection refused',
        advice: 'Is the VPN up? Ferry goes on trying.',
      },
    },
    {
      ...endpoint,
      name: 'partner',
      address: 'sftp ferry@sftp.partner.example:22',
      state: 'stopped',
      sinceMs: NOW - 7_500_000,
      fault: {
        kind: 'rejected',
        code: 'HOST_KEY_CHANGED',
        message: 'the server shows another host key than the pinned one: SHA256:uNiVztksCsDhcc0u9e8BrnX0mNZ',
        advice: 'Ask the partner whether it was changed; then pin the new one with `ferry trust partner`.',
      },
    },
  ],
  moving: [
    '2026-11/export-full.tar',
    '長い名前の報告書/2026年11月の請求書一覧.csv',
    '<script>alert("x")</script>\n.csv',
  ].map((path, at) => ({
    delivery: delivery(at, { path, version: { sizeBytes: 3.1e9 / 10 ** at, mtimeMs: 0, tag: '' } }),
    confirmedBytes: (2.2e9 / 10 ** at) * (1 - at / 4),
    sinceMs: NOW - 42_000 / (at + 1),
  })),
  rate: { bytesPerSecond: 52e6, filesPerSecond: 2 },
  failed: [1, 2, 3, 4].map((id) =>
    delivery(id, {
      path: id === 4 ? 'name-"quoted"&.csv' : `2026-11/rejected-${id}.csv`,
      state: 'failed',
      error:
        id === 4
          ? {
              kind: 'permanent',
              code: 'SSH_FX_FAILURE',
              message: 'the name is taken by other content (conflict: fail)',
              advice: undefined,
            }
          : {
              kind: 'permanent',
              code: 'SSH_FX_PERMISSION_DENIED',
              message: '/srv/inbox/2026-11: permission denied',
              advice: 'Let ec2-user write there: `chown ec2-user /srv/inbox/2026-11` on the server.',
            },
    }),
  ),
};
