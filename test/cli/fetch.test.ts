/** The way back: files of a server into a local folder, by its own clock and by ours. */

import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { endpointOf, makeHome } from '../support/ferry.ts';
import {
  assertNoLeftovers,
  assertTree,
  contentOf,
  filesOf,
  sha256Of,
  writeContent,
} from '../support/files.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { until, within } from '../support/until.ts';

const MINUTE = 60_000;

describe('ferry run fetches', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server[Symbol.asyncDispose]());

  /** A job that fetches from a folder of the server; and that folder, seen from here. */
  async function fetching(name: string, job: Readonly<Record<string, unknown>>) {
    const home = await makeHome();
    const [out, inbox] = [join(server.folder, name), join(home.path, 'inbox')];
    await mkdir(out);
    await home.endpoints({ server: endpointOf(server) });
    await home.job('fetch', { from: { endpoint: 'server', path: out }, to: './inbox', ...job });
    await mkdir(inbox);
    return { home, out, inbox };
  }

  async function writeAged(path: string, content: string, ageMs: number): Promise<void> {
    await writeFile(path, content);
    const at = (Date.now() - ageMs) / 1000;
    await utimes(path, at, at);
  }

  test('old files and fresh ones, and deletes them there', async () => {
    const { home: made, out, inbox } = await fetching('delete', { settle: '700ms', after: 'delete' });
    await using home = made;
    await mkdir(join(out, 'sub'));
    await writeContent(join(out, 'sub', 'large'), 'large', 3_000_000);
    await writeAged(join(out, 'old'), 'old', 60 * MINUTE);
    await writeAged(join(out, 'minutes'), 'minutes', 5 * MINUTE);
    await writeAged(join(out, 'ahead'), 'ahead', -5 * MINUTE);
    await writeFile(join(out, 'empty'), '');
    const ended = await home.ferry(['run', 'fetch', '--json']);
    assert.equal(ended.code, 0, ended.stderr);
    const { delivered, failed, skipped } = ended.lines()[0] ?? {};
    assert.deepEqual({ delivered, failed, skipped }, { delivered: 5, failed: 0, skipped: 0 });
    await assertTree(inbox, {
      ahead: sha256Of('ahead'),
      empty: sha256Of(''),
      minutes: sha256Of('minutes'),
      old: sha256Of('old'),
      'sub/large': sha256Of(contentOf('large', 0, 3_000_000)),
    });
    assert.deepEqual(await filesOf(out), []);
    assert.equal((await home.ferry(['run', 'fetch', '--json'])).lines()[0]?.delivered, 0);
  });

  test('into the archive there, which is not fetched', async () => {
    const {
      home: made,
      out,
      inbox,
    } = await fetching('archive', {
      settle: '300ms',
      after: { archive: `${server.folder}/archive/done` },
    });
    await using home = made;
    for (const content of ['first', 'second']) {
      await writeAged(join(out, 'f.txt'), content, 60 * MINUTE);
      const ended = await home.ferry(['run', 'fetch', '--json']);
      assert.equal(ended.lines()[0]?.delivered, 1, ended.stderr);
      assert.equal(await readFile(join(inbox, 'f.txt'), 'utf8'), content);
    }
    assert.deepEqual(await filesOf(out), ['done/f (1).txt', 'done/f.txt']);
    const [row] = (await home.ferry(['history', '--json'])).lines();
    assert.equal(row?.sha256, sha256Of('second'));
  });

  test('at first sight only what is older than any clock is wrong', async () => {
    const { home: made, out, inbox } = await fetching('sight', { settle: '1m' });
    await using home = made;
    await writeAged(join(out, 'old'), 'old', 60 * MINUTE);
    await writeAged(join(out, 'minutes'), 'minutes', 5 * MINUTE);
    const ended = await home.ferry(['run', 'fetch', '--json', '--timeout', '15s']);
    assert.equal(ended.code, 3, 'it waits for the other');
    const { delivered, skipped } = ended.lines()[0] ?? {};
    assert.deepEqual({ delivered, skipped }, { delivered: 1, skipped: 1 });
    assert.deepEqual(await filesOf(inbox), ['old']);
  });

  test('nothing that grows, where the clock of the server is behind; and does not wait for ever', async () => {
    const { home: made, out, inbox } = await fetching('behind', { settle: '2500ms', after: 'delete' });
    await using home = made;
    const path = join(out, 'log');
    let content = '';
    let growing = true;
    const grow = (async () => {
      while (growing) {
        content += 'line\n';
        await appendFile(path, 'line\n');
        const behind = Date.now() / 1000 - 300;
        await utimes(path, behind, behind);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    try {
      const ended = await within(60_000, 'the run', home.ferry(['run', 'fetch', '--json']));
      assert.equal(ended.code, 0, ended.stderr);
      const { delivered, skipped } = ended.lines()[0] ?? {};
      assert.deepEqual({ delivered, skipped }, { delivered: 0, skipped: 1 });
      assert.deepEqual(await filesOf(inbox), []);
    } finally {
      growing = false;
      await grow;
    }
    assert.equal((await home.ferry(['run', 'fetch'])).code, 0);
    assert.equal(await readFile(join(inbox, 'log'), 'utf8'), content);
    assert.deepEqual(await filesOf(out), []);
  });

  test('nothing from a server that does not answer, and ends when it is told to', async () => {
    const { home: made, out } = await fetching('hang', { settle: '0s' });
    await using home = made;
    await using proxy = await startFaultProxy({ port: server.port, trouble: { accept: 'hang' } });
    await home.endpoints({ server: endpointOf(server, { port: proxy.port }) });
    await writeFile(join(out, 'f'), 'x');
    const running = home.start(['run', 'fetch']);
    await until('it to connect', () => proxy.counts.accepted > 0);
    const ended = await within(60_000, 'the end', running.stop());
    assert.equal(ended.code, 130, ended.stderr);
    await assertNoLeftovers(home.path);
  });
});
