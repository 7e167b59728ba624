/** `order: name | mtime`: one file after the other, in that order, whatever the connection does. */

import assert from 'node:assert/strict';
import { lstat, mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { OWN_PREFIX } from '../../src/sync/names.ts';
import { type FaultProxy, startFaultProxy, type Trouble } from '../support/fault-proxy.ts';
import { endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { assertNoLeftovers, contentOf, filesOf, writeContent } from '../support/files.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { type MountedFolder, mountTmpfs } from '../support/tmpfs.ts';
import { until } from '../support/until.ts';

const FILES = 30;
const SLOW: Trouble = { latencyMs: 10, bytesPerSecond: 5_000_000 };
/** Written in an order that is neither that of the names nor that of the times. */
const NAMES = Array.from({ length: FILES }, (_, n) => `f${String((n * 17) % FILES).padStart(2, '0')}`);

describe('a job that keeps an order', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server[Symbol.asyncDispose]());

  interface Line {
    readonly home: Home;
    readonly proxy: FaultProxy;
    readonly inbox: string;
  }

  /** 30 files of up to 90 kB; by their times the other way round than by their names. */
  async function withFiles(
    order: 'name' | 'mtime',
    job: Readonly<Record<string, unknown>>,
    body: (line: Line) => Promise<void>,
  ): Promise<void> {
    await using home = await makeHome();
    await using proxy = await startFaultProxy({ port: server.port, trouble: SLOW });
    const inbox = join(server.folder, `${order}-${Math.random()}`);
    await mkdir(inbox);
    await home.endpoints({ server: endpointOf(server, { port: proxy.port }) });
    await home.job('drop', {
      from: './outbox',
      to: { endpoint: 'server', path: inbox },
      settle: '0s',
      order,
      ...job,
    });
    for (const name of NAMES) {
      await writeFile(join(home.outbox, name), contentOf(name, 0, (name.charCodeAt(2) - 47) * 9_000));
      const at = 1_700_000_000 - Number(name.slice(1));
      await utimes(join(home.outbox, name), at, at);
    }
    await body({ home, proxy, inbox });
    await assertNoLeftovers(server.folder);
  }

  /** Names in the order in which they were given at the server: a rename changes the ctime. */
  async function arrivals(inbox: string): Promise<readonly string[]> {
    const files = await Promise.all(
      (await filesOf(inbox)).map(async (name) => {
        const { ctimeNs } = await lstat(join(inbox, name), { bigint: true });
        return { name, ctimeNs };
      }),
    );
    return files.sort((a, b) => Number(a.ctimeNs - b.ctimeNs)).map(({ name }) => name);
  }

  const byName = NAMES.toSorted();
  const byMtime = byName.toReversed();

  for (const [order, expected] of [
    ['name', byName],
    ['mtime', byMtime],
  ] as const) {
    test(`sends by ${order}, over a slow connection`, () =>
      withFiles(order, {}, async ({ home, inbox }) => {
        const ended = await home.ferry(['run', 'drop', '--json']);
        assert.equal(ended.lines()[0]?.delivered, FILES, ended.stderr);
        assert.deepEqual(await arrivals(inbox), expected);
      }));
  }

  test('lets nothing overtake a file whose connection was cut', () =>
    withFiles('name', {}, async ({ home, proxy, inbox }) => {
      proxy.setTrouble({
        ...SLOW,
        cut: { afterBytes: 400_000, direction: 'up', by: 'rst', counting: 'all', times: 2 },
      });
      const ended = await home.ferry(['run', 'drop', '--json']);
      assert.equal(ended.lines()[0]?.delivered, FILES, ended.stderr);
      assert.ok(proxy.counts.cut > 0, 'it was cut');
      assert.deepEqual(await arrivals(inbox), byName);
    }));

  /** The server's disk is too small for f07, and large enough for all others. */
  async function withLargeFile(
    attempts: number,
    body: (line: Line & { readonly disk: MountedFolder }) => Promise<void>,
  ) {
    const retry = { attempts, delay: '200ms', maxDelay: '400ms' };
    await withFiles('name', { retry }, async (line) => {
      await using disk = await mountTmpfs(2_500_000, line.inbox);
      await writeContent(join(line.home.outbox, 'f07'), 'f07', 4_000_000);
      await body({ ...line, disk });
    });
  }

  async function attemptsAt(home: Home, path: string): Promise<readonly unknown[]> {
    const [row] = (await home.ferry(['history', '--json', '--attempts', '--path', path])).lines();
    return Array.isArray(row?.attemptLog) ? row.attemptLog : [];
  }

  test('lets nothing overtake a file that is tried again', () =>
    withLargeFile(1_000, async ({ home, inbox, disk }) => {
      const run = home.start(['run', 'drop', '--json']);
      await until('a try that failed', async () => (await attemptsAt(home, 'f07')).length > 0);
      const arrived = (await filesOf(inbox)).filter((name) => !name.startsWith(OWN_PREFIX));
      assert.deepEqual(arrived, byName.slice(0, 7));
      await disk.resize(20_000_000);
      const ended = await run.ended;
      assert.equal(ended.lines()[0]?.delivered, FILES, ended.stderr);
      assert.deepEqual(await arrivals(inbox), byName);
    }));

  test('goes on without a file whose tries are used up', () =>
    withLargeFile(3, async ({ home, inbox, disk }) => {
      const ended = await home.ferry(['run', 'drop', '--json']);
      assert.equal(ended.code, 1, ended.stderr);
      const { delivered, failed } = ended.lines()[0] ?? {};
      assert.deepEqual({ delivered, failed }, { delivered: FILES - 1, failed: 1 });
      assert.equal((await attemptsAt(home, 'f07')).length, 3);
      const without = byName.filter((name) => name !== 'f07');
      assert.deepEqual(await arrivals(inbox), without);

      await disk.resize(20_000_000);
      await home.ferry(['retry', '--job', 'drop']);
      assert.equal((await home.ferry(['run', 'drop'])).code, 0);
      assert.deepEqual(await arrivals(inbox), [...without, 'f07']);
    }));
});
