/** `sshConfig` on the command line: with one ssh_config, Ferry gets where ssh itself gets. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { type Home, makeHome } from '../support/ferry.ts';
import { makeKey, type Sshd, startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);

describe('an endpoint that takes its settings from an ssh_config', () => {
  let home: Home;
  let target: Sshd;
  let outer: Sshd;
  let inner: Sshd;
  let env: Readonly<Record<string, string>>;
  const at = (name: string): string => join(home.path, '.ssh', name);

  before(async () => {
    home = await makeHome();
    await mkdir(at(''));
    env = { HOME: home.path, SSH_AUTH_SOCK: '' };
    const ownKey = await makeKey(at('app'), 'ed25519');
    const forwarding = { sftp: false, config: ['MaxSessions 0'] } as const;
    [target, outer, inner] = await Promise.all([
      startSshd({ authorized: [await readFile(`${ownKey}.pub`, 'utf8')] }),
      startSshd(forwarding),
      startSshd(forwarding),
    ]);
    await knowAll();
    await writeFile(
      at('config'),
      `Include hosts/*.conf
Host app
  HostName 127.0.0.1
  Port ${target.port}
  User ${target.user}
  IdentityFile ${ownKey}
  ProxyJump outer,${inner.user}@inner:${inner.port}
Host *
  UserKnownHostsFile ${at('known_hosts')}
  GlobalKnownHostsFile none
  IdentitiesOnly yes
  ControlMaster auto
`,
    );
    await mkdir(at('hosts'));
    await writeFile(
      at('hosts/jumps.conf'),
      `Host outer
  HostName 127.0.0.1
  Port ${outer.port}
  User ${outer.user}
  IdentityFile ${outer.keyFile}
Host inner
  HostName 127.0.0.1
  Port 9
  IdentityFile ${inner.keyFile}
`,
    );
    await home.endpoints({ app: { type: 'sftp', sshConfig: 'app' } });
    await home.job('out', { from: './outbox', to: { endpoint: 'app', path: 'in' }, settle: '0s' });
  });
  after(async () => {
    for (const sshd of [target, outer, inner]) await sshd[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const knowAll = async (...servers: readonly Sshd[]): Promise<void> => {
    const all = servers.length > 0 ? servers : [target, outer, inner];
    const scans = all.map((sshd) => run('ssh-keyscan', ['-H', '-p', String(sshd.port), sshd.host]));
    await writeFile(at('known_hosts'), (await Promise.all(scans)).map(({ stdout }) => stdout).join(''));
  };

  test('is reached as ssh reaches it: through its jump hosts, with the keys of each', async () => {
    // ssh takes the home folder from the system: what its default file would include is included by hand.
    const whole = `${await readFile(at('hosts/jumps.conf'), 'utf8')}\n${await readFile(at('config'), 'utf8')}`;
    await writeFile(at('for-ssh'), whole.replace('Include hosts/*.conf', ''));
    await run('ssh', ['-F', at('for-ssh'), '-o', 'BatchMode=yes', '-o', 'ControlPath=none', 'app', 'true']);

    await writeFile(join(home.outbox, 'file.txt'), 'through two jump hosts');
    const ended = await home.ferry(['run', 'out'], env);
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(await readFile(join(target.folder, 'in/file.txt'), 'utf8'), 'through two jump hosts');
    for (const sshd of [outer, inner])
      await until('the login to be told', () => sshd.log().includes('Accepted publickey'));
  });

  test('is walked by check, its jump hosts named as they are in the file', async () => {
    const ended = await home.ferry(['check', 'app'], env);
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    assert.match(ended.stdout, /outer \(for app\)/);
  });

  test('is not spoken to while a jump host is not in known_hosts; once trusted, it is', async () => {
    await knowAll(target, outer);
    const ended = await home.ferry(['check', 'app', '--json'], env);
    assert.equal(ended.code, 3);
    const broken = ended.lines().find((line) => line.ok === false);
    assert.match(String(broken?.saw), /host key of \S+ \(for app\) is not pinned/);
    assert.match(String(broken?.advice), /log in there once by hand.*ssh \S+@inner -p \d+/);
    await knowAll(outer, inner);
    const trusted = await home.ferry(['trust', 'app', '--yes'], env);
    assert.equal(trusted.code, 0, trusted.stderr);
    const file = await readFile(join(home.path, 'jobs/endpoints.yaml'), 'utf8');
    assert.ok(file.includes(target.hostKeyFingerprint), file);
    const now = await home.ferry(['check', 'app'], env);
    assert.equal(now.code, 0, now.stdout + now.stderr);
    await knowAll();
  });

  test('has its problems told with file and line, in both files', async () => {
    const config = await readFile(at('config'), 'utf8');
    await writeFile(at('config'), `${config}Host wrong\n  Port none\n  ProxyJump wrong\n`);
    try {
      await home.endpoints({
        app: { type: 'sftp', sshConfig: 'app' },
        wrong: { type: 'sftp', sshConfig: 'wrong', password: 'open sesame' },
        nowhere: { type: 'sftp', sshConfig: { host: 'app', file: './nothing' } },
        mistyped: { type: 'sftp', sshConfig: { hots: 'app' } },
      });
      const ended = await home.ferry(['check'], env);
      assert.equal(ended.code, 2, ended.stderr);
      const told = ended.stderr;
      const lines = config.split('\n').length;
      assert.match(
        told,
        new RegExp(`endpoints\\.yaml:\\d+:\\d+ +wrong: sshConfig: ~/\\.ssh/config:${lines + 1}: Port none`),
      );
      assert.match(told, /wrong: .*circle/);
      assert.match(told, /nowhere: sshConfig: \S+nothing: there is no such file/);
      assert.match(told, /mistyped: .*hots/);
      assert.doesNotMatch(told, /sesame|host is missing/);
    } finally {
      await writeFile(at('config'), config);
      await home.endpoints({ app: { type: 'sftp', sshConfig: 'app' } });
    }
  });

  test('is made anew when the file changes under a running worker', async () => {
    const worker = await home.worker(env);
    try {
      const page = async (): Promise<string> => await (await fetch(`http://${home.http}/`)).text();
      assert.ok((await page()).includes(`${target.user}@127.0.0.1`));
      const config = await readFile(at('config'), 'utf8');
      await writeFile(at('config'), config.replace('Host app\n', 'Host app\n  User somebody\n'));
      const taken = async (): Promise<boolean> => (await page()).includes('somebody@127.0.0.1');
      await until('the other user to be taken', taken, { timeoutMs: 60_000 });
    } finally {
      await worker.stop();
    }
  });
});
