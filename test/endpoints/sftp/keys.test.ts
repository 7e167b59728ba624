/** Private keys in each format that OpenSSH and OpenSSL write, against a real sshd, and what a server asks of them. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { openSshKey } from '../../../src/endpoints/sftp/openssh-key.ts';
import { strings } from '../../../src/endpoints/sftp/ssh-bytes.ts';
import type { Fault } from '../../../src/sync/errors.ts';
import { type TemporaryFolder, temporaryFolder } from '../../support/files.ts';
import { puttyKey } from '../../support/puttygen.ts';
import { makeKey, type Sshd, startSshd } from '../../support/sshd.ts';
import { calm, entryFor, rejection, sftp } from './kit.ts';

const run = promisify(execFile);
const SECRET = 'open sesame';

/** What ssh-keygen is told, by the name of the file. */
const OPENSSH: Readonly<Record<string, readonly string[]>> = {
  'openssh-ed25519': ['-t', 'ed25519'],
  'openssh-rsa': ['-t', 'rsa', '-b', '2048'],
  'openssh-ecdsa256': ['-t', 'ecdsa', '-b', '256'],
  'openssh-ecdsa521': ['-t', 'ecdsa', '-b', '521'],
  'openssh-gcm': ['-t', 'ed25519', '-Z', 'aes256-gcm@openssh.com'],
  'pkcs1-rsa': ['-t', 'rsa', '-b', '2048', '-m', 'PEM'],
  'sec1-ecdsa384': ['-t', 'ecdsa', '-b', '384', '-m', 'PEM'],
  'pkcs8-rsa': ['-t', 'rsa', '-b', '3072', '-m', 'PKCS8'],
  'pkcs8-ecdsa': ['-t', 'ecdsa', '-b', '256', '-m', 'PKCS8'],
};

describe('a private key', () => {
  let keys: TemporaryFolder;
  let sshd: Sshd;
  const at = (name: string): string => join(keys.path, name);

  before(async () => {
    keys = await temporaryFolder('formats');
    const made = Object.entries(OPENSSH).flatMap(([name, how]) =>
      ['', SECRET].map(async (secret) => {
        const file = at(secret === '' ? name : `${name}.secret`);
        await run('ssh-keygen', ['-q', ...how, '-N', secret, '-f', file]);
        return await readFile(`${file}.pub`, 'utf8');
      }),
    );
    for (const [name, cipher] of [
      ['pkcs8-ed25519', []],
      ['pkcs8-ed25519.secret', ['-aes256', '-pass', `pass:${SECRET}`]],
    ] as const) {
      await run('openssl', ['genpkey', '-algorithm', 'ed25519', ...cipher, '-out', at(name)]);
      made.push(publicHalf(at(name)));
    }
    sshd = await startSshd({ authorized: await Promise.all(made) });
  });
  after(async () => {
    await sshd[Symbol.asyncDispose]();
    await keys[Symbol.asyncDispose]();
  });

  /** OpenSSH 9.2 cannot read it, so that OpenSSL tells the public half. */
  const publicHalf = async (file: string): Promise<string> => {
    const how = ['pkey', '-in', file, '-passin', `pass:${SECRET}`, '-pubout', '-outform', 'DER'];
    const { stdout } = await run('openssl', how, { encoding: 'buffer' });
    return `ssh-ed25519 ${strings('ssh-ed25519', stdout.subarray(-32)).toString('base64')}`;
  };
  const logsIn = async (server: Sshd, more: object, env = {}): Promise<void> => {
    await using session = await sftp(entryFor(server, more), { env }).connect(calm.signal);
    assert.equal(session.broken, undefined);
  };
  const fails = async (more: object, code: string, server = sshd): Promise<Fault> => {
    const fault = await rejection(sftp(entryFor(server, more)).connect(calm.signal));
    assert.deepEqual([fault.kind, fault.code], ['rejected', code], fault.message);
    assert.ok(fault.advice, 'says what to do');
    assert.doesNotMatch(`${fault.message} ${fault.advice}`, /sesame/, 'tells no secret');
    return fault;
  };

  for (const name of [...Object.keys(OPENSSH), 'pkcs8-ed25519']) {
    test(`in the form ${name} logs in, encrypted or not`, async () => {
      await logsIn(sshd, { key: at(name) });
      const key = at(`${name}.secret`);
      await logsIn(sshd, { key, passphrase: SECRET });
      await fails({ key }, 'KEY_PASSPHRASE');
      await fails({ key, passphrase: 'not sesame' }, 'KEY_PASSPHRASE');
    });
  }

  test('that lies on a security key is refused by its kind', async () => {
    const type = 'sk-ssh-ed25519@openssh.com';
    const pub = strings(type, Buffer.alloc(32, 1), 'ssh:');
    const stub = Buffer.concat([
      strings(Buffer.alloc(32, 1), 'ssh:'),
      Buffer.from([1]),
      strings('handle', ''),
    ]);
    await writeFile(at('sk'), openSshKey(type, pub, stub), { mode: 0o600 });
    const { stdout } = await run('ssh-keygen', ['-l', '-f', at('sk')]);
    assert.match(stdout, /ED25519-SK/, 'OpenSSH takes it for one');
    const fault = await fails({ key: at('sk') }, 'KEY_TYPE');
    assert.match(fault.message, /lies on a security key/);
    assert.match(fault.advice ?? '', /unattended/);
  });

  test('is not its public half, a certificate, or a key of another kind of program', async () => {
    const pub = await fails({ key: at('openssh-rsa.pub') }, 'KEY_PUBLIC');
    assert.match(pub.message, /openssh-rsa\.pub of server is a public key/);
    const { stdout: rfc4716 } = await run('ssh-keygen', ['-e', '-f', at('openssh-rsa.pub')]);
    const { stdout: pem } = await run('ssh-keygen', ['-e', '-m', 'PKCS8', '-f', at('openssh-rsa.pub')]);
    const certificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
    for (const [name, text] of Object.entries({ rfc4716, pem, certificate })) {
      await writeFile(at(name), text);
      await fails({ key: at(name) }, 'KEY_PUBLIC');
    }
    await makeKey(at('authority'));
    await run('cp', [at('openssh-ed25519.pub'), at('certified.pub')]);
    await run('ssh-keygen', ['-q', '-s', at('authority'), '-I', 'id', at('certified.pub')]);
    assert.match((await fails({ key: at('certified-cert.pub') }, 'KEY_PUBLIC')).message, /is a certificate/);
    await puttyKey(at('for-tectia'), { type: ['rsa', '2048'] });
    await run('puttygen', [at('for-tectia'), '-O', 'private-sshcom', '-o', at('tectia')]);
    assert.match((await fails({ key: at('tectia') }, 'KEY_FORMAT')).message, /Tectia/);
  });

  describe('of RSA', () => {
    // As on RHEL 9, where SHA-1 is not accepted for signatures any more.
    for (const accepted of ['-ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512']) {
      test(`signs with SHA-2 where a server asks for it (${accepted})`, async () => {
        const authorized = [await readFile(at('openssh-rsa.pub'), 'utf8')];
        await using server = await startSshd({
          authorized,
          config: [`PubkeyAcceptedAlgorithms ${accepted}`],
        });
        await logsIn(server, { key: at('openssh-rsa') });
        if (accepted === 'rsa-sha2-512') return; // by an agent, ssh2 signs with the first that the server knows
        const socket = at(`agent${accepted}`);
        const { stdout } = await run('ssh-agent', ['-a', socket, '-s']);
        try {
          await run('ssh-add', ['-q', at('openssh-rsa')], { env: { SSH_AUTH_SOCK: socket } });
          await logsIn(server, { key: undefined, agent: socket });
        } finally {
          process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(stdout)?.[1]));
        }
      });
    }

    test('uses up no more of the tries that a server allows than it must', async () => {
      const authorized = [await readFile(at('openssh-ecdsa256.pub'), 'utf8')];
      await using server = await startSshd({ authorized, config: ['MaxAuthTries 5'] });
      const strangers = ['openssh-rsa', 'openssh-rsa.secret', 'pkcs1-rsa', 'pkcs8-rsa'].map(at);
      await logsIn(server, { key: [...strangers, at('openssh-ecdsa256')], passphrase: SECRET });
    });

    test('is refused by a server that knows only SHA-1 no more than by ssh itself', async () => {
      const authorized = [await readFile(at('openssh-rsa.pub'), 'utf8')];
      await using server = await startSshd({ authorized, config: ['PubkeyAcceptedAlgorithms ssh-ed25519'] });
      const fault = await fails({ key: at('openssh-rsa') }, 'LOGIN_REFUSED', server);
      assert.match(fault.message, /openssh-rsa \(ssh-rsa\)/);
      assert.match(fault.advice ?? '', /ed25519 key avoids/);
    });
  });

  test('is not enough where only certificates are trusted, and the fault says so', async () => {
    await makeKey(at('ca'));
    const name = at('openssh-ecdsa256');
    await run('ssh-keygen', ['-q', '-s', at('ca'), '-I', 'id', '-n', sshd.user, `${name}.pub`]);
    await using server = await startSshd({ config: [`TrustedUserCAKeys ${at('ca')}.pub`] });
    const fault = await fails({ key: name }, 'LOGIN_REFUSED', server);
    assert.ok(fault.message.includes(`not its certificate ${name}-cert.pub`), fault.message);
    assert.match(fault.advice ?? '', /TrustedUserCAKeys/);
  });

  test('may be a restricted one; what its restriction forbids is named', async () => {
    const key = at('openssh-rsa');
    const line = (await readFile(`${key}.pub`, 'utf8')).trim();
    {
      await using server = await startSshd({ authorized: [`restrict ${line}`] });
      await logsIn(server, { key });
    }
    {
      await using server = await startSshd({ authorized: [`restrict,command="/bin/false" ${line}`] });
      const fault = await rejection(sftp(entryFor(server, { key })).connect(calm.signal));
      assert.equal(fault.code, 'SFTP_CUT');
      assert.match(fault.advice ?? '', /authorized_keys forces another command/);
    }
    await using server = await startSshd({ authorized: [`from="192.0.2.1" ${line}`] });
    assert.match((await fails({ key }, 'LOGIN_REFUSED', server)).advice ?? '', /from="…"/);
  });

  test('that is restricted opens no way through a jump host, and the fault names the restriction', async () => {
    const key = at('openssh-rsa');
    const line = (await readFile(`${key}.pub`, 'utf8')).trim();
    await using jump = await startSshd({ authorized: [`restrict ${line}`] });
    const hop = sftp(entryFor(jump, { key }), { name: 'bastion' });
    const app = sftp(entryFor(sshd, { via: 'bastion' }), { other: async () => hop });
    const fault = await rejection(app.connect(calm.signal));
    assert.equal(fault.code, 'FORWARDING_PROHIBITED');
    assert.match(fault.advice ?? '', /"restrict" in authorized_keys needs "port-forwarding"/);
  });
});
