/** What people get wrong, typed as they would type it: each ends with its exit code and a message that says what to do. */

import assert from 'node:assert/strict';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createWeb } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Ended, endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { assertNoLeftovers, filesOf, writeContent } from '../support/files.ts';
import { freePort } from '../support/ports.ts';
import { startOldRedis, startRedis } from '../support/redis.ts';
import { makeKey, type Sshd, startSshd } from '../support/sshd.ts';
import { mountTmpfs } from '../support/tmpfs.ts';

function assertSays(ended: Ended, code: number, ...said: readonly RegExp[]): void {
  const text = ended.stdout + ended.stderr;
  assert.equal(ended.code, code, text);
  for (const expected of said) assert.match(text, expected);
  assert.doesNotMatch(text, /\n\s+at .*:\d+|undefined|\[object /, 'words, not a stack');
}

describe('a configuration', () => {
  /** The text of endpoints.yaml and of jobs/drop.yaml → what is said of them. */
  const CASES: Readonly<Record<string, readonly [endpoints: string, job: string, ...said: RegExp[]]>> = {
    'with tabs': ['', 'from: ./outbox\nto:\n\t- ./there\n', /drop\.yaml:3:1.*tab.*spaces/],
    'with an unknown key': [
      '',
      'from: ./outbox\nto: ./there\nsetle: 5s\n',
      /drop\.yaml:3:1.*"setle".*"settle"/,
    ],
    'with a wrong type': [
      '',
      'from: ./outbox\nto: ./there\nwhen: true\n',
      /drop\.yaml:3:7.*must be a map of keys/,
    ],
    'with a bad cron line': [
      '',
      'from: ./outbox\nto: ./there\nwhen: { cron: "0 25 * * *" }\n',
      /drop\.yaml:3:15.*"0 25 \* \* \*" is not a cron line.*0-23.*every night at two/,
    ],
    'with a bad time zone': [
      '',
      'from: ./outbox\nto: ./there\nwhen: { cron: "0 2 * * *", timezone: Asia/Tokio }\n',
      /drop\.yaml:3:38.*"Asia\/Tokio" is not a time zone.*"Asia\/Tokyo"/,
    ],
    'with an endpoint that is not defined': [
      'store: { type: local, path: ./there }\n',
      'from: ./outbox\nto: { endpoint: stoer, path: in }\n',
      /drop\.yaml:2:17.*no endpoint "stoer".*"store"/,
    ],
    'with a type of endpoint that there is not': [
      'store: { type: sfpt, host: h }\n',
      'from: ./outbox\nto: { endpoint: store, path: in }\n',
      /endpoints\.yaml:1:16.*"sfpt".*"sftp"/,
    ],
    'with secrets that are missing': [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: as people write it
      'a: { type: sftp, host: h, user: u, password: "${env:FERRY_NO_SUCH}" }\nb: { type: sftp, host: h, user: u, password: "${file:/run/secrets/none}" }\n',
      'from: ./outbox\nto: [{ endpoint: a, path: in }, { endpoint: b, path: in }]\n',
      /endpoints\.yaml:1:\d+.*FERRY_NO_SUCH.*not set.*where Ferry is started/,
      /endpoints\.yaml:2:\d+.*\/run\/secrets\/none.*no such file.*name a file/,
    ],
  };

  for (const [what, [endpoints, job, ...said]] of Object.entries(CASES)) {
    test(`${what} is refused, with its place`, async () => {
      await using home = await makeHome();
      await mkdir(join(home.path, 'there'));
      await writeFile(join(home.path, 'jobs', 'endpoints.yaml'), endpoints);
      await writeFile(join(home.path, 'jobs', 'drop.yaml'), job);
      for (const command of [['run', 'drop'], ['start'], ['check']])
        assertSays(await home.ferry(command), 2, ...said);
    });
  }

  test('that is not there, or empty, is told with the way to begin', async () => {
    await using home = await makeHome();
    for (const command of [['start'], ['check'], ['run', 'drop']])
      assertSays(await home.ferry(command), 2, /jobs {2}there is no job in this folder.*`ferry init`/);
    await rm(join(home.path, 'jobs'), { recursive: true });
    for (const command of [['start'], ['check'], ['run', 'drop']])
      assertSays(await home.ferry(command), 2, /jobs {2}there is no such folder.*`ferry init`/);
  });
});

describe('a server', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server[Symbol.asyncDispose]());

  /** One file to send to the server, with these settings of its endpoint; all is kept due, or waits for a person. */
  async function sends(
    settings: Readonly<Record<string, unknown>>,
    body: (home: Home) => Promise<void>,
    path = join(server.folder, 'in'),
  ): Promise<void> {
    await using home = await makeHome();
    await home.endpoints({ server: endpointOf(server, settings) });
    await home.job('drop', {
      from: './outbox',
      to: { endpoint: 'server', path },
      settle: '0s',
      after: 'delete',
    });
    await writeFile(join(home.outbox, 'f'), 'x');
    await body(home);
    assert.deepEqual(await filesOf(home.outbox), ['f'], 'the source is kept');
    await assertNoLeftovers(server.folder);
  }

  /** Both `run` and `check` say it, and the file stays due. */
  function isTold(settings: Readonly<Record<string, unknown>>, ...said: readonly RegExp[]): Promise<void> {
    return sends(settings, async (home) => {
      assertSays(await home.ferry(['check', 'server']), 3, ...said);
      const ended = await home.ferry(['run', 'drop', '--json']);
      assertSays(ended, 3, ...said);
      assert.deepEqual([ended.lines()[0]?.delivered, ended.lines()[0]?.failed], [0, 0]);
      const [row] = (await home.ferry(['history', '--json'])).lines();
      assert.deepEqual([row?.state, row?.attempts], ['due', 0]);
    });
  }

  test('whose name does not resolve', () =>
    isTold({ host: 'no-such-host.invalid' }, /no-such-host\.invalid does not exist/, /getent hosts/));

  test('where nothing listens', async () => {
    const port = await freePort();
    await isTold({ port }, new RegExp(`127\\.0\\.0\\.1:${port} refused`), /sshd|security group/);
  });

  test('that answers with HTTP, as an Application Load Balancer does', async () => {
    const web = createWeb((_, response) => response.end('hello'));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const address = web.address();
    assert.ok(typeof address === 'object' && address !== null);
    try {
      await isTold({ port: address.port }, /HTTP/, /Network Load Balancer/);
    } finally {
      web.close();
    }
  });

  test('whose host key has changed', () =>
    isTold({ hostKey: [`SHA256:${'A'.repeat(43)}`] }, /SHA256:AAAA/, /host key/, /ferry trust server/));

  test('that refuses the login', () => isTold({ user: 'nobody-here' }, /nobody-here/, /authorized_keys/));

  test('whose key has another passphrase', async () => {
    const key = await makeKey(
      join(server.folder, '..', `locked-${Math.random()}`),
      'ed25519',
      'the right one',
    );
    await isTold({ key, passphrase: 'hunter2-wrong' }, /passphrase/i);
  });

  test('that lets nothing be written into the folder', async () => {
    await using closed = await startSshd({
      sftp: '/usr/bin/setpriv --bounding-set=-dac_override,-dac_read_search -- /usr/lib/openssh/sftp-server',
    });
    const inbox = join(closed.folder, 'in');
    await mkdir(inbox);
    await chmod(inbox, 0o500);
    await sends(
      endpointOf(closed),
      async (home) => {
        assertSays(await home.ferry(['check', 'server']), 3, /write.*permission denied/i);
        const ended = await home.ferry(['run', 'drop', '--json']);
        assertSays(ended, 1, /permission denied/i, /ferry retry/);
        assert.equal(ended.lines()[0]?.failed, 1);
      },
      inbox,
    );
    await chmod(inbox, 0o700);
  });

  test('whose disk is full: tried again, then a person is asked', async () => {
    await using disk = await mountTmpfs(1_000_000);
    await sends(
      {},
      async (home) => {
        await writeContent(join(home.outbox, 'f'), 'large', 3_000_000);
        await home.job('drop', {
          from: './outbox',
          to: { endpoint: 'server', path: disk.path },
          settle: '0s',
          after: 'delete',
          retry: { attempts: 2, delay: '10ms', maxDelay: '10ms' },
        });
        const ended = await home.ferry(['run', 'drop']);
        assertSays(
          ended,
          1,
          /remote disk is full/,
          /Make room on the server\. `ferry retry` sends it again when that is mended/,
        );
        assert.deepEqual(await filesOf(disk.path), [], 'nothing of it is left');
      },
      disk.path,
    );
  });
});

describe('this host', () => {
  test('whose disk is full at the destination or in the archive says so, and keeps the source', async () => {
    await using home = await makeHome();
    await using disk = await mountTmpfs(1_000_000);
    const retry = { attempts: 2, delay: '10ms', maxDelay: '10ms' };
    await writeContent(join(home.outbox, 'f'), 'large', 3_000_000);
    await home.job('drop', { from: './outbox', to: disk.path, settle: '0s', after: 'delete', retry });
    assertSays(await home.ferry(['run', 'drop']), 1, /disk.*full|no space/i);
    assert.deepEqual([await filesOf(home.outbox), await filesOf(disk.path)], [['f'], []]);

    await mkdir(join(home.path, 'there'));
    await home.job('drop', { from: './outbox', to: './there', settle: '0s', after: { archive: disk.path } });
    assertSays(await home.ferry(['run', 'drop']), 0, /f.*(no space|full)/i);
    assert.deepEqual([await filesOf(home.outbox), await filesOf(disk.path)], [['f'], []]);
  });

  test('without space for the record does not begin', async () => {
    await using home = await makeHome();
    await using disk = await mountTmpfs(20_000);
    await mkdir(join(home.path, 'there'));
    await home.job('drop', { from: './outbox', to: './there', settle: '0s' });
    await writeFile(join(home.outbox, 'f'), 'x');
    const env = { FERRY_DATA: join(disk.path, 'data') };
    assertSays(await home.ferry(['run', 'drop'], env), 2, /full|space/i);
    assert.deepEqual(await filesOf(join(home.path, 'there')), []);
  });
});

describe('a Redis', () => {
  async function starts(redisUrl: string, code: number, ...said: readonly RegExp[]): Promise<void> {
    await using home = await makeHome();
    await mkdir(join(home.path, 'there'));
    await home.job('drop', { from: './outbox', to: './there' });
    for (const command of [['start'], ['run', 'drop']]) {
      const ended = await home.ferry(command, { REDIS_URL: redisUrl });
      assertSays(ended, code, ...said);
      assert.doesNotMatch(ended.stdout + ended.stderr, /s3cret/);
    }
  }

  test('that refuses connections', async () => {
    const port = await freePort();
    await starts(
      `redis://:s3cret@127.0.0.1:${port}`,
      3,
      /127\.0\.0\.1:\d+ cannot be reached.*ECONNREFUSED/,
      /REDIS_URL/,
    );
  });

  test('that refuses the password', async () => {
    await using redis = await startRedis('--requirepass', 'right');
    await starts(redis.url.replace('//', '//:s3cret@'), 2, /password|AUTH/i, /REDIS_URL/);
  });

  test('that may throw entries away', async () => {
    await using redis = await startRedis('--maxmemory-policy', 'allkeys-lru');
    await starts(redis.url, 2, /allkeys-lru/, /noeviction/);
  });

  test('that is too old', async () => {
    await using old = await startOldRedis('4.0.14');
    await starts(old.url, 2, /4\.0\.14.*too old/, /[Uu]pgrade/);
  });
});
