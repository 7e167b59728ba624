/** A shared Redis: which ones are refused and how, and what becomes of deliveries when it goes away or is emptied. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { openBackend } from '../../src/queue/backend.ts';
import { judgeServer } from '../../src/queue/redis-server-info.ts';
import { Schedules } from '../../src/queue/schedules.ts';
import { Fault } from '../../src/sync/errors.ts';
import { Events } from '../../src/sync/events.ts';
import { freePort } from '../support/ports.ts';
import { startOldRedis, startRedis } from '../support/redis.ts';
import { until, within } from '../support/until.ts';
import { makeHome, makeRig, openTestBackend } from './support.ts';

/** What opening says, as a person reads it. */
async function refusal(redisUrl: string): Promise<Fault> {
  await using home = await makeHome();
  try {
    const backend = await openTestBackend('redis', { dataFolder: home.folder, redisUrl });
    await backend.close();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

async function holdPlace(port: number, before?: Socket): Promise<Socket> {
  before?.destroy();
  const socket = connect(port, '127.0.0.1')
    .on('error', () => undefined)
    .resume();
  await once(socket, 'connect');
  return socket;
}

describe('a Redis is refused', () => {
  test('when it may throw entries away', async () => {
    await using redis = await startRedis('--maxmemory-policy', 'allkeys-lru');
    const fault = await refusal(redis.url);
    assert.equal(fault.code, 'REDIS_EVICTS');
    assert.match(
      fault.message,
      /Redis \d+.* at 127\.0\.0\.1:\d+ may throw entries away: maxmemory-policy is allkeys-lru/,
    );
    assert.match(fault.advice ?? '', /noeviction/);
  });

  test('when it is too old', async () => {
    await using old = await startOldRedis('4.0.14');
    const fault = await refusal(old.url);
    assert.equal(fault.code, 'REDIS_TOO_OLD');
    assert.match(fault.message, /Redis 4\.0\.14 at .* too old/);
    assert.match(fault.advice ?? '', /[Uu]pgrade/);
  });

  test('when nobody is there, soon, and without the password', async () => {
    const port = await freePort();
    const fault = await within(20_000, 'the refusal', refusal(`redis://me:s3cr%40t@127.0.0.1:${port}`));
    assert.equal(fault.kind, 'unreachable');
    assert.match(fault.message, new RegExp(`127\\.0\\.0\\.1:${port} cannot be reached: .*ECONNREFUSED`));
    assert.doesNotMatch(`${fault.message} ${fault.advice} ${String(fault.cause)}`, /s3cr/);
  });

  test('when it wants another password', async () => {
    await using redis = await startRedis('--requirepass', 'right');
    for (const login of ['', ':wr0ng@']) {
      const fault = await refusal(redis.url.replace('//', `//${login}`));
      assert.equal(fault.kind, 'rejected');
      assert.equal(fault.code, 'REDIS_REFUSES');
      assert.doesNotMatch(fault.message, /wr0ng/);
    }
  });

  test('when it is in protected mode, or has clients enough: it says so before it is asked', async () => {
    await using guarded = await startRedis('--bind', '0.0.0.0', '--protected-mode', 'yes');
    const [address] = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal);
    assert.ok(address, 'this needs an address besides loopback');
    const fault = await refusal(guarded.url.replace('127.0.0.1', address.address));
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'REDIS_REFUSES']);
    assert.match(fault.message, /is in protected mode/);
    assert.match(fault.advice ?? '', /requirepass/);

    await using full = await startRedis('--maxclients', '1');
    let holder: Socket | undefined;
    await until('its only place to be taken', async () => {
      // It is turned away itself while Redis has not seen yet that the one before has left.
      if (holder?.readyState !== 'open') holder = await holdPlace(full.port, holder);
      return /max number/.test(await full.cli('PING').catch(String));
    });
    const crowded = await refusal(full.url);
    assert.match(crowded.message, /turns us away: max number of clients reached/);
    holder?.destroy();
  });

  test('when the URL is none', async () => {
    assert.equal((await refusal('localhost:6379')).code, 'REDIS_URL');
    assert.equal((await refusal('http://localhost')).code, 'REDIS_URL');
    assert.equal((await refusal('redis://localhost/queue')).code, 'REDIS_URL');
    const fault = await refusal('redis://:100%sure@localhost');
    assert.equal(fault.code, 'REDIS_URL');
    assert.match(fault.advice ?? '', /%25 for %/);
    assert.doesNotMatch(`${fault.message} ${fault.advice}`, /sure/);
  });

  test('when it has no such database', async () => {
    await using redis = await startRedis();
    const fault = await refusal(`${redis.url}/99`);
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'REDIS_REFUSES']);
    assert.match(fault.message, /has no such database: .*out of range/);
  });

  test('when another data folder uses it under the same name', async () => {
    await using redis = await startRedis();
    await using home = await makeHome();
    await using first = await openTestBackend('redis', { dataFolder: home.folder, redisUrl: redis.url });
    assert.match(first.describe, /^Redis \d+\.\d+\.\d+ at 127\.0\.0\.1:\d+$/);
    assert.equal((await refusal(redis.url)).code, 'REDIS_SHARED');
    // Another site may; and the same data folder, after a crash.
    await using other = await makeHome();
    await using second = await openTestBackend('redis', {
      dataFolder: other.folder,
      redisUrl: redis.url,
      site: 'second',
    });
    await using after = await openTestBackend('redis', { dataFolder: home.folder, redisUrl: redis.url });
    assert.deepEqual([second.health().ok, after.health().ok], [true, true]);
  });

  test('when the names of both data folders were lost in a crash', async () => {
    await using redis = await startRedis();
    await using home = await makeHome();
    await using other = await makeHome();
    for (const { folder } of [home, other]) {
      await mkdir(join(folder, 'queue'), { recursive: true });
      await writeFile(join(folder, 'queue', 'id'), '');
    }
    await using first = await openTestBackend('redis', { dataFolder: home.folder, redisUrl: redis.url });
    await assert.rejects(
      openTestBackend('redis', { dataFolder: other.folder, redisUrl: redis.url }),
      (error) => error instanceof Fault && error.code === 'REDIS_SHARED',
    );
    assert.equal(first.health().ok, true);
    const named = await readFile(join(home.folder, 'queue', 'id'), 'utf8');
    assert.match(named, /^[0-9a-f]{16}$/);
    assert.deepEqual(await readdir(join(home.folder, 'queue')), ['id']);
  });
});

test('what servers say of themselves is understood', () => {
  const info = (...lines: readonly string[]) => `# Server\r\n${lines.join('\r\n')}\r\n`;
  const of = (...lines: readonly string[]) => judgeServer(info(...lines), 'here').name;
  assert.equal(of('redis_version:5.0.0', 'maxmemory_policy:noeviction'), 'Redis 5.0.0');
  assert.equal(
    of('redis_version:7.2.4', 'valkey_version:8.1.0', 'maxmemory_policy:noeviction'),
    'Valkey 8.1.0',
  );
  assert.equal(of('redis_version:7.4.1'), 'Redis 7.4.1');
  assert.throws(() => of('redis_version:3.2.12'), /too old/);
  assert.throws(() => of('redis_version:4.9.103'), /too old/);
});

describe('deliveries outlive a Redis', () => {
  test('that is emptied, again and again', async () => {
    await using redis = await startRedis();
    await using home = await makeHome();
    const events = new Events();
    await using backend = await openTestBackend('redis', {
      dataFolder: home.folder,
      redisUrl: redis.url,
      events,
    });
    const sent = new Map<number, number>();
    await using rig = await makeRig({
      backend,
      events,
      concurrency: 8,
      send: async ({ id }) => {
        sent.set(id, (sent.get(id) ?? 0) + 1);
        await sleep(20);
      },
    });
    rig.owe(300);
    for (const share of [50, 120, 200]) {
      await until(`${share} to arrive`, () => rig.files('delivered') >= share, { timeoutMs: 60_000 });
      await redis.empty();
    }
    await until('all to arrive', () => rig.files('delivered') === 300, { timeoutMs: 60_000 });
    assert.equal(sent.size, 300);
    for (const [id, times] of sent) assert.equal(times, 1, `delivery ${id} was sent ${times} times`);
    assert.ok(rig.seen.some(([name, message]) => name === 'queue' && String(message).includes('emptied')));
    assert.equal(rig.files('failed'), 0);
  });

  test('that goes away and comes back empty; what is owed meanwhile is only owed', async () => {
    await using redis = await startRedis();
    await using home = await makeHome();
    const events = new Events();
    await using backend = await openTestBackend('redis', {
      dataFolder: home.folder,
      redisUrl: redis.url,
      events,
    });
    await using rig = await makeRig({ backend, events, concurrency: 4, send: () => sleep(30) });
    const told = () => rig.seen.filter(([name]) => name === 'queue').map(([, message]) => String(message));
    rig.owe(100);
    await until('some to arrive', () => rig.files('delivered') > 10);
    await redis.stop();
    await until('the loss to be told', () => !backend.health().ok);
    assert.match(backend.health().message, /lost Redis .* trying again/);
    rig.owe(50, { version: { sizeBytes: 2, mtimeMs: 2, tag: '' } });
    await sleep(500);
    await redis.start();
    await until('all to arrive', () => rig.ledger.open(['job']) === 0, { timeoutMs: 60_000 });
    await until('all to be told', () => told().length >= 3);
    assert.ok(backend.health().ok);
    assert.equal(rig.files('failed'), 0);
    assert.equal(told().length, 3, told().join('; '));
    assert.match(told().join('; '), /^lost Redis .*; Redis .* answers again; Redis .* was emptied/);
  });

  test('that is away for good: a stop does not wait for it', async () => {
    await using redis = await startRedis();
    await using home = await makeHome();
    await using backend = await openTestBackend('redis', { dataFolder: home.folder, redisUrl: redis.url });
    await using rig = await makeRig({ backend, concurrency: 2, send: () => sleep(50) });
    rig.owe(20);
    await until('some to be sent', () => rig.files('delivered') > 2);
    await redis.stop();
    await within(30_000, 'the stop', rig.deliveries.stop({ deadlineMs: 1_000 }));
    assert.equal(rig.files('queued') + rig.files('sending'), 0);
    await within(30_000, 'the close', backend.close());
  });
});

test('cron lines outlive a Redis that is emptied', async () => {
  await using redis = await startRedis();
  await using home = await makeHome();
  using ledger = openLedger({ folder: home.folder, now: Date.now });
  await using backend = await openTestBackend('redis', { dataFolder: home.folder, redisUrl: redis.url });
  let asked = 0;
  await using schedules = await Schedules.open({
    backend,
    ledger,
    events: new Events(),
    now: Date.now,
    onCron: async () => {
      asked += 1;
    },
  });
  await schedules.set([{ job: 'each', pattern: '* * * * * *', timezone: 'UTC', catchUp: 'none' }]);
  await until('the first run', () => asked > 0);
  await redis.empty();
  const before = asked;
  await until('it to go on', () => asked > before + 1);
});

test('a run beside the worker takes what the worker has queued, and leaves nothing behind', async () => {
  await using redis = await startRedis();
  await using home = await makeHome();
  await using worker = await openTestBackend('redis', { dataFolder: home.folder, redisUrl: redis.url });
  const keys = async () => (await redis.cli('KEYS', '*')).split('\n').toSorted();
  const before = await keys();
  const run = await openTestBackend('redis', { dataFolder: home.folder, redisUrl: redis.url, run: 'me' });
  {
    await using rig = await makeRig({ backend: run, owed: 20, steal: true });
    await until('all to arrive', () => rig.files('delivered') === 20);
    assert.notDeepEqual(await keys(), before);
  }
  await run.close();
  assert.deepEqual(await keys(), before);
  assert.ok(worker.health().ok);
});

test('what a killed run left behind is removed by the next worker', async () => {
  await using redis = await startRedis();
  await using home = await makeHome();
  const run = await openTestBackend('redis', { dataFolder: home.folder, redisUrl: redis.url, run: 'killed' });
  const queue = await run.makeQueue<object>('send-x');
  await queue.addBulk(Array.from({ length: 10 }, () => ({ name: 'x', data: {} })));
  await until('all of it to be removed', async () => {
    // It is not really killed, and now and then says that it lives.
    await redis.cli('DEL', 'ferry:{test}:run:killed:holder');
    await using worker = await openTestBackend('redis', { dataFolder: home.folder, redisUrl: redis.url });
    assert.ok(worker.health().ok);
    return !/ferry/.test(await redis.cli('KEYS', 'ferry:{test}:run:killed:send-x*'));
  });
  await run.close();
});

test('a stop that nobody listens to is bounded all the same', async () => {
  await using home = await makeHome();
  await using backend = await openBackend({
    redisUrl: undefined,
    dataFolder: home.folder,
    site: 'test',
    pathEnv: '',
    events: new Events(),
    signal: new AbortController().signal,
  });
  assert.equal(backend.kind, 'memory');
  let end = (): void => undefined;
  const deaf = new Promise<void>((resolve) => {
    end = resolve;
  });
  await using rig = await makeRig({ backend, concurrency: 1, send: () => deaf });
  rig.owe(2);
  await until('one to be sending', () => rig.files('sending') === 1);
  await within(30_000, 'the stop', rig.deliveries.stop({ deadlineMs: 100 }));
  assert.equal(rig.files('due'), 1);
  end();
});
