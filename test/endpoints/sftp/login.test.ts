/** Logging in by key, agent, password and keyboard-interactive, and what is said when a key or a login is no good. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import type { Fault } from '../../../src/sync/errors.ts';
import { type TemporaryFolder, temporaryFolder } from '../../support/files.ts';
import { hostKeyOf, makeKey, type Sshd, startSshd } from '../../support/sshd.ts';
import { calm, entryFor, rejection, sftp } from './kit.ts';

const run = promisify(execFile);

describe('a login', () => {
  let keys: TemporaryFolder;
  let sshd: Sshd;
  const at = (name: string): string => join(keys.path, name);

  before(async () => {
    keys = await temporaryFolder('keys');
    const files = await Promise.all([
      makeKey(at('ed25519'), 'ed25519', 'open sesame'),
      makeKey(at('rsa'), 'rsa'),
      makeKey(at('ecdsa'), 'ecdsa'),
      makeKey(at('stranger'), 'rsa'),
    ]);
    await run('openssl', ['genrsa', '-aes128', '-passout', 'pass:pkcs8', '-out', at('pkcs8'), '2048']);
    await run('openssl', ['genrsa', '-traditional', '-out', at('pkcs1'), '2048']);
    for (const [name, pass] of [
      ['pkcs8', 'pkcs8'],
      ['pkcs1', ''],
    ] as const) {
      const { stdout } = await run('ssh-keygen', ['-y', '-P', pass, '-f', at(name)]);
      await writeFile(at(`${name}.pub`), stdout);
    }
    const names = ['ed25519', 'rsa', 'ecdsa', 'pkcs8', 'pkcs1'];
    assert.equal(files.length, 4);
    const authorized = await Promise.all(names.map((name) => readFile(at(`${name}.pub`), 'utf8')));
    sshd = await startSshd({ authorized });
  });
  after(async () => {
    await sshd[Symbol.asyncDispose]();
    await keys[Symbol.asyncDispose]();
  });

  const logsIn = async (more: object, env = {}): Promise<void> => {
    await using session = await sftp(entryFor(sshd, more), { env }).connect(calm.signal);
    assert.equal(session.broken, undefined);
  };
  const fails = async (more: object, code: string, env = {}): Promise<Fault> => {
    const fault = await rejection(sftp(entryFor(sshd, more), { env }).connect(calm.signal));
    assert.deepEqual([fault.kind, fault.code], ['rejected', code], fault.message);
    assert.ok(fault.advice, 'says what to do');
    assert.doesNotMatch(`${fault.message} ${fault.advice}`, /sesame|not this one/, 'tells no secret');
    return fault;
  };

  test('by keys of every usual kind', async () => {
    await logsIn({ key: at('ed25519'), passphrase: 'open sesame' });
    await logsIn({ key: at('rsa') });
    await logsIn({ key: at('ecdsa') });
    await logsIn({ key: at('pkcs8'), passphrase: 'pkcs8' });
    await logsIn({ key: at('pkcs1') });
  });

  test('by an agent', async () => {
    const socket = at('agent.sock');
    const { stdout } = await run('ssh-agent', ['-a', socket, '-s']);
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(stdout)?.[1]);
    try {
      const empty = await fails({ key: undefined, agent: true }, 'AGENT', { SSH_AUTH_SOCK: socket });
      assert.match(empty.message, /no keys/);
      await run('ssh-add', ['-q', at('ecdsa')], { env: { SSH_AUTH_SOCK: socket } });
      await logsIn({ key: undefined, agent: true }, { SSH_AUTH_SOCK: socket });
      await logsIn({ key: undefined, agent: socket });
    } finally {
      process.kill(pid);
    }
    await fails({ key: undefined, agent: socket }, 'AGENT');
    await fails({ key: undefined, agent: true }, 'AGENT');
    await logsIn({ key: at('rsa'), agent: true }); // there is another way
  });

  test('by one of several keys, whatever is wrong with the others', async () => {
    await logsIn({ key: [at('stranger'), at('rsa')] });
    await logsIn({ key: [at('ed25519'), at('nothing'), at('rsa.pub'), at('ecdsa')] });
    const fault = await fails({ key: [at('ed25519'), at('stranger')] }, 'LOGIN_REFUSED');
    assert.match(fault.message, /stranger \(ssh-rsa\), not the key \S+ed25519, which is encrypted/);
    await fails({ key: [at('ed25519'), at('nothing')] }, 'KEY_PASSPHRASE');
  });

  test('by those keys of an agent that are named, where only these are to be used', async () => {
    const socket = at('some.sock');
    const { stdout } = await run('ssh-agent', ['-a', socket, '-s']);
    const env = { SSH_AUTH_SOCK: socket };
    const only = (key: string): object => ({ key: at(key), agent: socket, identitiesOnly: true });
    try {
      await run('ssh-add', ['-q', at('stranger')], { env });
      await fails(only('rsa.pub'), 'KEY_PUBLIC');
      await run('ssh-add', ['-q', at('rsa')], { env });
      await logsIn(only('rsa.pub'));
      const refused = await fails(only('stranger.pub'), 'LOGIN_REFUSED');
      assert.match(refused.message, /agent \(1 key\)/);
      // An encrypted key without its passphrase, which the agent holds.
      await run('ssh-add', ['-q', '-D'], { env });
      const ask = join(keys.path, 'ask');
      await writeFile(ask, '#!/bin/sh\necho open sesame\n', { mode: 0o755 });
      const asking = { ...env, SSH_ASKPASS: ask, SSH_ASKPASS_REQUIRE: 'force' };
      await run('ssh-add', ['-q', at('ed25519')], { env: asking });
      await logsIn(only('ed25519'));
    } finally {
      process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(stdout)?.[1]));
    }
  });

  test('fails in words when the key is missing, encrypted, of another format, or none', async () => {
    await fails({ key: at('nothing') }, 'ENOENT');
    await fails({ key: at('ed25519') }, 'KEY_PASSPHRASE');
    await fails({ key: at('ed25519'), passphrase: 'not this one' }, 'KEY_PASSPHRASE');
    await fails({ key: at('pkcs8'), passphrase: 'not this one' }, 'KEY_PASSPHRASE');
    await fails({ key: at('rsa.pub') }, 'KEY_PUBLIC');
    await writeFile(at('text'), 'this is no key\n');
    await fails({ key: at('text') }, 'KEY_FORMAT');
  });

  test('that is refused says what was tried, what is taken, and what to look at', async () => {
    const fault = await fails({ key: at('stranger') }, 'LOGIN_REFUSED');
    assert.match(fault.message, /stranger \(ssh-rsa\).*publickey/);
    assert.match(fault.advice ?? '', /image.* user.*authorized_keys.*policy/);
    await using keysOnly = await startSshd({
      config: ['PasswordAuthentication no', 'KbdInteractiveAuthentication no'],
    });
    const password = await rejection(
      sftp(entryFor(keysOnly, { key: undefined, password: 'not this one' })).connect(calm.signal),
    );
    assert.equal(password.code, 'LOGIN_REFUSED');
    assert.match(password.advice ?? '', /takes keys only/);
  });
});

describe('a password', () => {
  for (const method of ['password', 'keyboard-interactive'] as const) {
    test(`is given where the server asks by ${method}`, async () => {
      await using folder = await temporaryFolder('host');
      await using server = await passwordServer(await makeKey(join(folder.path, 'host')), method);
      const entry = { host: '127.0.0.1', port: server.port, user: 'anne', hostKey: server.fingerprint };
      await using session = await sftp({ ...entry, password: 'right' }).connect(calm.signal);
      assert.equal(session.broken, undefined);
      const fault = await rejection(sftp({ ...entry, password: 'wrong' }).connect(calm.signal));
      assert.deepEqual([fault.kind, fault.code], ['rejected', 'LOGIN_REFUSED']);
      assert.match(fault.advice ?? '', /Wrong user or password/);
      assert.doesNotMatch(fault.message, /wrong/);
    });
  }
});

/** Takes one password by one method (OpenSSH would need accounts of the system), and starts SFTP. */
async function passwordServer(hostKey: string, method: 'password' | 'keyboard-interactive') {
  const { fingerprint } = await hostKeyOf(hostKey);
  const server = new ssh2.Server({ hostKeys: [await readFile(hostKey)] }, (client) => {
    client.on('error', () => undefined);
    client.on('authentication', (context) => {
      if (context.method !== method) return context.reject([method]);
      const decide = (given: string | undefined): void =>
        given === 'right' ? context.accept() : context.reject([method]);
      if (context.method === 'password') return decide(context.password);
      if (context.method === 'keyboard-interactive') {
        context.prompt([{ prompt: 'Password: ', echo: false }], (answers) => decide(answers[0]));
      }
    });
    client.on('session', (accept) => {
      accept().on('sftp', (start) => void start());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address: unknown = server.address();
  assert.ok(typeof address === 'object' && address !== null && 'port' in address);
  return {
    fingerprint,
    port: Number(address.port),
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
