import assert from 'node:assert/strict';
import { mkdir, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { assertNoLeftovers, contentOf, filesOf, sha256Of } from '../support/files.ts';
import { freePort } from '../support/ports.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';

describe('ferry run', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server[Symbol.asyncDispose]());

  async function homeWith(job: Readonly<Record<string, unknown>>, folder: string): Promise<Home> {
    const home = await makeHome();
    await home.endpoints({ server: endpointOf(server) });
    await home.job('drop', {
      from: './outbox',
      to: { endpoint: 'server', path: join(server.folder, folder) },
      settle: '0s',
      ...job,
    });
    return home;
  }

  test('delivers what is due, once, with a receipt for each file', async () => {
    await using home = await homeWith({}, 'once');
    const big = contentOf('big', 0, 1_500_000);
    await mkdir(join(home.outbox, 'a', 'b'), { recursive: true });
    await writeFile(join(home.outbox, 'a', 'b', 'big.bin'), big);
    await writeFile(join(home.outbox, 'empty'), '');
    await writeFile(join(home.outbox, '.hidden'), 'not for sending');

    const first = await home.ferry(['run', 'drop', '--json']);
    assert.equal(first.code, 0, first.stderr);
    const [summary] = first.lines();
    assert.deepEqual(
      { ...summary, seconds: 0 },
      { job: 'drop', delivered: 2, failed: 0, skipped: 0, bytes: 1_500_000, seconds: 0 },
    );
    assert.deepEqual(await filesOf(join(server.folder, 'once')), ['a/b/big.bin', 'empty']);
    assert.deepEqual(await readFile(join(server.folder, 'once', 'a', 'b', 'big.bin')), big);

    const again = (await home.ferry(['run', 'drop', '--json'])).lines()[0];
    assert.equal(again?.delivered, 0, 'a second run has nothing to do');

    const history = (await home.ferry(['history', '--json', '--path', '**/big.bin'])).lines();
    assert.equal(history.length, 1);
    const [row] = history;
    assert.equal(row?.state, 'delivered');
    assert.equal(row.sha256, sha256Of(big));
    assert.equal(row.remotePath, join(server.folder, 'once', 'a', 'b', 'big.bin'));
    assert.equal(row.attempts, 1);
    assert.equal(row.error, null);
    const { stdout } = await home.ferry(['history', '--attempts']);
    assert.match(stdout, /delivered {2}\d+ ms$/m);
    assert.doesNotMatch(stdout, /not counted/);
    await assertNoLeftovers(server.folder);
  });

  test('sends a file again when it has changed, and only then', async () => {
    await using home = await homeWith({}, 'changed');
    await writeFile(join(home.outbox, 'report'), 'one');
    await home.ferry(['run', 'drop']);
    await writeFile(join(home.outbox, 'report'), 'two, longer');
    const second = (await home.ferry(['run', 'drop', '--json'])).lines()[0];
    assert.equal(second?.delivered, 1);
    assert.equal(await readFile(join(server.folder, 'changed', 'report'), 'utf8'), 'two, longer');
  });

  test('waits for a file that was written a moment ago', async () => {
    await using home = await homeWith({ settle: '700ms' }, 'settle');
    await writeFile(join(home.outbox, 'fresh'), 'x');
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.lines()[0]?.delivered, 1, ended.stderr);
  });

  test('sends each file to every destination before after: delete touches it', async () => {
    await using home = await homeWith(
      {
        to: [
          { endpoint: 'server', path: join(server.folder, 'two', 'left') },
          { endpoint: 'server', path: join(server.folder, 'two', 'right') },
        ],
        after: 'delete',
      },
      'two',
    );
    for (let n = 0; n < 30; n += 1) await writeFile(join(home.outbox, `f${n}`), String(n));
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.lines()[0]?.delivered, 60, ended.stderr);
    assert.deepEqual(await filesOf(home.outbox), []);
    assert.equal((await filesOf(join(server.folder, 'two', 'left'))).length, 30);
    assert.equal((await filesOf(join(server.folder, 'two', 'right'))).length, 30);
  });

  test('keeps the source when one of its destinations failed', async () => {
    await writeFile(join(server.folder, 'a-file'), 'in the way');
    await using home = await homeWith(
      {
        to: [
          { endpoint: 'server', path: join(server.folder, 'partly') },
          { endpoint: 'server', path: join(server.folder, 'a-file', 'below') },
        ],
        after: 'delete',
      },
      'partly',
    );
    await writeFile(join(home.outbox, 'f'), 'content');
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.code, 1, ended.stderr);
    assert.equal(ended.lines()[0]?.failed, 1);
    assert.deepEqual(await filesOf(home.outbox), ['f']);
    const [failed] = (await home.ferry(['history', '--state', 'failed', '--json'])).lines();
    assert.equal(typeof failed?.error, 'object');

    const silent = await home.ferry(['run', 'drop', '--json']);
    assert.equal(silent.code, 1, 'what failed before is not forgotten by the next run');
    assert.equal(silent.lines()[0]?.failed, 1);
    await unlink(join(server.folder, 'a-file'));
    assert.equal((await home.ferry(['retry', '--job', 'drop'])).code, 0);
    const retried = await home.ferry(['run', 'drop', '--json']);
    assert.equal(retried.lines()[0]?.delivered, 1, retried.stderr);
    assert.deepEqual(await filesOf(home.outbox), []);
  });

  test('archives beside what is archived already', async () => {
    await using home = await homeWith({ after: { archive: './outbox/.sent' } }, 'archive');
    for (const content of ['first', 'second']) {
      await writeFile(join(home.outbox, 'f.txt'), content);
      assert.equal((await home.ferry(['run', 'drop'])).code, 0);
    }
    assert.deepEqual((await filesOf(home.outbox)).toSorted(), ['.sent/f (1).txt', '.sent/f.txt']);
  });

  test('leaves a file until its marker stands beside it, and takes the marker along', async () => {
    await using home = await homeWith({ done: '{name}.done', after: 'delete' }, 'marker');
    await writeFile(join(home.outbox, 'ready.csv'), 'r');
    await writeFile(join(home.outbox, 'ready.csv.done'), '');
    await writeFile(join(home.outbox, 'unready.csv'), 'u');
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.lines()[0]?.delivered, 1, ended.stderr);
    assert.deepEqual(await filesOf(join(server.folder, 'marker')), ['ready.csv']);
    assert.deepEqual(await filesOf(home.outbox), ['unready.csv']);
  });

  test('does not follow links out of the source', async () => {
    await using home = await homeWith({}, 'links');
    await writeFile(join(home.path, 'secret'), 'outside');
    await symlink(join(home.path, 'secret'), join(home.outbox, 'link'));
    await symlink(home.path, join(home.outbox, 'folder'));
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.code, 0);
    assert.equal(ended.lines()[0]?.delivered, 0);
  });

  test('says with exit code 3 that a server cannot be reached, and keeps everything due', async () => {
    await using home = await homeWith({}, 'down');
    await using other = await startSshd();
    await home.endpoints({ server: endpointOf(other) });
    await writeFile(join(home.outbox, 'f'), 'x');
    await other.stop();
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(ended.stderr, /refused/i);
    const [row] = (await home.ferry(['history', '--json'])).lines();
    assert.equal(row?.state, 'due');
    assert.equal(row.attempts, 0, 'an endpoint that is down costs no attempt');
    await other.start();
    assert.equal((await home.ferry(['run', 'drop', '--json'])).lines()[0]?.delivered, 1);
  });

  test('ends with exit code 3 when --timeout passes', async () => {
    await using home = await homeWith({ settle: '30s' }, 'timeout');
    await writeFile(join(home.outbox, 'f'), 'x');
    const ended = await home.ferry(['run', 'drop', '--timeout', '1s', '--json']);
    assert.equal(ended.code, 3, ended.stderr);
  });

  test('stops at a changed host key, names both, and asks for a person', async () => {
    await using home = await homeWith({}, 'key');
    const wrong = `SHA256:${'A'.repeat(43)}`;
    await home.endpoints({ server: endpointOf(server, { hostKey: [wrong] }) });
    await writeFile(join(home.outbox, 'f'), 'x');
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.code, 3, ended.stderr);
    assert.ok(ended.stderr.includes(wrong), ended.stderr);
    assert.ok(ended.stderr.includes(server.hostKeyFingerprint), ended.stderr);
    assert.deepEqual(
      (await home.ferry(['history', '--json'])).lines().map((row) => row.state),
      ['due'],
    );
  });

  test('owes nothing to a destination that the job does not have any more, until it comes back', async () => {
    await using home = await homeWith({}, 'kept');
    await home.endpoints({
      server: endpointOf(server),
      down: endpointOf(server, { port: await freePort() }),
    });
    const kept = { endpoint: 'server', path: join(server.folder, 'kept') };
    const both = { to: [kept, { endpoint: 'down', path: join(server.folder, 'back') }] };
    const job = { from: './outbox', settle: '0s', after: 'delete' };
    await home.job('drop', { ...job, ...both });
    await writeFile(join(home.outbox, 'f'), 'x');
    await writeFile(join(home.outbox, 'g'), 'y');
    assert.equal((await home.ferry(['run', 'drop'])).code, 3);

    await home.job('drop', { ...job, to: kept, match: ['f'] });
    const without = await home.ferry(['run', 'drop', '--json', '--timeout', '60s']);
    assert.equal(without.code, 0, without.stderr);
    assert.deepEqual(await filesOf(home.outbox), ['g'], 'all destinations that are left have f');
    const [status] = (await home.ferry(['status', '--json'])).lines();
    assert.equal(status?.owed, 0);

    await home.endpoints({ server: endpointOf(server), down: endpointOf(server) });
    await home.job('drop', { ...job, ...both });
    assert.equal((await home.ferry(['run', 'drop'])).code, 0);
    assert.deepEqual(await filesOf(join(server.folder, 'back')), ['g']);
    assert.deepEqual(await filesOf(home.outbox), []);
  });

  test('refuses to call a source that is gone an empty one', async () => {
    await using home = await homeWith({}, 'gone');
    await rm(home.outbox, { recursive: true });
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.notEqual(ended.code, 0);
    assert.match(ended.stderr, /outbox/);
  });

  test('runs on the queue that needs nothing installed', async () => {
    await using home = await homeWith({}, 'embedded');
    await writeFile(join(home.outbox, 'f'), 'x');
    const ended = await home.ferry(['run', 'drop', '--json'], { PATH: '/nonexistent' });
    assert.equal(ended.code, 0, ended.stderr);
    assert.deepEqual(await filesOf(join(server.folder, 'embedded')), ['f']);
  });
});
