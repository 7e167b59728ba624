/** Host keys are pinned, always, against real servers with several keys, and with another key than before. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { Fault } from '../../../src/sync/errors.ts';
import { temporaryFolder } from '../../support/files.ts';
import { type HostKey, makeKey, type Sshd, startSshd } from '../../support/sshd.ts';
import { calm, entryFor, rejection, sftp } from './kit.ts';

const run = promisify(execFile);
const ANOTHER = 'AAAAC3NzaC1lZDI1NTE5AAAAIHPtT4nBJpKgKSlBBEJyGy4tl3lXpPpCz2Dn1aWmQw7S';

describe('host keys', () => {
  let sshd: Sshd;
  let ed25519: HostKey;
  let rsa: HostKey;
  const other = `SHA256:${'B'.repeat(43)}`;

  before(async () => {
    sshd = await startSshd({ hostKeys: ['ed25519', 'rsa', 'ecdsa'] });
    const [first, second] = sshd.hostKeys;
    assert.ok(first && second);
    [ed25519, rsa] = [first, second];
  });
  after(() => sshd[Symbol.asyncDispose]());

  const connects = async (more: object): Promise<void> => {
    await using session = await sftp(entryFor(sshd, more)).connect(calm.signal);
    assert.equal(session.broken, undefined);
  };
  const refuses = (more: object): Promise<Fault> =>
    rejection(sftp(entryFor(sshd, more)).connect(calm.signal));
  const knownHosts = async (...lines: readonly string[]): Promise<object> => {
    const file = join(sshd.folder, 'known_hosts');
    await writeFile(file, lines.map((line) => `${line}\n`).join(''));
    return { hostKey: [], knownHosts: file };
  };
  const at = (key: HostKey, marker = ''): string =>
    `${marker}[127.0.0.1]:${sshd.port} ${key.type} ${key.key}`;

  test('none pinned: nothing is told to the server, and the way to pin is', async () => {
    const fault = await refuses({ hostKey: [] });
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'HOST_KEY_UNKNOWN']);
    assert.equal(fault.advice, 'ferry trust server');
    assert.ok(fault.message.includes(ed25519.fingerprint));
    assert.ok(!/Accepted|authenticating user/.test(sshd.log()), 'no login was tried');
  });

  test('another key than the pinned one is refused, with both fingerprints', async () => {
    const fault = await refuses({ hostKey: [other] });
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'HOST_KEY_CHANGED']);
    assert.ok(fault.message.includes(ed25519.fingerprint) && fault.message.includes(other));
    assert.match(fault.advice ?? '', /ferry trust server/);
  });

  test('each of its keys may be the pinned one, also one that it does not show first', async () => {
    for (const key of sshd.hostKeys) await connects({ hostKey: key.fingerprint });
    await connects({ hostKey: [other, rsa.fingerprint] });
  });

  test('a known_hosts file does as well', async () => {
    await connects(await knownHosts(at(ed25519)));
    await connects(await knownHosts(at(rsa)));
    assert.equal((await refuses(await knownHosts(at(rsa).replace(':', ':1')))).code, 'HOST_KEY_UNKNOWN');
    const changed = await refuses(await knownHosts(at({ ...ed25519, key: ANOTHER })));
    assert.equal(changed.code, 'HOST_KEY_CHANGED');
  });

  test('a revoked key is refused even when it is pinned', async () => {
    const fault = await refuses({
      ...(await knownHosts(at(ed25519, '@revoked '))),
      hostKey: ed25519.fingerprint,
    });
    assert.equal(fault.code, 'HOST_KEY_REVOKED');
  });

  test('a certificate authority is refused in words', async () => {
    const fault = await refuses(await knownHosts(at(ed25519, '@cert-authority ')));
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'HOST_KEY_AUTHORITY']);
  });

  test('a known_hosts file that is missing is named', async () => {
    const fault = await refuses({ hostKey: [], knownHosts: '/nonexistent/hosts' });
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'ENOENT']);
    assert.match(fault.message, /\/nonexistent\/hosts/);
  });

  test('what ssh-keyscan prints does, hashed by itself or by ssh-keygen', async () => {
    const scan = async (...how: readonly string[]): Promise<string> =>
      (await run('ssh-keyscan', [...how, '-p', String(sshd.port), sshd.host])).stdout;
    await connects(await knownHosts(await scan()));
    const hashed = await scan('-H');
    assert.ok(!hashed.replaceAll(/^#.*$/gm, '').includes(sshd.host), 'it is hashed');
    await connects(await knownHosts(hashed));
    const more = await knownHosts(await scan(), `other.example ssh-ed25519 ${ANOTHER}`);
    await run('ssh-keygen', ['-q', '-H', '-f', join(sshd.folder, 'known_hosts')]);
    await connects(more);
  });

  test('several files count together, and a revocation in any of them', async () => {
    const one = join(sshd.folder, 'one');
    await writeFile(one, `${at(ed25519, '@revoked ')}\n`);
    const { knownHosts: two } = { knownHosts: '', ...(await knownHosts(at(ed25519), at(rsa))) };
    assert.equal((await refuses({ hostKey: [], knownHosts: [two, one] })).code, 'HOST_KEY_REVOKED');
    await writeFile(one, '# nothing\n');
    await connects({ hostKey: [], knownHosts: [one, two] });
  });

  test('one that is known on the usual port is taken, and one under an alias', async () => {
    await connects(await knownHosts(`127.0.0.1 ${ed25519.type} ${ed25519.key}`));
    const alias = await knownHosts(`cluster ${ed25519.type} ${ed25519.key}`);
    assert.equal((await refuses(alias)).code, 'HOST_KEY_UNKNOWN');
    await connects({ ...alias, hostKeyAlias: 'cluster' });
    const stranger = await knownHosts(`127.0.0.1 ${ed25519.type} ${ANOTHER}`);
    assert.equal((await refuses(stranger)).code, 'HOST_KEY_UNKNOWN', 'it never was another one on this port');
  });

  test('a revoked one is not shown to be pinned', async () => {
    const revoked = await knownHosts(at(ed25519, '@revoked '));
    const fault = await rejection(sftp(entryFor(sshd, revoked)).hostKeys(calm));
    assert.equal(fault.code, 'HOST_KEY_REVOKED');
  });

  test('a host certificate is not taken for what it is not: the plain key must be pinned', async () => {
    await using folder = await temporaryFolder('certified');
    const host = await makeKey(join(folder.path, 'host'));
    const authority = await makeKey(join(folder.path, 'authority'));
    await run('ssh-keygen', ['-q', '-s', authority, '-I', 'host', '-h', `${host}.pub`]);
    await using certified = await startSshd({
      hostKeyFiles: [host],
      config: [`HostCertificate ${host}-cert.pub`],
    });
    const file = join(folder.path, 'known_hosts');
    await writeFile(file, `@cert-authority * ${await readFile(`${authority}.pub`, 'utf8')}`);
    const trusts = { hostKey: [], knownHosts: file };
    const fault = await rejection(sftp(entryFor(certified, trusts)).connect(calm.signal));
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'HOST_KEY_AUTHORITY']);
    assert.match(fault.advice ?? '', /ferry trust server/);
    const both = { ...trusts, hostKey: certified.hostKeyFingerprint };
    await using session = await sftp(entryFor(certified, both)).connect(calm.signal);
    assert.equal(session.broken, undefined);
  });

  test('all of them are shown for `ferry trust`, without a login', async () => {
    const entry = entryFor(sshd, { hostKey: rsa.fingerprint, key: '/nonexistent/key' });
    const seen = await sftp(entry).hostKeys(calm);
    assert.deepEqual(
      new Set(seen.map((key) => `${key.type} ${key.fingerprint} ${key.pinned}`)),
      new Set(sshd.hostKeys.map((key) => `${key.type} ${key.fingerprint} ${key === rsa}`)),
    );
    assert.equal(seen[0]?.type, 'ssh-ed25519', 'the preferred one first');
  });

  test('only those of the one kind that a server has', async () => {
    await using small = await startSshd({ hostKeys: ['ecdsa'] });
    const seen = await sftp(entryFor(small)).hostKeys(calm);
    assert.deepEqual(seen, [
      { type: 'ecdsa-sha2-nistp256', fingerprint: small.hostKeyFingerprint, pinned: true },
    ]);
    await using session = await sftp(entryFor(small)).connect(calm.signal);
    assert.equal(session.broken, undefined);
  });
});
