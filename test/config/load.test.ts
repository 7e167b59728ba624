import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { formatProblem } from '../../src/config/problems.ts';
import { workspace } from './workspace.ts';

const SERVER = 'server: { type: sftp, host: example.com }\n';
const JOB = 'from: ./outbox\nto: { endpoint: server, path: /in }\n';

describe('a job', () => {
  test('gets every default', async () => {
    await using space = await workspace({ 'jobs/endpoints.yaml': SERVER, 'jobs/invoices.yaml': JOB });
    const { config, problems, warnings } = await space.load();
    assert.deepEqual(problems, []);
    assert.deepEqual(warnings, []);
    assert.deepEqual(config.jobs.get('invoices'), {
      name: 'invoices',
      from: { endpoint: `folder:${space.path}/outbox`, path: '' },
      match: ['**'],
      ignore: [],
      to: [{ endpoint: 'server', path: '/in' }],
      when: {
        watch: false,
        cron: undefined,
        timezone: undefined,
        catchUp: 'once',
        rescanMs: 300_000,
        pollMs: undefined,
      },
      settleMs: 5000,
      done: undefined,
      after: { action: 'keep' },
      conflict: 'replace',
      verify: 'size',
      retry: { attempts: 8, delayMs: 5000, maxDelayMs: 900_000 },
      order: 'none',
      preserve: { mtime: true, mode: false },
      historyMs: 400 * 86_400_000,
      file: 'jobs/invoices.yaml',
    });
  });

  test('takes every key', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': SERVER,
      'jobs/all.yaml': `
from: ./outbox
match: "**/*.csv"
ignore: ["**/*.tmp", "old/**"]
to:
  - { endpoint: server, path: ./in// }
  - ./copy
when: { watch: true, cron: "0 2 * * 1-5", timezone: Asia/Tokyo, catchUp: none, rescan: 2h, poll: 300ms }
settle: 1.5s
done: "{stem}.ok"
after: { archive: ./outbox/.sent }
conflict: fail
verify: checksum
retry: { attempts: 3, delay: 1s, maxDelay: 2s }
order: mtime
preserve: { mtime: false, mode: true }
history: 30d
`,
    });
    const { config, problems } = await space.load();
    assert.deepEqual(problems, []);
    assert.deepEqual(config.jobs.get('all'), {
      name: 'all',
      from: { endpoint: `folder:${space.path}/outbox`, path: '' },
      match: ['**/*.csv'],
      ignore: ['**/*.tmp', 'old/**'],
      to: [
        { endpoint: 'server', path: 'in' },
        { endpoint: `folder:${space.path}/copy`, path: '' },
      ],
      when: {
        watch: true,
        cron: '0 2 * * 1-5',
        timezone: 'Asia/Tokyo',
        catchUp: 'none',
        rescanMs: 7_200_000,
        pollMs: 300,
      },
      settleMs: 1500,
      done: '{stem}.ok',
      after: { action: 'archive', path: '.sent' },
      conflict: 'fail',
      verify: 'checksum',
      retry: { attempts: 3, delayMs: 1000, maxDelayMs: 2000 },
      order: 'mtime',
      preserve: { mtime: false, mode: true },
      historyMs: 30 * 86_400_000,
      file: 'jobs/all.yaml',
    });
  });

  test('without "when", or with an empty one, runs only by hand', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': SERVER,
      'jobs/a.yaml': JOB,
      'jobs/b.yaml': `${JOB}when: {}\n`,
    });
    const { config } = await space.load();
    for (const name of ['a', 'b']) {
      const when = config.jobs.get(name)?.when;
      assert.deepEqual([when?.watch, when?.cron], [false, undefined], name);
    }
  });

  test('has its name from its file; folders, dotfiles and leftovers of editors are no jobs', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': SERVER,
      'jobs/a.yaml': JOB,
      'jobs/b.yml': JOB,
      'jobs/納品書.yaml': JOB,
      'jobs/.c.yaml': 'x',
      'jobs/d.yaml~': 'x',
      'jobs/e.yaml.bak': 'x',
      'jobs/f.json': 'x',
      'jobs/examples/g.yaml': 'x',
    });
    const { config, problems } = await space.load();
    assert.deepEqual(problems, []);
    assert.deepEqual([...config.jobs.keys()], ['a', 'b', '納品書']);
  });
});

describe('places', () => {
  test('plain folders become local endpoints, one for each folder', async () => {
    await using space = await workspace({
      'jobs/a.yaml': 'from: ./outbox\nto: ~/in\n',
      'jobs/b.yaml': 'from: outbox/\nto: /srv/in\n',
    });
    const { config, problems } = await space.load();
    assert.deepEqual(problems, []);
    assert.deepEqual(
      [...config.endpoints.values()].map(({ name, kind, settings, file, line }) => ({
        name,
        kind,
        settings,
        file,
        line,
      })),
      [
        { name: `folder:${space.path}/outbox`, path: `${space.path}/outbox`, job: 'a', line: 1 },
        { name: 'folder:/home/operator/in', path: '/home/operator/in', job: 'a', line: 2 },
        { name: 'folder:/srv/in', path: '/srv/in', job: 'b', line: 2 },
      ].map(({ name, path, job, line }) => ({
        name,
        kind: 'local',
        settings: { path },
        file: join(space.path, `jobs/${job}.yaml`),
        line,
      })),
    );
    assert.equal(config.jobs.get('b')?.from.endpoint, config.jobs.get('a')?.from.endpoint);
  });

  test('a path at a local endpoint starts at its folder, with or without a slash', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': 'share: { type: local, path: ./share }\n',
      'jobs/a.yaml': 'from: { endpoint: share, path: /out/./x/ }\nto: { endpoint: share, path: in }\n',
    });
    const { config, problems } = await space.load();
    assert.deepEqual(problems, []);
    assert.equal(config.jobs.get('a')?.from.path, 'out/x');
    assert.equal(config.jobs.get('a')?.to[0]?.path, 'in');
    assert.deepEqual(config.endpoints.get('share')?.settings, { path: join(space.path, 'share') });
  });

  test("an archive is relative to the local endpoint where it lies inside, absolute where outside, the server's own elsewhere", async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': `${SERVER}share: { type: local, path: ./share }\n`,
      'jobs/inside.yaml': 'from: ./outbox\nto: ./in\nafter: { archive: ./outbox/sent/here }\n',
      'jobs/outside.yaml': 'from: ./outbox\nto: ./in\nafter: { archive: ./sent }\n',
      'jobs/share.yaml': 'from: { endpoint: share, path: out }\nto: ./in\nafter: { archive: ./share/sent }\n',
      'jobs/server.yaml':
        'from: { endpoint: server, path: /out }\nto: ./in\nafter: { archive: /out/done/ }\n',
    });
    const { config, problems } = await space.load();
    assert.deepEqual(problems, []);
    const paths = [...config.jobs.values()].map(({ name, after }) => [
      name,
      after.action === 'archive' ? after.path : '',
    ]);
    assert.deepEqual(Object.fromEntries(paths), {
      inside: 'sent/here',
      outside: join(space.path, 'sent'),
      share: 'sent',
      server: '/out/done',
    });
  });

  test('a destination inside the source is refused also through a link, and fine where scans never look', async () => {
    await using space = await workspace({
      'outbox/x': '',
      'jobs/link.yaml': 'from: ./link\nto: ./outbox/copy\n',
      'jobs/hidden.yaml': 'from: ./outbox\nto: ./outbox/.copy\n',
      'jobs/ignored.yaml': 'from: ./outbox\nto: ./outbox/copy\nignore: ["copy/**"]\n',
    });
    await symlink(join(space.path, 'outbox'), join(space.path, 'link'));
    const { config, problems } = await space.load();
    assert.deepEqual(problems.map(formatProblem), [
      'jobs/link.yaml:2:5  this folder lies inside "from" ("copy"): what arrives would be sent again, without end; choose a folder outside, or add "copy/**" to "ignore"',
    ]);
    assert.deepEqual([...config.jobs.keys()], ['hidden', 'ignored']);
  });

  test("a source that holds Ferry's own data is refused, unless scans never look there", async () => {
    await using space = await workspace({
      'state/ledger.sqlite': '',
      'jobs/all.yaml': 'from: .\nto: ../in\n',
      'jobs/ignored.yaml': 'from: .\nto: ../in\nignore: ["state/**"]\n',
      'jobs/beside.yaml': 'from: ./outbox\nto: ../in\n',
    });
    const data = join(space.path, 'state');
    const { config, problems } = await space.load({}, data);
    assert.deepEqual(problems.map(formatProblem), [
      `jobs/all.yaml:1:7  Ferry's own data (FERRY_DATA, ${data}) lies inside this folder: it would be sent, without end; choose another folder for either, or add "state/**" to "ignore"`,
    ]);
    assert.deepEqual([...config.jobs.keys()], ['beside', 'ignored']);
    assert.deepEqual((await space.load({}, join(space.path, '.ferry'))).problems, []);
  });
});

describe('what is broken', () => {
  test('keeps nothing else from loading, and is all told at once', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': `${SERVER}other: { type: sftp, hst: x }\n`,
      'jobs/good.yaml': JOB,
      'jobs/one.yaml': 'from: ./outbox\nto: { endpoint: other }\n',
      'jobs/syntax.yaml': 'from: [\n',
      'jobs/two.yaml': 'from: ./outbox\nsetle: 5\nconflict: never\n',
    });
    const { config, problems, broken } = await space.load();
    assert.deepEqual([...config.jobs.keys()], ['good']);
    assert.ok(config.endpoints.has('server'));
    assert.ok(!config.endpoints.has('other'));
    assert.deepEqual([...broken.jobs], ['one', 'syntax', 'two']);
    assert.deepEqual([...broken.endpoints], ['other']);
    assert.equal(broken.endpointsFile, false);
    assert.deepEqual(problems.map(formatProblem), [
      'jobs/endpoints.yaml:2:22  other: unknown key "hst"; did you mean "host"?',
      'jobs/one.yaml:2:17  to.endpoint: "other" has a problem of its own in endpoints.yaml; solve that first',
      'jobs/syntax.yaml:2:1  the indentation does not fit, or a bracket before this was not closed',
      'jobs/two.yaml:1:1  "to" is missing',
      'jobs/two.yaml:2:1  unknown key "setle"; did you mean "settle"?',
      'jobs/two.yaml:3:11  "conflict" must be replace, skip, rename or fail, not "never"',
    ]);
  });

  test('endpoints.yaml with broken syntax: jobs on plain folders go on, the others say why not', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': 'server:\n\ttype: sftp\n',
      'jobs/folders.yaml': 'from: ./a\nto: ./b\n',
      'jobs/server.yaml': JOB,
    });
    const { config, problems, broken } = await space.load();
    assert.deepEqual([...config.jobs.keys()], ['folders']);
    assert.equal(broken.endpointsFile, true);
    assert.deepEqual(problems.map(formatProblem), [
      'jobs/endpoints.yaml:2:1  a tab is used for indentation; YAML wants spaces',
      'jobs/server.yaml:2:17  to.endpoint: nothing is known of "server", because endpoints.yaml cannot be read; solve that first',
    ]);
  });

  test('of a key that is there twice, its entry or job alone', async () => {
    await using space = await workspace({
      'jobs/endpoints.yaml': `${SERVER}twice: { type: sftp, host: a, host: b }\n`,
      'jobs/good.yaml': JOB,
      'jobs/twice.yaml': `${JOB}from: ./other\n`,
    });
    const { config, problems } = await space.load();
    assert.deepEqual([...config.jobs.keys()], ['good']);
    assert.ok(!config.endpoints.has('twice'));
    assert.deepEqual(problems.map(formatProblem), [
      'jobs/endpoints.yaml:2:31  key "host" is there twice; the first is on line 2; keep one of them',
      'jobs/twice.yaml:3:1  key "from" is there twice; the first is on line 1; keep one of them',
    ]);
  });

  test('no folder, an empty one, and one with endpoints only', async () => {
    await using space = await workspace({});
    assert.deepEqual(await space.problems(), [
      'jobs  there is no such folder; `ferry init` makes one, with a first job in it',
    ]);
    await mkdir(join(space.path, 'jobs'));
    assert.deepEqual(await space.problems(), [
      'jobs  there is no job in this folder; `ferry init` writes a first one',
    ]);
    await space.write('jobs/endpoints.yaml', SERVER);
    const { problems, warnings, config } = await space.load();
    assert.deepEqual(problems, []);
    assert.deepEqual(warnings.map(formatProblem), [
      'jobs  there is no job in this folder; write a file NAME.yaml for each job',
    ]);
    assert.ok(config.endpoints.has('server'));
  });

  test('a file where the folder should be, and a folder where a file should be', async () => {
    await using space = await workspace({ jobs: 'x' });
    assert.deepEqual(await space.problems(), ['jobs  this is not a folder']);
    await using other = await workspace({ 'elsewhere/x': '', 'jobs/good.yaml': 'from: ./a\nto: ./b\n' });
    await symlink(join(other.path, 'elsewhere'), join(other.path, 'jobs/job.yaml'));
    assert.deepEqual(await other.problems(), ['jobs/job.yaml  this is a folder, not a file']);
  });

  test('a file that is not UTF-8', async () => {
    await using space = await workspace({ 'jobs/a.yaml': 'from: ./a\nto: ./b\n' });
    await writeFile(join(space.path, 'jobs/b.yaml'), Buffer.from('from: ./\xe9\n', 'latin1'));
    assert.deepEqual(await space.problems(), ['jobs/b.yaml  it is not UTF-8 text']);
  });
});

test('an edit is seen by loading again, and the fingerprint says which endpoint has changed', async () => {
  await using space = await workspace({
    'jobs/endpoints.yaml': `${SERVER}other: { host: a, type: sftp, password: "\${file:./secret}" }\n`,
    'jobs/a.yaml': JOB,
    secret: 'first',
  });
  const prints = async (): Promise<readonly (string | undefined)[]> => {
    const { config, problems } = await space.load();
    assert.deepEqual(problems, []);
    return ['server', 'other', `folder:${space.path}/outbox`].map(
      (name) => config.endpoints.get(name)?.fingerprint,
    );
  };
  const before = await prints();
  await space.write(
    'jobs/endpoints.yaml',
    `# moved\n\nother: { type: sftp, password: "\${file:./secret}", host: a }\n${SERVER}`,
  );
  assert.deepEqual(await prints(), before, 'neither order nor comments count');
  await space.write(
    'jobs/endpoints.yaml',
    `server: { type: sftp, host: example.org }\nother: { type: sftp, password: "\${file:./secret}", host: a }\n`,
  );
  const moved = await prints();
  assert.notEqual(moved[0], before[0]);
  assert.deepEqual(moved.slice(1), before.slice(1));
  await space.write('secret', 'second');
  const rotated = await prints();
  assert.notEqual(rotated[1], before[1], 'a secret in a file counts');
  assert.equal(rotated[0], moved[0]);
});

test('a jump host that has changed changes the fingerprint of what is reached through it', async () => {
  const endpoints = (host: string): string =>
    `a: { type: sftp, host: a, via: [b] }\nb: { type: sftp, host: b, via: [c] }\nc: { type: sftp, host: ${host} }\nd: { type: sftp, host: d }\n`;
  await using space = await workspace({ 'jobs/endpoints.yaml': endpoints('c') });
  const prints = async () =>
    [...(await space.load()).config.endpoints.values()].map(({ fingerprint }) => fingerprint);
  const before = await prints();
  await space.write('jobs/endpoints.yaml', endpoints('other'));
  const after = await prints();
  assert.deepEqual(
    before.map((print, index) => print === after[index]),
    [false, false, false, true],
  );
});
