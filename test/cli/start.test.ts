import assert from 'node:assert/strict';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { assertNoLeftovers, contentOf, filesOf, writeContent } from '../support/files.ts';
import { startRedis } from '../support/redis.ts';
import { startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

const JOB = {
  when: { watch: true },
  settle: '200ms',
  retry: { attempts: 3, delay: '100ms', maxDelay: '500ms' },
};

async function arrives(
  folder: string,
  name: string,
  content: Uint8Array | string,
  timeoutMs = 60_000,
): Promise<void> {
  const wanted = Buffer.from(content);
  await until(
    `${name} to arrive`,
    async () => {
      const there = await readFile(join(folder, name)).catch(() => undefined);
      if (there === undefined) return false;
      assert.deepEqual(there, wanted, `${name} was torn`);
      return true;
    },
    { timeoutMs },
  );
}

/** A file may be there a moment before the ledger says so. */
function receiptOf(home: Home, path: string): Promise<Record<string, unknown>> {
  return until(`the receipt of ${path}`, async () => {
    const [found] = (await home.ferry(['history', '--json', '--path', path])).lines();
    return found?.state === 'delivered' && found;
  });
}

describe('ferry start', () => {
  test('delivers what is dropped: written in place, renamed in, moved in as a folder', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    const inbox = join(server.folder, 'inbox');
    await home.endpoints({ server: endpointOf(server) });
    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'server', path: inbox } });
    const worker = await home.worker();
    await until('the folder to be told', () => /drop files into .*outbox/.test(worker.output()));

    await writeFile(join(home.outbox, 'written'), 'w');
    await writeFile(join(home.path, 'aside'), 'r');
    await rename(join(home.path, 'aside'), join(home.outbox, 'renamed'));
    await mkdir(join(home.path, 'folder', 'deep'), { recursive: true });
    await writeFile(join(home.path, 'folder', 'deep', 'f'), 'd');
    await rename(join(home.path, 'folder'), join(home.outbox, 'folder'));
    await arrives(inbox, 'written', 'w');
    await arrives(inbox, 'renamed', 'r');
    await arrives(inbox, 'folder/deep/f', 'd');

    await until('the metrics to say so', async () => {
      const metrics = await (await fetch(`http://${home.http}/metrics`)).text();
      return /ferry_deliveries_total\{[^}]*state="delivered"[^}]*\} 3/.test(metrics);
    });
    const ended = await worker.stop();
    assert.equal(ended.code, 0, ended.stderr);
  });

  test('does not send a file while it grows', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    const inbox = join(server.folder, 'inbox');
    await home.endpoints({ server: endpointOf(server) });
    await home.job('drop', {
      ...JOB,
      settle: '3s',
      from: './outbox',
      to: { endpoint: 'server', path: inbox },
    });
    await using _worker = disposable(await home.worker());
    let content = '';
    for (let n = 0; n < 10; n += 1) {
      content += `line ${n}\n`;
      await writeFile(join(home.outbox, 'log'), content);
      await sleep(150);
      assert.deepEqual(await filesOf(server.folder), []);
    }
    await arrives(inbox, 'log', content);
    const rows = (await home.ferry(['history', '--json'])).lines();
    assert.equal(rows.length, 1, 'it was owed once');
  });

  test('a server that goes away for a while costs no file an attempt', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    const inbox = join(server.folder, 'inbox');
    await home.endpoints({ server: endpointOf(server) });
    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'server', path: inbox } });
    await using _worker = disposable(await home.worker());
    await writeFile(join(home.outbox, 'before'), 'b');
    await arrives(inbox, 'before', 'b');
    await server.stop();
    for (let n = 0; n < 20; n += 1) await writeFile(join(home.outbox, `f${n}`), String(n));
    await until('the endpoint to be held', async () => {
      const rows = (await home.ferry(['status', '--json'])).lines();
      return rows.some((row) => row.endpoint === 'server' && row.state === 'held');
    });
    assert.equal((await fetch(`http://${home.http}/healthz`)).status, 503);
    await server.start();
    for (let n = 0; n < 20; n += 1) await arrives(inbox, `f${n}`, String(n), 60_000);
    assert.equal((await receiptOf(home, 'f7')).attempts, 1);
    await assertNoLeftovers(server.folder);
  });

  test('a connection that the balancer forgot between two files loses nothing and costs no attempt', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    await using proxy = await startFaultProxy({
      port: server.port,
      trouble: { idle: { ms: 1_000, how: 'rst' } },
    });
    const inbox = join(server.folder, 'inbox');
    await home.endpoints({ server: endpointOf(server, { port: proxy.port }) });
    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'server', path: inbox } });
    await using _worker = disposable(await home.worker());
    for (let n = 0; n < 3; n += 1) {
      await writeFile(join(home.outbox, `f${n}`), String(n));
      await arrives(inbox, `f${n}`, String(n));
      await sleep(1_500);
    }
    for (let n = 0; n < 3; n += 1) assert.equal((await receiptOf(home, `f${n}`)).attempts, 1);
  });

  test('a large file that is cut at each tenth arrives whole, once, without beginning anew each time', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    await using proxy = await startFaultProxy({ port: server.port });
    const size = 60_000_000;
    const inbox = join(server.folder, 'inbox');
    await home.endpoints({ server: endpointOf(server, { port: proxy.port, connections: 1 }) });
    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'server', path: inbox } });
    await using _worker = disposable(await home.worker());
    proxy.setTrouble({
      cut: { afterBytes: size / 10, direction: 'up', by: 'rst', counting: 'connection', times: 9 },
    });
    await writeContent(join(home.outbox, 'large'), 'large', size);
    await arrives(inbox, 'large', contentOf('large', 0, size), 120_000);
    const row = await receiptOf(home, 'large');
    assert.equal(row.attempts, 1, 'cuts count against nobody');
    await assertNoLeftovers(server.folder);
  });

  test('Redis emptied or gone for a while loses nothing', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    await using redis = await startRedis();
    const inbox = join(server.folder, 'inbox');
    await home.endpoints({ server: endpointOf(server) });
    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'server', path: inbox } });
    await using _worker = disposable(await home.worker({ REDIS_URL: redis.url }));
    await writeFile(join(home.outbox, 'a'), 'a');
    await arrives(inbox, 'a', 'a');
    await redis.empty();
    await writeFile(join(home.outbox, 'b'), 'b');
    await arrives(inbox, 'b', 'b', 60_000);
    await redis.stop();
    await writeFile(join(home.outbox, 'c'), 'c');
    await sleep(1_000);
    await redis.start();
    await arrives(inbox, 'c', 'c', 60_000);
  });

  test('follows edits of its jobs, and keeps a job whose edit is broken', async () => {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.endpoints({ there: { type: 'local', path: './there' } });
    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'there', path: 'one' } });
    const worker = await home.worker();
    await writeFile(join(home.outbox, 'f'), 'x');
    await arrives(join(home.path, 'there', 'one'), 'f', 'x');

    await writeFile(
      join(home.path, 'jobs', 'drop.yaml'),
      'from: ./outbox\nto: { endpoint: nowhere, path: x }\n',
    );
    await until('the problem to be told', () => /drop\.yaml:\d+/.test(worker.output()));
    await writeFile(join(home.outbox, 'g'), 'y');
    await arrives(join(home.path, 'there', 'one'), 'g', 'y');

    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'there', path: 'two' } });
    await arrives(join(home.path, 'there', 'two'), 'g', 'y');
    assert.equal((await worker.stop()).code, 0);
  });

  test('keeps its jobs, and is not well, while their folder is away', async () => {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.endpoints({ there: { type: 'local', path: './there' } });
    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'there', path: 'in' } });
    await using _worker = disposable(await home.worker());
    const [jobs, away] = [join(home.path, 'jobs'), join(home.path, 'away')];
    await rename(jobs, away);
    await until('the alarm', async () =>
      /the configuration: the folder .*jobs does not exist/.test(
        await (await fetch(`http://${home.http}/healthz`)).text(),
      ),
    );
    await writeFile(join(home.outbox, 'f'), 'x');
    await arrives(join(home.path, 'there', 'in'), 'f', 'x');
    await rename(away, jobs);
    await until('the alarm to be over', async () => (await fetch(`http://${home.http}/healthz`)).ok);
  });

  test('only one worker works on a data folder; a run beside it is welcome', async () => {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.endpoints({ there: { type: 'local', path: './there' } });
    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'there', path: 'in' } });
    await using _worker = disposable(await home.worker());
    const second = await home.ferry(['start'], { FERRY_HTTP: 'off' });
    assert.equal(second.code, 2);
    assert.match(second.stderr, /another/);
    await writeFile(join(home.outbox, 'f'), 'x');
    assert.equal((await home.ferry(['run', 'drop', '--json'])).code, 0);
    await arrives(join(home.path, 'there', 'in'), 'f', 'x');
    await receiptOf(home, 'f');
    const rows = (await home.ferry(['history', '--json'])).lines();
    assert.deepEqual(
      rows.map((row) => row.state),
      ['delivered'],
    );
  });

  test('a cron job runs by its schedule', async () => {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.endpoints({ there: { type: 'local', path: './there' } });
    await home.job('batch', {
      from: './outbox',
      to: { endpoint: 'there', path: 'in' },
      settle: '0s',
      when: { cron: '*/2 * * * * *' },
    });
    await using _worker = disposable(await home.worker());
    await writeFile(join(home.outbox, 'f'), 'x');
    await arrives(join(home.path, 'there', 'in'), 'f', 'x');
  });

  test('a source that vanishes is an alarm, and over when it is back', async () => {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.endpoints({ there: { type: 'local', path: './there' } });
    await home.job('drop', { ...JOB, from: './outbox', to: { endpoint: 'there', path: 'in' } });
    await using _worker = disposable(await home.worker());
    await rm(home.outbox, { recursive: true });
    await until('the alarm', async () => (await fetch(`http://${home.http}/healthz`)).status === 503);
    await mkdir(home.outbox);
    await writeFile(join(home.outbox, 'f'), 'x');
    await arrives(join(home.path, 'there', 'in'), 'f', 'x');
    await until('the alarm to be over', async () => (await fetch(`http://${home.http}/healthz`)).ok);
  });
});

function disposable(worker: { stop(): Promise<unknown> }): AsyncDisposable {
  return { [Symbol.asyncDispose]: async () => void (await worker.stop()) };
}
