/** What a running worker tells of real work: health, metrics and the log, by the names that people's alerts are built on. */

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { endpointOf, type Home, makeHome, type Running } from '../support/ferry.ts';
import { freePort } from '../support/ports.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

/** The values of a metrics page, by name and labels as they are written. */
async function metricsOf(home: Home): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`http://${home.http}/metrics`)).text();
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

describe('a worker that has delivered, failed, and cannot reach a server', () => {
  let server: Sshd;
  let home: Home;
  let worker: Running;

  before(async () => {
    server = await startSshd();
    home = await makeHome();
    await mkdir(join(server.folder, 'in'));
    await writeFile(join(server.folder, 'in', 'taken'), 'theirs');
    await home.endpoints({
      server: endpointOf(server),
      down: endpointOf(server, { port: await freePort() }),
    });
    const drop = { from: './outbox', settle: '0s', when: { watch: true }, conflict: 'fail' };
    await home.job('drop', { ...drop, to: { endpoint: 'server', path: join(server.folder, 'in') } });
    await mkdir(join(home.path, 'other'));
    await home.job('other', { ...drop, from: './other', to: { endpoint: 'down', path: 'in' } });
    worker = home.start(['start'], { FERRY_LOG: 'debug' });
    await writeFile(join(home.outbox, 'one'), '12345');
    await writeFile(join(home.outbox, 'two'), '1234567');
    await writeFile(join(home.outbox, 'taken'), 'ours');
    await writeFile(join(home.path, 'other', 'f'), 'x');
    await until('all that can be done', async () => {
      const rows = (await home.ferry(['status', '--json'])).lines();
      const job = rows.find((row) => row.job === 'drop');
      return job?.delivered === 2 && job.failed === 1 && rows.some((row) => row.state === 'held');
    });
  });

  after(async () => {
    await home[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test('counts and times it by job, endpoint and state', async () => {
    const before = Date.now() / 1000;
    const expected: Readonly<Record<string, number>> = {
      'ferry_deliveries_total{job="drop",endpoint="server",state="delivered"}': 2,
      'ferry_bytes_total{job="drop",endpoint="server"}': 12,
      'ferry_delivery_duration_seconds_count{job="drop",endpoint="server"}': 2,
      'ferry_failed_attempts_total{job="drop",endpoint="server",kind="permanent"}': 1,
      'ferry_failed{job="drop",endpoint="server"}': 1,
      'ferry_owed{job="drop",endpoint="server"}': 0,
      'ferry_owed{job="other",endpoint="down"}': 1,
      'ferry_endpoint_up{endpoint="server"}': 1,
      'ferry_endpoint_up{endpoint="down"}': 0,
      'ferry_source_ok{job="drop"}': 1,
      'ferry_queue_depth{endpoint="server"}': 0,
    };
    const differing = (page: ReadonlyMap<string, number>): readonly string[] =>
      Object.keys(expected).filter((name) => page.get(name) !== expected[name]);
    let metrics = await metricsOf(home);
    await until('the metrics to agree', async () => {
      metrics = await metricsOf(home);
      return differing(metrics).length === 0;
    }).catch((error: unknown) => assert.fail(`${error}: ${differing(metrics).join(', ')}`));
    assert.ok(
      (metrics.get('ferry_failed_attempts_total{job="other",endpoint="down",kind="unreachable"}') ?? 0) >= 1,
    );
    assert.ok((metrics.get('ferry_scan_duration_seconds_count{job="drop"}') ?? 0) >= 1);
    assert.ok(metrics.has('ferry_queue_depth{endpoint="down"}'));
    const last = metrics.get('ferry_last_success_timestamp_seconds{job="drop"}') ?? 0;
    assert.ok(last > before - 600 && last < before + 600, `${last}`);
    assert.ok(!metrics.has('ferry_last_success_timestamp_seconds{job="other"}'), 'nothing has arrived yet');
  });

  test('is alive, not ready, and says why', async () => {
    const health = await fetch(`http://${home.http}/healthz`);
    assert.equal(health.status, 503);
    const { live, ready, reasons } = JSON.parse(await health.text());
    assert.deepEqual({ live, ready }, { live: true, ready: false });
    assert.equal(reasons.length, 1);
    assert.match(reasons[0], /^down is held: .*127\.0\.0\.1:\d+ refused/);
    assert.equal((await fetch(`http://${home.http}/healthz/live`)).status, 200);
  });

  test('shows its queues', async () => {
    const board = await fetch(`http://${home.http}/queues/`);
    assert.equal(board.status, 200);
    assert.match(await board.text(), /<html/i);
    const api = JSON.parse(await (await fetch(`http://${home.http}/queues/api/queues`)).text());
    const names: readonly string[] = api.queues.map((queue: { name: string }) => queue.name);
    for (const endpoint of ['server', 'down'])
      assert.ok(
        names.some((name) => name.includes(endpoint)),
        `${names}`,
      );
  });

  test('logs an event a line, with job, endpoint, path and delivery', async () => {
    const ended = await worker.stop();
    assert.equal(ended.code, 0, ended.stderr);
    const lines = ended.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line): Record<string, unknown> => JSON.parse(line));
    const about = (event: string) =>
      lines
        .filter((line) => line.event === event && line.job === 'drop')
        .map(({ job, endpoint, path, delivery }) => ({ job, endpoint, path, delivery: typeof delivery }))
        .toSorted((a, b) => String(a.path).localeCompare(String(b.path)));
    const of = (path: string) => ({ job: 'drop', endpoint: 'server', path, delivery: 'number' });
    assert.deepEqual(about('owed'), [of('one'), of('taken'), of('two')]);
    assert.deepEqual(about('delivered'), [of('one'), of('two')]);
    assert.deepEqual(about('failed'), [of('taken')]);
    assert.ok(lines.some((line) => line.event === 'endpointDown' && line.endpoint === 'down'));
    const others = ended.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
    assert.deepEqual(others, ['ferry: stopping; what is on its way gets its time (again to stop at once)']);
  });
});

test('a worker on another address wants a token, for all but the health', async () => {
  await using home = await makeHome();
  await mkdir(join(home.path, 'there'));
  await home.job('drop', { from: './outbox', to: './there' });
  const http = home.http.replace('127.0.0.1', '0.0.0.0');
  const refused = await home.ferry(['start'], { FERRY_HTTP: http });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /FERRY_HTTP_TOKEN/);

  const token = 'a-token-of-some-length';
  const worker = await home.worker({ FERRY_HTTP: http, FERRY_HTTP_TOKEN: token });
  for (const path of ['', 'metrics', 'queues/']) {
    const at = `http://${home.http}/${path}`;
    assert.equal((await fetch(at)).status, 401, path);
    assert.equal((await fetch(at, { headers: { authorization: `Bearer ${token}` } })).status, 200, path);
    const basic = Buffer.from(`anybody:${token}`).toString('base64');
    assert.equal((await fetch(at, { headers: { authorization: `Basic ${basic}` } })).status, 200, path);
  }
  const health = await fetch(`http://${home.http}/healthz`);
  assert.deepEqual(JSON.parse(await health.text()), { live: true, ready: true });
  assert.equal((await worker.stop()).code, 0);
});
