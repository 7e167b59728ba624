/** A Redis of our own: gone with us however we end, back when it dies, and never in the way of the next start. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBackend } from '../../src/queue/backend.ts';
import { findRedisServer } from '../../src/queue/private-redis.ts';
import { Events } from '../../src/sync/events.ts';
import { killTree } from '../support/processes.ts';
import { until } from '../support/until.ts';
import { makeHome, makeRig, openTestBackend } from './support.ts';

const PROGRAM = `
  import { openBackend } from ${JSON.stringify(import.meta.resolve('../../src/queue/backend.ts'))};
  import { Events } from ${JSON.stringify(import.meta.resolve('../../src/sync/events.ts'))};
  const [dataFolder] = process.argv.slice(1);
  const backend = await openBackend({ redisUrl: undefined, dataFolder, site: 'test', pathEnv: process.env.PATH,
    events: new Events(), signal: new AbortController().signal });
  console.log(backend.describe);
  setInterval(() => undefined, 1_000);
`;

/** A process with a queue of its own. */
async function startOther(dataFolder: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, dataFolder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await once(child.stdout, 'data');
  assert.match(String(said), /private Redis \d/);
  return child;
}

/** Ids of processes that have the text among their arguments. */
async function processesWith(text: string): Promise<readonly number[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const lines = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
  return ids.filter((id, index) => id !== process.pid && lines[index]?.includes(text));
}

test('it listens on no port, only on a socket that nobody else can open, and keeps nothing on disk', async () => {
  await using home = await makeHome();
  await using backend = await openTestBackend('private-redis', { dataFolder: home.folder });
  assert.match(backend.describe, /^a private (Redis|Valkey) \d+\.\d+\.\d+ on a Unix socket$/);
  const [folder, ...others] = (await readdir(join(home.folder, 'queue'))).filter((name) =>
    name.startsWith('redis-'),
  );
  assert.equal(others.length, 0);
  assert.deepEqual(await readdir(join(home.folder, 'queue', folder ?? '')), ['s']);
  await backend.close();
  assert.deepEqual(await readdir(join(home.folder, 'queue')), []);
  await until('the server to be gone', async () => (await processesWith(home.folder)).length === 0);
});

test('nothing of it is left when its process is killed', async () => {
  await using home = await makeHome();
  const other = await startOther(home.folder);
  const server = (await processesWith(`unixsocket:${home.folder}`)).filter((id) => id !== other.pid);
  assert.equal(server.length, 1);
  other.kill('SIGKILL');
  await once(other, 'exit');
  await until('the server to end', async () => (await processesWith(home.folder)).length === 0);
  await until('its folder to be gone', async () => (await readdir(join(home.folder, 'queue'))).length === 0);
});

test('what a power cut leaves does not hinder the next start, and a server at work is left alone', async () => {
  await using home = await makeHome();
  const stale = join(home.folder, 'queue', 'redis-stale1');
  await mkdir(stale, { recursive: true });
  await writeFile(join(stale, 's'), '');
  const other = await startOther(home.folder);
  try {
    await using backend = await openTestBackend('private-redis', { dataFolder: home.folder });
    const folders = (await readdir(join(home.folder, 'queue'))).filter((name) => name.startsWith('redis-'));
    assert.equal(folders.length, 2);
    assert.ok(!folders.includes('redis-stale1'));
    assert.ok(backend.health().ok);
  } finally {
    await killTree(other);
  }
  await until('both servers to end', async () => (await processesWith(home.folder)).length === 0);
});

test('it is started again when it dies, and nothing is lost', async () => {
  await using home = await makeHome();
  const events = new Events();
  await using backend = await openTestBackend('private-redis', { dataFolder: home.folder, events });
  await using rig = await makeRig({ backend, events, concurrency: 4, send: () => sleep(30) });
  rig.owe(150);
  for (const share of [20, 80]) {
    await until(`${share} to arrive`, () => rig.files('delivered') >= share, { timeoutMs: 60_000 });
    const [server] = await processesWith(`redis-server unixsocket:${home.folder}`);
    assert.ok(server !== undefined);
    process.kill(server, 'SIGKILL');
    await until('another one', async () => {
      const [next] = await processesWith(`redis-server unixsocket:${home.folder}`);
      return next !== undefined && next !== server;
    });
  }
  await until('all to arrive', () => rig.files('delivered') === 150, { timeoutMs: 60_000 });
  assert.equal(rig.files('failed'), 0);
});

test('a data folder whose path is too long for a socket will do', async () => {
  await using home = await makeHome();
  const deep = join(home.folder, 'a'.repeat(60), 'b'.repeat(60));
  await using backend = await openTestBackend('private-redis', { dataFolder: deep });
  const queue = await backend.makeQueue<object>('send-x');
  await queue.add('x', {});
  assert.equal(await queue.count(), 1);
});

test('the program is looked for on the PATH that is given; without one the queue is in memory', async () => {
  await using home = await makeHome();
  const bin = join(home.folder, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'redis-server'), 'not to be run');
  assert.equal(await findRedisServer(bin), undefined);
  await writeFile(join(bin, 'valkey-server'), '#!/bin/sh\necho this machine is too small; exit 3\n');
  await chmod(join(bin, 'valkey-server'), 0o755);
  assert.equal(await findRedisServer(`/nowhere:${bin}`), join(bin, 'valkey-server'));
  const said: string[] = [];
  const events = new Events();
  events.on('queue', (message) => void said.push(message));
  const options = {
    redisUrl: undefined,
    dataFolder: home.folder,
    site: 'test',
    events,
    signal: new AbortController().signal,
  };
  await using broken = await openBackend({ ...options, pathEnv: bin });
  assert.equal(broken.kind, 'memory');
  assert.match(
    said[0] ?? '',
    /valkey-server did not start: this machine is too small; the queue is kept in memory/,
  );
  await using none = await openBackend({ ...options, pathEnv: undefined });
  assert.equal(none.kind, 'memory');
  await assert.rejects(access(join(home.folder, 'queue', 'id')));
});
