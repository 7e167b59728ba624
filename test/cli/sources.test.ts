/** Sources that are odd, or change between the look and the sending. */

import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { assertNoLeftovers, filesOf } from '../support/files.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

async function arrives(folder: string, name: string, content: string): Promise<void> {
  const arrived = async (): Promise<boolean> =>
    (await readFile(join(folder, name), 'utf8').catch(() => undefined)) === content;
  await until(`${name} to arrive`, arrived);
}

describe('a source that is a symbolic link', () => {
  test('is followed by run, and looked at anew where it leads elsewhere', async () => {
    await using home = await makeHome();
    const [v1, v2, link] = ['v1', 'v2', 'current'].map((name) => join(home.path, name));
    assert.ok(v1 && v2 && link);
    for (const folder of [v1, v2]) {
      await mkdir(join(folder, 'sub'), { recursive: true });
      await writeFile(join(folder, 'sub', 'f'), folder);
    }
    await symlink(v1, link);
    await home.job('drop', { from: './current', to: './inbox', settle: '0s' });
    await mkdir(join(home.path, 'inbox'));
    const first = await home.ferry(['run', 'drop', '--json']);
    assert.equal(first.lines()[0]?.delivered, 1, first.stderr);
    assert.equal(await readFile(join(home.path, 'inbox', 'sub', 'f'), 'utf8'), v1);

    await unlink(link);
    await symlink(v2, link);
    const second = await home.ferry(['run', 'drop', '--json']);
    assert.equal(second.lines()[0]?.delivered, 1, second.stderr);
    assert.equal(await readFile(join(home.path, 'inbox', 'sub', 'f'), 'utf8'), v2);

    await rm(v2, { recursive: true });
    const gone = await home.ferry(['run', 'drop']);
    assert.equal(gone.code, 3);
    assert.ok(gone.stderr.includes(`${link} is missing`), gone.stderr);
  });

  test('is watched by start, also where it leads elsewhere later', async () => {
    await using home = await makeHome();
    const [v1, v2, link, inbox] = ['v1', 'v2', 'current', 'inbox'].map((name) => join(home.path, name));
    assert.ok(v1 && v2 && link && inbox);
    for (const folder of [v1, v2, inbox]) await mkdir(folder);
    await symlink(v1, link);
    await home.job('drop', { from: './current', to: './inbox', settle: '100ms', when: { watch: true } });
    const worker = await home.worker();
    await writeFile(join(v1, 'one'), '1');
    await arrives(inbox, 'one', '1');
    await symlink(v2, `${link}.new`);
    await rename(`${link}.new`, link);
    await writeFile(join(v2, 'two'), '2');
    await arrives(inbox, 'two', '2');
    await writeFile(join(v2, 'three'), '3');
    await arrives(inbox, 'three', '3');
    assert.equal((await worker.stop()).code, 0);
  });

  test('is followed at a server', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    await mkdir(join(server.folder, 'v1', 'sub'), { recursive: true });
    await writeFile(join(server.folder, 'v1', 'sub', 'f'), 'x');
    await symlink('v1', join(server.folder, 'current'));
    await mkdir(join(home.path, 'inbox'));
    await home.endpoints({ server: endpointOf(server) });
    const from = { endpoint: 'server', path: join(server.folder, 'current') };
    await home.job('fetch', { from, to: './inbox', settle: '0s', after: 'delete' });
    const ended = await home.ferry(['run', 'fetch', '--json']);
    assert.equal(ended.lines()[0]?.delivered, 1, ended.stderr);
    assert.deepEqual(await filesOf(join(home.path, 'inbox')), ['sub/f']);
    assert.deepEqual(await filesOf(join(server.folder, 'v1')), []);
  });
});

describe('what may not be read', () => {
  async function homeWith(job: Readonly<Record<string, unknown>> = {}): Promise<Home> {
    const home = await makeHome({ unprivileged: true });
    await mkdir(join(home.path, 'inbox'));
    await home.job('drop', { from: './outbox', to: './inbox', settle: '0s', ...job });
    return home;
  }

  test('a folder inside is told, and hides nothing else', async () => {
    await using home = await homeWith();
    const closed = join(home.outbox, 'closed');
    await mkdir(closed);
    await writeFile(join(closed, 'f'), 'x');
    await writeFile(join(home.outbox, 'open'), 'y');
    await chmod(closed, 0);
    const ended = await home.ferry(['run', 'drop', '--json']);
    await chmod(closed, 0o700);
    assert.equal(ended.code, 1, 'not all is well');
    const { delivered, failed, skipped } = ended.lines()[0] ?? {};
    assert.deepEqual({ delivered, failed, skipped }, { delivered: 1, failed: 0, skipped: 1 });
    assert.match(ended.stderr, /closed: permission denied/);
    const again = await home.ferry(['run', 'drop', '--json']);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await filesOf(join(home.path, 'inbox')), ['closed/f', 'open']);
  });

  test('a file fails with what to do, and goes after a retry', async () => {
    await using home = await homeWith({ after: 'delete' });
    const secret = join(home.outbox, 'secret');
    await writeFile(secret, 'x');
    await writeFile(join(home.outbox, 'open'), 'y');
    await chmod(secret, 0);
    const ended = await home.ferry(['run', 'drop', '--json']);
    assert.equal(ended.code, 1);
    assert.match(
      ended.stderr,
      /cannot read secret: permission denied[\s\S]*user that runs Ferry.*ferry retry/,
    );
    assert.deepEqual(await filesOf(home.outbox), ['secret']);
    await chmod(secret, 0o600);
    assert.equal((await home.ferry(['retry', '--job', 'drop'])).code, 0);
    assert.equal((await home.ferry(['run', 'drop'])).code, 0);
    assert.deepEqual(await filesOf(home.outbox), []);
  });

  test('the source itself is an alarm that names it', async () => {
    await using home = await homeWith();
    await chmod(home.outbox, 0);
    const ended = await home.ferry(['run', 'drop']);
    await chmod(home.outbox, 0o700);
    assert.equal(ended.code, 3);
    assert.ok(ended.stderr.includes(`${home.outbox}: permission denied`), ended.stderr);
    assert.match(ended.stderr, /user that runs Ferry/);
    assert.match((await home.ferry(['status'])).stdout, /permission denied/);
  });
});

describe('a file that changes while its delivery is queued', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server[Symbol.asyncDispose]());

  interface Queued {
    readonly home: Home;
    readonly source: string;
    readonly inbox: string;
    /** Path and state of all deliveries, the oldest first. */
    states(): Promise<readonly string[]>;
  }

  /** `first` and `second` are owed, and held. */
  async function withQueued(side: 'sent' | 'fetched', body: (queued: Queued) => Promise<void>) {
    await using home = await makeHome();
    const remote = join(server.folder, `${side}-${Math.random()}`);
    await mkdir(remote);
    const [source, inbox] = side === 'sent' ? [home.outbox, remote] : [remote, join(home.path, 'inbox')];
    await mkdir(inbox, { recursive: true });
    await home.endpoints({ server: endpointOf(server), here: { type: 'local', path: home.path } });
    const places =
      side === 'sent'
        ? { from: './outbox', to: { endpoint: 'server', path: remote } }
        : { from: { endpoint: 'server', path: remote }, to: { endpoint: 'here', path: 'inbox' } };
    await home.job('drop', { ...places, settle: '0s', after: 'delete', when: {} });
    await writeFile(join(source, 'first'), '1');
    await writeFile(join(source, 'second'), '2');
    await home.ferry(['pause', 'drop']);
    await home.ferry(['run', 'drop']);
    const states = async (): Promise<readonly string[]> =>
      (await home.ferry(['history', '--json']))
        .lines()
        .toSorted((a, b) => Number(a.id) - Number(b.id))
        .map(({ path, state }) => `${path} ${state}`);
    assert.deepEqual((await states()).toSorted(), ['first due', 'second due']);
    await body({ home, source, inbox, states });
    await assertNoLeftovers(server.folder);
  }

  async function replace(path: string, content: string): Promise<void> {
    await writeFile(`${path}.new`, content);
    await rename(`${path}.new`, path);
  }

  for (const side of ['sent', 'fetched'] as const) {
    test(`is ${side} as it is now, once, by a run`, () =>
      withQueued(side, async ({ home, source, inbox, states }) => {
        await replace(join(source, 'first'), 'one, newer');
        await home.ferry(['resume', 'drop']);
        const ended = await home.ferry(['run', 'drop', '--json']);
        assert.equal(ended.code, 0, ended.stderr);
        assert.equal(ended.lines()[0]?.delivered, 2);
        assert.equal(await readFile(join(inbox, 'first'), 'utf8'), 'one, newer');
        assert.deepEqual((await states()).toSorted(), [
          'first delivered',
          'first superseded',
          'second delivered',
        ]);
        assert.deepEqual(await filesOf(source), []);
      }));

    test(`is ${side} as it is now, though nobody looks before it is sent`, () =>
      withQueued(side, async ({ home, source, inbox, states }) => {
        await replace(join(source, 'first'), 'one, newer');
        await home.ferry(['resume', 'drop']);
        const worker = await home.worker();
        await arrives(inbox, 'first', 'one, newer');
        await arrives(inbox, 'second', '2');
        await until('the sources to be deleted', async () => (await filesOf(source)).length === 0);
        assert.equal((await worker.stop()).code, 0);
        assert.deepEqual((await states()).toSorted(), [
          'first delivered',
          'first superseded',
          'second delivered',
        ]);
      }));

    test(`is no failure when it is deleted before it is ${side}`, () =>
      withQueued(side, async ({ home, source, inbox, states }) => {
        await unlink(join(source, 'first'));
        await home.ferry(['resume', 'drop']);
        const ended = await home.ferry(['run', 'drop', '--json']);
        assert.equal(ended.code, 0, ended.stderr);
        const { delivered, failed, skipped } = ended.lines()[0] ?? {};
        assert.deepEqual({ delivered, failed, skipped }, { delivered: 1, failed: 0, skipped: 0 });
        assert.deepEqual((await states()).toSorted(), ['first superseded', 'second delivered']);
        assert.deepEqual(await filesOf(inbox), ['second']);
        const [row] = (await home.ferry(['history', '--json', '--state', 'superseded'])).lines();
        assert.match(JSON.stringify(row?.error), /"vanished"/);

        await writeFile(join(source, 'first'), 'back');
        assert.equal((await home.ferry(['run', 'drop'])).code, 0);
        assert.equal(await readFile(join(inbox, 'first'), 'utf8'), 'back');
      }));
  }
});
