import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { endpointOf, makeHome } from '../support/ferry.ts';
import { filesOf } from '../support/files.ts';
import { startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

describe('from nothing to a first delivered file', () => {
  test('init, plan, run, history, status, with the sandbox', async () => {
    await using home = await makeHome();
    const init = await home.ferry(['init', '--json']);
    assert.equal(init.code, 0, init.stderr);
    await writeFile(join(home.outbox, 'hello.txt'), 'hello');

    const plan = await home.ferry(['plan', 'outbox', '--json']);
    assert.equal(plan.code, 0, plan.stderr);
    assert.deepEqual(
      plan.lines().map((row) => [row.path, row.action]),
      [['hello.txt', 'send']],
    );
    await assert.rejects(stat(home.dataFolder), 'plan touches nothing');

    const run = await home.ferry(['run', 'outbox', '--json']);
    assert.equal(run.lines()[0]?.delivered, 1, run.stderr);
    const files = (await filesOf(home.dataFolder)).filter((path) => path.endsWith('hello.txt'));
    assert.equal(files.length, 1);
    assert.equal(await readFile(join(home.dataFolder, files[0] ?? ''), 'utf8'), 'hello');

    const status = await home.ferry(['status', '--json']);
    assert.equal(status.lines()[0]?.delivered, 1);
    assert.equal(status.lines()[0]?.owed, 0);
    const after = await home.ferry(['plan', 'outbox', '--json']);
    assert.equal(after.lines()[0]?.action, 'leave');
  });
});

describe('trust', () => {
  test('shows the fingerprints, pins nothing without a yes, then pins and check is content', async () => {
    await using home = await makeHome();
    await using server = await startSshd();
    await home.endpoints({ server: endpointOf(server, { hostKey: undefined }) });
    await home.job('drop', { from: './outbox', to: { endpoint: 'server', path: server.folder } });

    const unknown = await home.ferry(['check', 'server']);
    assert.equal(unknown.code, 3, unknown.stdout);
    assert.match(unknown.stdout, /ferry trust server/);

    const shown = await home.ferry(['trust', 'server']);
    assert.notEqual(shown.code, 0);
    assert.ok(shown.stdout.includes(server.hostKeyFingerprint));
    assert.ok(!(await readFile(join(home.path, 'jobs', 'endpoints.yaml'), 'utf8')).includes('SHA256:'));

    const pinned = await home.ferry(['trust', 'server', '--yes']);
    assert.equal(pinned.code, 0, pinned.stderr);
    assert.ok(
      (await readFile(join(home.path, 'jobs', 'endpoints.yaml'), 'utf8')).includes(server.hostKeyFingerprint),
    );

    const check = await home.ferry(['check', 'server', '--json']);
    assert.equal(check.code, 0, check.stdout);
    assert.ok(check.lines().every((step) => step.ok === true));
    assert.deepEqual(await filesOf(server.folder), [], 'check leaves nothing behind');
  });
});

describe('usage', () => {
  test('an unknown job, command or option is exit code 2, with the nearest name', async () => {
    await using home = await makeHome();
    await home.endpoints({});
    await home.job('invoices', { from: './outbox', to: './elsewhere' });
    const job = await home.ferry(['run', 'invoice']);
    assert.equal(job.code, 2);
    assert.match(job.stderr, /did you mean invoices/);
    assert.equal((await home.ferry(['rum', 'invoices'])).code, 2);
    assert.equal((await home.ferry(['run', 'invoices', '--jason'])).code, 2);
    assert.equal((await home.ferry(['run'])).code, 2);
  });

  test('every problem of the configuration at once, with file and line', async () => {
    await using home = await makeHome();
    await home.endpoints({ server: { type: 'sftp', host: 'h', user: 'u', prot: 22 } });
    await home.job('a', { from: './outbox', to: { endpoint: 'sever', path: '/x' } });
    await home.job('b', { from: './outbox', to: { endpoint: 'server', path: '/x' }, setle: '5s' });
    const ended = await home.ferry(['run', 'a']);
    assert.equal(ended.code, 2);
    assert.match(ended.stderr, /a\.yaml:\d+.*sever.*server/s);
    assert.match(ended.stderr, /b\.yaml:\d+.*setle.*settle/s);
    assert.match(ended.stderr, /endpoints\.yaml:\d+.*prot.*port/s);
  });

  test('a job that is fine runs beside one that is broken, and status says what is broken', async () => {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.endpoints({ there: { type: 'local', path: './there' } });
    await home.job('good', { from: './outbox', to: { endpoint: 'there', path: 'in' }, settle: '0s' });
    await home.job('bad', { from: './outbox', to: { endpoint: 'their', path: 'in' } });
    await writeFile(join(home.outbox, 'f'), 'x');
    const run = await home.ferry(['run', 'good', '--json']);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.lines()[0]?.delivered, 1);
    assert.match(run.stderr, /bad\.yaml:\d+/);
    const status = await home.ferry(['status']);
    assert.equal(status.code, 2);
    assert.match(status.stdout, /good .*1 delivered/);
    assert.match(status.stderr, /bad\.yaml:\d+/);
    assert.equal((await home.ferry(['run', 'bad'])).code, 2);
  });

  test('--version is that of package.json', async () => {
    await using home = await makeHome();
    const ended = await home.ferry(['--version']);
    assert.equal(ended.code, 0, ended.stderr);
    const manifest: unknown = JSON.parse(
      await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'),
    );
    assert.ok(typeof manifest === 'object' && manifest !== null && 'version' in manifest);
    assert.equal(ended.stdout, `${manifest.version}\n`);
  });

  test('every command has help with an example', async () => {
    await using home = await makeHome();
    for (const command of [
      'start',
      'run',
      'plan',
      'check',
      'trust',
      'status',
      'history',
      'retry',
      'pause',
      'resume',
      'init',
    ]) {
      const help = await home.ferry([command, '--help']);
      assert.equal(help.code, 0, command);
      assert.match(help.stdout, /Examples:\n {2}ferry /, command);
    }
  });
});

describe('pause and resume', () => {
  test('a paused endpoint sends nothing and keeps everything', async () => {
    await using home = await makeHome();
    await home.endpoints({ there: { type: 'local', path: './there' } });
    await home.job('drop', { from: './outbox', to: { endpoint: 'there', path: 'in' }, settle: '0s' });
    await mkdir(join(home.path, 'there'));
    await writeFile(join(home.outbox, 'f'), 'x');
    assert.equal((await home.ferry(['pause', 'there'])).code, 0);
    const held = await home.ferry(['run', 'drop', '--json']);
    assert.equal(held.lines()[0]?.delivered, 0);
    assert.match(held.stderr, /paused/);
    assert.equal(held.code, 3, 'a script must not take it for done');
    assert.equal((await home.ferry(['resume', 'there'])).code, 0);
    assert.equal((await home.ferry(['run', 'drop', '--json'])).lines()[0]?.delivered, 1);
  });
});

test('a data folder that this user may not look into is never taken for one without a record', async () => {
  await using home = await makeHome({ unprivileged: true });
  await home.endpoints({ there: { type: 'local', path: './there' } });
  await home.job('drop', { from: './outbox', to: { endpoint: 'there', path: 'in' }, settle: '0s' });
  await mkdir(join(home.path, 'there'));
  await writeFile(join(home.outbox, 'f'), 'x');
  assert.equal((await home.ferry(['run', 'drop'])).code, 0);
  await chmod(home.dataFolder, 0);
  try {
    for (const command of [['history'], ['plan', 'drop']]) {
      const ended = await home.ferry(command);
      assert.equal(ended.code, 2, ended.stdout);
      assert.match(ended.stderr, /ledger\.sqlite cannot be opened/);
    }
  } finally {
    await chmod(home.dataFolder, 0o700);
  }
});

describe('history', () => {
  test('of a job that never was is refused with the nearest one; of one that is gone from jobs/ it is shown', async () => {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.endpoints({ there: { type: 'local', path: './there' } });
    const job = { from: './outbox', to: { endpoint: 'there', path: 'in' }, settle: '0s' };
    await home.job('invoices', job);
    const before = await home.ferry(['history']);
    assert.equal(before.code, 0, before.stderr);
    assert.match(before.stdout, /no record yet in .*data/);
    await assert.rejects(stat(home.dataFolder), 'looking makes nothing');

    await writeFile(join(home.outbox, 'f'), 'x');
    assert.equal((await home.ferry(['run', 'invoices'])).code, 0);
    for (const command of ['history', 'retry']) {
      const wrong = await home.ferry([command, '--job', 'invoice']);
      assert.equal(wrong.code, 2, command);
      assert.match(wrong.stderr, /there is no job invoice; did you mean invoices\?/);
      assert.equal(wrong.stdout, '');
    }
    const none = await home.ferry(['history', '--job', 'invoices', '--state', 'failed']);
    assert.equal(none.stdout, 'no such delivery\n');

    await rename(join(home.path, 'jobs', 'invoices.yaml'), join(home.path, 'jobs', 'bills.yaml'));
    const gone = await home.ferry(['history', '--job', 'invoices', '--json']);
    assert.equal(gone.code, 0, gone.stderr);
    assert.deepEqual(
      gone.lines().map(({ path, state }) => ({ path, state })),
      [{ path: 'f', state: 'delivered' }],
    );
    await writeFile(join(home.path, 'jobs', 'broken.yaml'), 'from: [');
    assert.equal((await home.ferry(['history', '--job', 'broken'])).code, 0, 'a broken job is a job');
    assert.match(
      (await home.ferry(['history', '--job', 'nosuch'])).stderr,
      /there are bills, broken, invoices/,
    );
  });
});

describe('what is kept', () => {
  test('in the data folder nobody else can read', async () => {
    await using home = await makeHome();
    await home.ferry(['init']);
    await writeFile(join(home.outbox, 'hello.txt'), 'hello');
    const worker = await home.worker();
    await until('the file to arrive', async () =>
      (await filesOf(home.dataFolder)).some((path) => path.endsWith('hello.txt')),
    );
    const modes = new Map<string, string>();
    for (const path of ['.', ...(await readdir(home.dataFolder))])
      modes.set(path, ((await stat(join(home.dataFolder, path))).mode & 0o077).toString(8));
    assert.equal((await worker.stop()).code, 0);
    assert.equal(modes.get('.'), '0', 'the folder');
    for (const file of ['ledger.sqlite', 'ledger.sqlite-wal', 'ledger.sqlite-shm'])
      assert.equal(modes.get(file), '0', file);
  });
});
