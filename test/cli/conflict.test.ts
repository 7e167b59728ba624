/** `conflict`: what a run does, says and keeps when the remote name is taken. */

import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { type Ended, endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { assertNoLeftovers, filesOf } from '../support/files.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

const POLICIES = ['replace', 'skip', 'rename', 'fail'] as const;

describe('when the remote name is taken', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server[Symbol.asyncDispose]());

  /** `taken.txt` and `free.txt` to send and to delete; at the server there is another `taken.txt`. */
  async function withTaken(
    conflict: string,
    there: string,
    body: (line: { readonly home: Home; readonly inbox: string }) => Promise<void>,
  ): Promise<void> {
    await using home = await makeHome();
    const inbox = join(server.folder, `${conflict}-${Math.random()}`);
    await mkdir(inbox);
    await writeFile(join(inbox, 'taken.txt'), there);
    await home.endpoints({ server: endpointOf(server) });
    const to = { endpoint: 'server', path: inbox };
    await home.job('drop', { from: './outbox', to, settle: '0s', after: 'delete', conflict });
    await writeFile(join(home.outbox, 'taken.txt'), 'ours');
    await writeFile(join(home.outbox, 'free.txt'), 'free');
    await body({ home, inbox });
    await assertNoLeftovers(server.folder);
  }

  function summary(ended: Ended): object {
    const { delivered, failed, skipped } = ended.lines()[0] ?? {};
    return { code: ended.code, delivered, failed, skipped };
  }

  async function rowOf(home: Home, path: string): Promise<Record<string, unknown>> {
    const rows = (await home.ferry(['history', '--json', '--path', path])).lines();
    assert.equal(rows.length, 1);
    return rows[0] ?? {};
  }

  const content = (inbox: string, name: string): Promise<string> => readFile(join(inbox, name), 'utf8');

  test('replace puts ours there', () =>
    withTaken('replace', 'theirs', async ({ home, inbox }) => {
      const ended = await home.ferry(['run', 'drop', '--json']);
      assert.deepEqual(summary(ended), { code: 0, delivered: 2, failed: 0, skipped: 0 });
      assert.equal(await content(inbox, 'taken.txt'), 'ours');
      const { state, error } = await rowOf(home, 'taken.txt');
      assert.deepEqual({ state, error }, { state: 'delivered', error: null });
      assert.deepEqual(await filesOf(home.outbox), []);
    }));

  test('skip leaves theirs, says so, keeps the source, and sends it by a later run once the name is free', () =>
    withTaken('skip', 'theirs', async ({ home, inbox }) => {
      const ended = await home.ferry(['run', 'drop', '--json']);
      assert.deepEqual(summary(ended), { code: 0, delivered: 1, failed: 0, skipped: 1 });
      assert.equal(await content(inbox, 'taken.txt'), 'theirs');
      const row = await rowOf(home, 'taken.txt');
      assert.equal(row.state, 'superseded');
      assert.doesNotMatch(JSON.stringify(row.error), /ferry retry/, 'that puts back only what failed');
      assert.match(JSON.stringify(row.error), /"skipped".*taken\.txt has other content there; left alone/);
      assert.deepEqual(await filesOf(home.outbox), ['taken.txt']);

      const planned = (await home.ferry(['plan', 'drop'])).stdout;
      assert.match(planned, /\+ taken\.txt.*skipped before.*conflict: skip/);
      const again = await home.ferry(['run', 'drop', '--json']);
      assert.deepEqual(summary(again), { code: 0, delivered: 0, failed: 0, skipped: 1 });
      assert.deepEqual(await filesOf(home.outbox), ['taken.txt']);

      await rm(join(inbox, 'taken.txt'));
      const free = await home.ferry(['run', 'drop', '--json']);
      assert.deepEqual(summary(free), { code: 0, delivered: 1, failed: 0, skipped: 0 });
      assert.equal(await content(inbox, 'taken.txt'), 'ours');
      assert.deepEqual(await filesOf(home.outbox), []);
    }));

  test('skip is tried again by the worker once a day', () =>
    withTaken('skip', 'theirs', async ({ home, inbox }) => {
      const to = { endpoint: 'server', path: inbox };
      await home.job('drop', { from: './outbox', to, settle: '0s', when: { watch: true }, conflict: 'skip' });
      await home.ferry(['run', 'drop']);
      await rm(join(inbox, 'taken.txt'));
      const soon = await home.worker();
      await writeFile(join(home.outbox, 'other.txt'), 'other');
      await until('another file', async () => (await filesOf(inbox)).includes('other.txt'));
      assert.equal((await soon.stop()).code, 0);
      assert.deepEqual(await filesOf(inbox), ['free.txt', 'other.txt']);

      const ledger = new DatabaseSync(join(home.dataFolder, 'ledger.sqlite'));
      ledger.exec(
        "UPDATE deliveries SET updated_at_ms = updated_at_ms - 86400000 WHERE error_kind = 'skipped'",
      );
      ledger.close();
      const later = await home.worker();
      await until('it to arrive', async () => (await filesOf(inbox)).includes('taken.txt'));
      assert.equal((await later.stop()).code, 0);
    }));

  test('rename puts ours beside theirs, and tells where', () =>
    withTaken('rename', 'theirs', async ({ home, inbox }) => {
      const ended = await home.ferry(['run', 'drop', '--json']);
      assert.deepEqual(summary(ended), { code: 0, delivered: 2, failed: 0, skipped: 0 });
      assert.deepEqual(await filesOf(inbox), ['free.txt', 'taken (1).txt', 'taken.txt']);
      assert.equal(await content(inbox, 'taken.txt'), 'theirs');
      assert.equal(await content(inbox, 'taken (1).txt'), 'ours');
      assert.equal((await rowOf(home, 'taken.txt')).remotePath, join(inbox, 'taken (1).txt'));
      assert.deepEqual(await filesOf(home.outbox), []);
    }));

  test('fail keeps both, says what to do, and goes on after a retry', () =>
    withTaken('fail', 'theirs', async ({ home, inbox }) => {
      const ended = await home.ferry(['run', 'drop', '--json']);
      assert.deepEqual(summary(ended), { code: 1, delivered: 1, failed: 1, skipped: 0 });
      assert.equal(await content(inbox, 'taken.txt'), 'theirs');
      const row = await rowOf(home, 'taken.txt');
      assert.equal(row.state, 'failed');
      assert.equal(row.attempts, 1, 'trying again would not help');
      assert.match(JSON.stringify(row.error), /"EEXIST".*taken\.txt has other content there.*ferry retry/);
      assert.deepEqual(await filesOf(home.outbox), ['taken.txt']);

      await rm(join(inbox, 'taken.txt'));
      await home.ferry(['retry', '--job', 'drop']);
      const again = await home.ferry(['run', 'drop', '--json']);
      assert.deepEqual(summary(again), { code: 0, delivered: 1, failed: 0, skipped: 0 });
      assert.equal(await content(inbox, 'taken.txt'), 'ours');
      assert.deepEqual(await filesOf(home.outbox), []);
    }));

  for (const conflict of POLICIES) {
    test(`${conflict} is content with the very same content`, () =>
      withTaken(conflict, 'ours', async ({ home, inbox }) => {
        const ended = await home.ferry(['run', 'drop', '--json']);
        assert.deepEqual(summary(ended), { code: 0, delivered: 2, failed: 0, skipped: 0 });
        assert.deepEqual(await filesOf(inbox), ['free.txt', 'taken.txt']);
        assert.equal((await rowOf(home, 'taken.txt')).remotePath, join(inbox, 'taken.txt'));
        assert.deepEqual(await filesOf(home.outbox), []);
      }));
  }

  test('a source is kept when one destination was skipped', () =>
    withTaken('skip', 'theirs', async ({ home, inbox }) => {
      const to = [inbox, join(inbox, 'other')].map((path) => ({ endpoint: 'server', path }));
      await home.job('drop', { from: './outbox', to, settle: '0s', after: 'delete', conflict: 'skip' });
      const ended = await home.ferry(['run', 'drop', '--json']);
      assert.deepEqual(summary(ended), { code: 0, delivered: 3, failed: 0, skipped: 1 });
      assert.deepEqual(await filesOf(inbox), ['free.txt', 'other/free.txt', 'other/taken.txt', 'taken.txt']);
      assert.deepEqual(await filesOf(home.outbox), ['taken.txt']);
    }));
});
