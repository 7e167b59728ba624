/** What a run says and does when somebody spoils it from outside: a full data folder, files rewritten behind its back. */

import assert from 'node:assert/strict';
import { mkdir, open, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { endpointOf, makeHome } from '../support/ferry.ts';
import { assertNoLeftovers, filesOf, sha256OfFile } from '../support/files.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { mountTmpfs } from '../support/tmpfs.ts';
import { until } from '../support/until.ts';

describe('a run', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server[Symbol.asyncDispose]());

  test('whose data folder is full says so while it waits, and goes on when there is space', async () => {
    await using home = await makeHome();
    const data = join(home.path, 'small');
    await mkdir(data);
    await using disk = await mountTmpfs(1_200_000, data);
    await home.endpoints({ server: endpointOf(server) });
    await home.job('drop', { from: './outbox', to: { endpoint: 'server', path: 'full' }, settle: '0s' });
    const names = Array.from(
      { length: 1_500 },
      (_, n) => `a-name-that-is-long-enough-to-fill-a-ledger-${n}.txt`,
    );
    await Promise.all(names.map((name) => writeFile(join(home.outbox, name), name)));
    const running = home.start(['run', 'drop'], { FERRY_DATA: data });
    const told = 'what becomes of deliveries cannot be written down: no space left for the ledger';
    await until('the trouble to be told', () => running.output().includes(told), { timeoutMs: 60_000 });
    await disk.resize(100_000_000);
    const ended = await running.ended;
    assert.ok(ended.stdout.split(told).length < 4, 'it is not said over and over');
    // Files that could not even be written down as owed are left for the next run.
    assert.match(ended.stdout, /drop: [1-9][\d,]* files delivered/);
    const next = await home.ferry(['run', 'drop'], { FERRY_DATA: data });
    assert.equal(next.code, 0, next.stdout + next.stderr);
    assert.equal((await filesOf(join(server.folder, 'full'))).length, names.length);
    await assertNoLeftovers(server.folder);
  });

  test('sends no mixture of a file that is rewritten in place and given its old time again', async () => {
    await using home = await makeHome();
    await using proxy = await startFaultProxy({ port: server.port });
    await home.endpoints({ server: endpointOf(server, { port: proxy.port, connections: 1 }) });
    await home.job('drop', { from: './outbox', to: { endpoint: 'server', path: 'mix' }, settle: '0s' });
    const path = join(home.outbox, 'big');
    await writeFile(path, Buffer.alloc(40_000_000));
    await utimes(path, 1_000, 1_000);
    proxy.setTrouble({ blackHole: { afterBytes: 10_000_000, direction: 'up' } });
    const running = home.start(['run', 'drop']);
    await until('a part of it to be sent', () => proxy.counts.bytesUp >= 10_000_000, { timeoutMs: 60_000 });
    {
      await using handle = await open(path, 'r+');
      for (const at of [0, 39_000_000]) await handle.write(Buffer.alloc(1_000_000, 1), 0, 1_000_000, at);
    }
    await utimes(path, 1_000, 1_000);
    proxy.setTrouble({});
    const ended = await running.ended;
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    assert.equal(await sha256OfFile(join(server.folder, 'mix/big')), await sha256OfFile(path));
    const [row] = (await home.ferry(['history', '--json', '--path', 'big', '--state', 'superseded'])).lines();
    assert.equal(row?.path, 'big', 'what was sent first is void');
    await assertNoLeftovers(server.folder);
  });

  test('counts what has failed beyond what it lists', async () => {
    await using home = await makeHome();
    await home.endpoints({ server: endpointOf(server) });
    const to = { endpoint: 'server', path: 'taken' };
    await home.job('drop', { from: './outbox', to, settle: '0s', conflict: 'fail' });
    await mkdir(join(server.folder, 'taken'));
    for (let n = 0; n < 7; n += 1) {
      await writeFile(join(home.outbox, `${n}`), 'ours');
      await writeFile(join(server.folder, 'taken', `${n}`), 'theirs');
    }
    assert.equal((await home.ferry(['run', 'drop'])).code, 1);
    assert.match((await home.ferry(['status'])).stdout, /and 2 more; `ferry retry --job drop`/);
    assert.equal(await readFile(join(server.folder, 'taken/3'), 'utf8'), 'theirs');
  });
});
