/** What an entry takes from an ssh_config, compared with what OpenSSH itself makes of it (`ssh -G`). */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { Filled } from '../../../src/config/values.ts';
import { fillFromSshConfig } from '../../../src/endpoints/sftp/ssh-config.ts';
import { type TemporaryFolder, temporaryFolder } from '../../support/files.ts';

const run = promisify(execFile);

/** Nothing but the alias; several places that say something; the first one counts. */
const CONFIG = `
# A comment
Include more/*.conf missing.conf
Host app app-*
    HostName %h.example.com
    Port=2222
    User "deploy"
    IdentityFile FOLDER/key one
    IdentityFile FOLDER/key-two
    ConnectTimeout 1m30s
    Port 9

Host app-old
  hostname = old.example.com # it moved
  PORT 2022
  BindAddress 127.0.0.2
  AddressFamily inet
  HostKeyAlias old

Host *.example !bad.example
  User pattern
Match host *.example.com,other exec false
  User never
Match host *.example.com user deploy
  ServerAliveInterval 45
Match originalhost app !user deploy
  ServerAliveInterval 99
Match user nobody
  Port 1
Match final host old.example.com
  IdentitiesOnly yes
Match localuser LOCAL originalhost jumped
  ProxyJump ops@[2001:db8::1]:2200,inner
  ProxyCommand never
Host jumped commanded
  ProxyCommand nc -X 5 "%h"  %p # not a comment
  UserKnownHostsFile FOLDER/hosts "FOLDER/more hosts"
  GlobalKnownHostsFile none
Host *
  ServerAliveInterval 15
  User fallback
`;

describe('an entry with sshConfig', () => {
  let folder: TemporaryFolder;
  let file: string;
  const at = (name: string): string => join(folder.path, name);

  before(async () => {
    folder = await temporaryFolder('ssh-config');
    file = at('config');
    const text = (template: string): string =>
      template
        .replaceAll('FOLDER', folder.path)
        .replaceAll('LOCAL', userInfo().username)
        .replaceAll('key one', 'key-one');
    await writeFile(file, text(CONFIG).replace('more/*.conf', at('more/*.conf')));
    await mkdir(at('more'));
    await writeFile(at('more/2.conf'), 'Host included\n  User second\n  Port 22\nHost *\n');
    await writeFile(at('more/1.conf'), 'Host included\n  User first\n');
    await writeFile(at('more/.3.conf'), 'Host included\n  Port 3\n');
    for (const key of ['key-one', 'key-two']) await writeFile(at(key), '');
  });
  after(() => folder[Symbol.asyncDispose]());

  const fill = (
    host: string,
    more: object = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<Filled> =>
    fillFromSshConfig(
      { sshConfig: { host, file }, ...more },
      { name: 'app-server', base: '/project', home: homedir(), env },
    );

  /** What ssh says of a host, by keyword. */
  const ssh = async (host: string): Promise<ReadonlyMap<string, readonly string[]>> => {
    const { stdout } = await run('ssh', ['-G', '-F', file, host]);
    const said = new Map<string, string[]>();
    for (const line of stdout.trim().split('\n')) {
      const [keyword = '', ...rest] = line.split(' ');
      said.set(keyword, [...(said.get(keyword) ?? []), rest.join(' ')]);
    }
    return said;
  };

  for (const host of [
    'app',
    'app-old',
    'app-new',
    'any.example',
    'bad.example',
    'included',
    'jumped',
    'commanded',
    'else',
  ]) {
    test(`is as ssh has it: ${host}`, async () => {
      const said = await ssh(host);
      const one = (keyword: string): string | undefined => said.get(keyword)?.[0];
      const { entry, problems } = await fill(host);
      assert.deepEqual(problems, []);
      assert.equal(entry.host, one('hostname'));
      assert.equal(String(entry.port ?? 22), one('port'));
      assert.equal(entry.user, one('user'));
      assert.equal(entry.keepAlive ?? '0s', `${one('serveraliveinterval')}s`);
      assert.equal(
        entry.connectTimeout,
        one('connecttimeout') === 'none' ? undefined : `${one('connecttimeout')}s`,
      );
      assert.equal(entry.bindAddress, one('bindaddress'));
      assert.equal(entry.addressFamily ?? 'any', one('addressfamily'));
      assert.equal(entry.hostKeyAlias, one('hostkeyalias'));
      const shell = one('proxycommand');
      assert.deepEqual(entry.proxyCommand, shell === undefined ? undefined : { shell });
      if (host.startsWith('app')) assert.deepEqual(entry.key, said.get('identityfile'));
      assert.equal([entry.via ?? []].flat().length, one('proxyjump')?.split(',').length ?? 0);
      const files = [one('userknownhostsfile'), one('globalknownhostsfile')].filter(
        (name) => name !== 'none',
      );
      assert.equal([entry.knownHosts].flat().join(' '), files.join(' '));
    });
  }

  test('runs no command of Match exec, and says so', async () => {
    await writeFile(at('exec'), `Match exec "touch ${at('ran')}"\n  User evil\nHost app\n  User good\n`);
    const filled = await fill('app', { sshConfig: { host: 'app', file: at('exec') } });
    assert.equal(filled.entry.user, 'good');
    assert.match(filled.warnings.join(), /exec:1: taken not to fit: Ferry runs no command for "Match exec"/);
    await assert.rejects(access(at('ran')));
  });

  test('keeps what it says itself', async () => {
    const { entry, hops } = await fill('jumped', {
      host: 'here',
      user: 'me',
      port: 7,
      key: './k',
      knownHosts: './h',
    });
    assert.deepEqual(
      [entry.host, entry.user, entry.port, entry.key, entry.knownHosts],
      ['here', 'me', 7, './k', './h'],
    );
    assert.equal(hops.size, 2);
    const direct = await fill('jumped', { proxyCommand: 'mine' });
    assert.deepEqual([direct.entry.proxyCommand, direct.entry.via, direct.hops.size], ['mine', undefined, 0]);
    const tunnel = await fill('app', { road: { eice: {} }, ephemeralKey: {} });
    assert.deepEqual(
      [tunnel.entry.host, tunnel.entry.key, tunnel.entry.user],
      [undefined, undefined, 'deploy'],
    );
    const old = await fill('app-old', { connectTimeout: '5s' });
    assert.equal(old.entry.connectTimeout, '5s');
  });

  test('has jump hosts with settings of their own from the same file', async () => {
    await writeFile(
      at('jumps'),
      `Host app\n  HostName ops\n  ProxyJump %h@bastion:2200,inner\nHost bastion\n  HostName 192.0.2.1\n  User nobody\n  IdentityFile ${at('key-one')}\n  ProxyJump front\nHost inner\n  User inner\n  ProxyJump nowhere\nHost *\n  IdentityFile ${at('key-two')}\n`,
    );
    const { entry, files, hops, warnings } = await fill('app', {
      sshConfig: { host: 'app', file: at('jumps') },
      passphrase: 'open sesame',
    });
    const [bastion, inner, front] = ['ops@bastion:2200', 'inner', 'front'].map(
      (name) => `${name} (for app-server)`,
    );
    assert.deepEqual(entry.via, [bastion, inner]);
    assert.deepEqual([...hops.keys()].toSorted(), [bastion, inner, front].toSorted());
    const outer = hops.get(bastion ?? '');
    assert.deepEqual(
      [outer?.host, outer?.port, outer?.user, outer?.via],
      ['192.0.2.1', 2200, 'ops', [front]],
    );
    assert.deepEqual([outer?.key, outer?.passphrase], [[at('key-one'), at('key-two')], 'open sesame']);
    assert.equal(hops.get(inner ?? '')?.via, undefined, 'it is reached through the one before it');
    assert.match(warnings.join(), /there is no Host "front"/);
    assert.deepEqual(
      files.toSorted(),
      [at('jumps'), at('key-one'), at('key-two')].toSorted(),
      'all are watched',
    );
  });

  test('finds an agent as ssh does', async () => {
    const agent = async (
      lines: string,
      env: Readonly<Record<string, string>>,
      more = {},
    ): Promise<unknown> => {
      await writeFile(at('agents'), `Host app\n${lines}`);
      return (await fill('app', { sshConfig: { host: 'app', file: at('agents') }, ...more }, env)).entry
        .agent;
    };
    const env = { SSH_AUTH_SOCK: '/run/agent', OTHER: '/run/other' };
    assert.equal(await agent('', env), true);
    assert.equal(await agent('', {}), undefined);
    assert.equal(await agent('', env, { key: './k' }), undefined, 'there is a key, and none was asked for');
    assert.equal(await agent('  IdentityAgent none\n', env), undefined);
    assert.equal(await agent('  IdentityAgent SSH_AUTH_SOCK\n', env), true);
    assert.equal(await agent('  IdentityAgent $OTHER\n', env), '/run/other');
    // biome-ignore lint/suspicious/noTemplateCurlyInString: ssh writes variables so
    assert.equal(await agent('  IdentityAgent "${OTHER}.%r"\n  User me\n', env), '/run/other.me');
    assert.equal(await agent('  IdentityAgent ~/agent\n', env), join(homedir(), 'agent'));
  });

  test('names file and line of what makes no sense', async () => {
    await writeFile(
      at('wrong'),
      'Host app\n  Port none\n  ConnectTimeout soon\n  Ciphers 3des-cbc\n  IdentityFile %z/key\n  ProxyJump a b\n  HostName\n  User "half\n',
    );
    const { problems } = await fill('app', { sshConfig: { host: 'app', file: at('wrong') } });
    const lines = problems.map(
      (problem) => /wrong:(\d+): (.*)/.exec(problem)?.slice(1, 3).join(' ') ?? problem,
    );
    assert.deepEqual(
      lines.toSorted().map((line) => line.slice(0, 22)),
      [
        '2 Port none is not a p',
        '3 soon is not a time',
        '4 Ferry knows none of ',
        '5 %z stands for nothin',
        '6 ProxyJump a b is not',
        '7 HostName has no valu',
        '8 User has no value, o',
      ],
    );
    const missing = await fill('app', { sshConfig: { host: 'app', file: at('nothing') } });
    assert.deepEqual(missing.problems, [`${at('nothing')}: there is no such file`]);
    await writeFile(at('circle'), `Include ${at('circle')}\n`);
    const circle = await fill('app', { sshConfig: { host: 'app', file: at('circle') } });
    assert.match(circle.problems.join(), /Include goes too deep/);
  });

  test('warns of what Ferry does otherwise, and passes over what does not matter', async () => {
    await writeFile(
      at('notes'),
      'Host app\n  StrictHostKeyChecking no\n  CertificateFile x-cert.pub\n  KexAlgorithms +x\n  IdentityFile ~/.ssh/nothing\n  ControlMaster auto\n  GSSAPIAuthentication yes\n  PreferredAuthentications publickey,password\n  CanonicalizeHostname no\n  Whatever yes\nMatch tagged x\n  Port 1\n',
    );
    const { warnings, entry } = await fill('app', { sshConfig: { host: 'app', file: at('notes') } });
    assert.equal(entry.port, undefined);
    const told = warnings.join('\n');
    for (const part of [
      'StrictHostKeyChecking',
      'CertificateFile',
      'KexAlgorithms',
      '~/.ssh/nothing does not exist',
      '"Match tagged"',
    ])
      assert.ok(told.includes(part), `${part} in ${told}`);
    assert.equal(warnings.length, 5, told);
    const typo = await fill('apq', { sshConfig: { host: 'apq', file: at('notes') } });
    assert.match(typo.warnings.join(), /there is no Host "apq" in .*notes/);
  });

  test('takes the ciphers that Ferry has, in the order that is asked for', async () => {
    const ciphers = async (list: string): Promise<unknown> => {
      await writeFile(at('ciphers'), `Host app\n  Ciphers ${list}\n`);
      return (await fill('app', { sshConfig: { host: 'app', file: at('ciphers') } })).entry.ciphers;
    };
    assert.deepEqual(await ciphers('aes256-ctr,3des-cbc,aes128-ctr'), ['aes256-ctr', 'aes128-ctr']);
    assert.equal([await ciphers('-aes*-ctr')].flat().length, 3);
    assert.equal([await ciphers('^aes256-ctr')].flat()[0], 'aes256-ctr');
    assert.equal([await ciphers('+3des-cbc')].flat().length, 6);
  });
});
