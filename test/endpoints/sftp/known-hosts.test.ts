import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { knownHostsFor } from '../../../src/endpoints/sftp/known-hosts.ts';
import { temporaryFolder } from '../../support/files.ts';

const run = promisify(execFile);
const KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIHPtT4nBJpKgKSlBBEJyGy4tl3lXpPpCz2Dn1aWmQw7S';
const SERVER = { host: 'server', port: 22 };
const line = (hosts: string, marker = ''): string => `${marker}${hosts} ssh-ed25519 ${KEY} comment`;
const trusts = (text: string, host: string, port = 22): boolean =>
  knownHostsFor(text, { host, port }).trusted.some(({ key }) => key === KEY);

describe('a known_hosts file', () => {
  test('knows names, lists, ports and patterns', () => {
    assert.ok(trusts(line('server.example'), 'server.example'));
    assert.ok(trusts(line('Server.Example'), 'sERVER.eXAMPLE'), 'case does not matter');
    assert.ok(trusts(line('other,10.0.0.7'), '10.0.0.7'));
    assert.ok(trusts(line('[server]:2222'), 'server', 2222));
    assert.ok(!trusts(line('server'), 'server', 2222));
    assert.ok(!trusts(line('[server]:2222'), 'server'));
    assert.ok(trusts(line('*.example,!bad.example'), 'good.example'));
    assert.ok(!trusts(line('*.example,!bad.example'), 'bad.example'));
    assert.ok(trusts(line('host?.example'), 'host1.example'));
    assert.ok(!trusts(line('server.example'), 'serverxexample'), 'a dot is a dot');
  });

  test('gives ssh what it has of the usual port, for another one that it does not name', () => {
    const usual = (text: string): number =>
      knownHostsFor(text, { host: 'server', port: 2222 }).onUsualPort.length;
    assert.equal(usual(line('server')), 1);
    assert.equal(usual(line('other')), 0);
    assert.equal(usual(line('[server]:2222')), 0, 'this one is exact');
    const revoked = knownHostsFor(line('server', '@revoked '), { host: 'server', port: 2222 });
    assert.equal(
      revoked.revoked.length,
      1,
      'a key that is not to be trusted there is not to be trusted here',
    );
  });

  test('is asked for an alias as it is, whatever the port', () => {
    assert.equal(knownHostsFor(line('cluster'), { alias: 'cluster' }).trusted.length, 1);
    assert.equal(knownHostsFor(line('[cluster]:2222'), { alias: 'cluster' }).trusted.length, 0);
  });

  test('passes over what it cannot read', () => {
    const text = ['# comment', '', 'garbage', '   ', line('server'), 'half ssh-ed25519'].join('\r\n');
    assert.ok(trusts(text, 'server'));
    assert.equal(knownHostsFor(text, SERVER).trusted.length, 1);
  });

  test('tells revoked keys and authorities from trusted keys', () => {
    const text = [line('server', '@revoked '), line('*', '@cert-authority ')].join('\n');
    const known = knownHostsFor(text, SERVER);
    assert.deepEqual([known.trusted.length, known.revoked.length, known.authority], [0, 1, true]);
    assert.equal(knownHostsFor(line('other', '@cert-authority '), SERVER).authority, false);
  });

  test('knows names that ssh-keygen has hashed', async () => {
    await using folder = await temporaryFolder('hosts');
    const file = join(folder.path, 'known_hosts');
    await writeFile(file, `${line('secret.example')}\n${line('[secret.example]:2022')}\n`);
    await run('ssh-keygen', ['-H', '-f', file]);
    const text = await readFile(file, 'utf8');
    assert.ok(!text.includes('secret.example'), 'it is hashed');
    assert.ok(trusts(text, 'secret.example'));
    assert.ok(trusts(text, 'secret.example', 2022));
    assert.ok(!trusts(text, 'secret.example', 2023));
    assert.ok(!trusts(text, 'other.example'));
  });
});
