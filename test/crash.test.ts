/**
 * The promise behind everything: `ferry start` is killed at random moments while files keep coming, and now and
 * then Redis is emptied; afterwards every file is at the destination, whole, and the ledger agrees.
 */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpointOf, makeHome } from './support/ferry.ts';
import { assertNoLeftovers, contentOf, filesOf, sha256Of, sha256OfFile } from './support/files.ts';
import { startRedis } from './support/redis.ts';
import { startSshd } from './support/sshd.ts';
import { until } from './support/until.ts';

const KILLS = 50;
const SIZES = [0, 1, 4_096, 300_000, 3_000_000];

test(`killed ${KILLS} times while files keep coming, nothing is lost, torn or left behind`, {
  timeout: 600_000,
}, async () => {
  await using home = await makeHome();
  await using server = await startSshd();
  await using redis = await startRedis();
  await mkdir(join(server.folder, 'inbox'));
  await home.endpoints({ server: endpointOf(server) });
  await home.job('drop', {
    from: './outbox',
    to: { endpoint: 'server', path: `${server.folder}/inbox` },
    when: { watch: true },
    settle: '100ms',
    verify: 'size',
    retry: { attempts: 8, delay: '100ms', maxDelay: '1s' },
  });
  const env = { REDIS_URL: redis.url, FERRY_LOG: 'debug' };
  const expected = new Map<string, string>();

  const dropping = new AbortController();
  const drops = drop(home.outbox, expected, dropping.signal);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const worker = home.start(['start'], env);
    if (kill % 2 === 0) await sleep(randomInt(200, 3_000));
    else {
      // Every other kill comes while something is being sent, however slow the machine is.
      await until('something to be sent', () => worker.output().includes('"event":"sending"'), {
        timeoutMs: 60_000,
        everyMs: 5,
      });
      await sleep(randomInt(0, 60));
    }
    if (kill % 10 === 5) await redis.empty();
    const ended = await worker.stop('SIGKILL');
    assert.equal(ended.signal, 'SIGKILL', `the worker ended by itself: ${ended.stderr}`);
    if (kill % 10 === 9) await redis.empty();
  }
  dropping.abort();
  await drops;
  const attempts = (await home.ferry(['history', '--json', '--attempts'])).stdout;
  assert.match(attempts, /"state":"delivered"/, 'the kills left no time for any delivery');
  assert.match(attempts, /"outcome":"interrupted"/, 'no kill came while a file was being sent');

  const worker = await home.worker(env);
  await until(
    'every file to arrive',
    async () =>
      (await filesOf(join(server.folder, 'inbox'))).filter((path) => path.startsWith('drop-')).length ===
      expected.size,
    { timeoutMs: 120_000, everyMs: 200 },
  );
  await until('the ledger to be settled', async () => !(await open(home)), {
    timeoutMs: 60_000,
    everyMs: 500,
  });
  const ended = await worker.stop();
  assert.equal(ended.code, 0, ended.stderr);

  for (const [name, sha256] of expected) {
    assert.equal(await sha256OfFile(join(server.folder, 'inbox', name)), sha256, name);
  }
  await assertNoLeftovers(server.folder);
  const history = (await home.ferry(['history', '--json'])).lines();
  for (const [name, sha256] of expected) {
    const delivered = history.filter((row) => row.path === name && row.state === 'delivered');
    assert.equal(delivered.length, 1, `${name} is delivered once in the ledger`);
    assert.equal(delivered[0]?.sha256, sha256);
  }
});

/** Drops files of all sizes until it is told to stop: some written in place, some renamed in. */
async function drop(outbox: string, expected: Map<string, string>, signal: AbortSignal): Promise<void> {
  for (let n = 0; !signal.aborted; n += 1) {
    const name = `drop-${n}.bin`;
    const content = contentOf(name, 0, SIZES[n % SIZES.length] ?? 0);
    expected.set(name, sha256Of(content));
    if (n % 2 === 0) await writeFile(join(outbox, name), content);
    else {
      await writeFile(join(outbox, `.${name}`), content);
      await rename(join(outbox, `.${name}`), join(outbox, name));
    }
    await sleep(randomInt(20, 200));
  }
}

async function open(home: {
  ferry: (args: readonly string[]) => Promise<{ lines(): readonly Record<string, unknown>[] }>;
}): Promise<boolean> {
  const [row] = (await home.ferry(['status', '--json'])).lines();
  return row?.owed !== 0 || row.sending !== 0;
}
