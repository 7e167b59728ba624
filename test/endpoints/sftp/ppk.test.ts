/** Keys as users of WinSCP have them: made by PuTTY's own puttygen, and used to log in to a real sshd. */

import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Fault } from '../../../src/sync/errors.ts';
import { type TemporaryFolder, temporaryFolder } from '../../support/files.ts';
import { type Putty, puttyAgain, puttyKey } from '../../support/puttygen.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { calm, entryFor, rejection, sftp } from './kit.ts';

const SECRET = 'open sésame, "please"';

const KINDS: Readonly<Record<string, Putty['type']>> = {
  rsa: ['rsa', '2048'],
  'ecdsa nistp256': ['ecdsa', '256'],
  'ecdsa nistp384': ['ecdsa', '384'],
  'ecdsa nistp521': ['ecdsa', '521'],
  ed25519: ['ed25519'],
};

describe('a PuTTY key (.ppk)', () => {
  let keys: TemporaryFolder;
  let sshd: Sshd;
  const at = (name: string): string => join(keys.path, name.replace(' ', '-'));

  before(async () => {
    keys = await temporaryFolder('ppk');
    const made = Object.entries(KINDS).map(([name, type]) =>
      puttyKey(at(name), { type, passphrase: SECRET }),
    );
    sshd = await startSshd({ authorized: await Promise.all(made) });
  });
  after(async () => {
    await sshd[Symbol.asyncDispose]();
    await keys[Symbol.asyncDispose]();
  });

  const logsIn = async (more: object): Promise<void> => {
    const entry = entryFor(sshd, { passphrase: SECRET, ...more });
    await using session = await sftp(entry).connect(calm.signal);
    assert.equal(session.broken, undefined);
  };
  const fails = async (more: object, code: string): Promise<Fault> => {
    const fault = await rejection(sftp(entryFor(sshd, more)).connect(calm.signal));
    assert.deepEqual([fault.kind, fault.code], ['rejected', code], fault.message);
    assert.ok(fault.message.startsWith(`the key ${keys.path}/`), 'names the file');
    assert.ok(fault.advice, 'says what to do');
    assert.ok(!`${fault.message} ${fault.advice}`.includes('sésame'), 'tells no secret');
    return fault;
  };
  /** The same key, written otherwise. */
  const again = async (kind: string, name: string, how: Omit<Putty, 'type'>): Promise<string> => {
    await puttyAgain(at(kind), SECRET, at(name), how);
    return at(name);
  };

  for (const kind of Object.keys(KINDS)) {
    test(`of ${kind} logs in: versions 3 and 2, encrypted and not`, async () => {
      assert.match(
        await readFile(at(kind), 'latin1'),
        /^PuTTY-User-Key-File-3:[\s\S]*\nKey-Derivation: Argon2id/,
      );
      await logsIn({ key: at(kind) });
      await logsIn({ key: await again(kind, `${kind}.3n`, {}), passphrase: undefined });
      const two = await again(kind, `${kind}.2`, { passphrase: SECRET, parameters: 'version=2' });
      assert.match(await readFile(two, 'latin1'), /^PuTTY-User-Key-File-2:[\s\S]*\nEncryption: aes256-cbc/);
      await logsIn({ key: two });
      const plain = await again(kind, `${kind}.2n`, { parameters: 'version=2' });
      await logsIn({ key: plain, passphrase: undefined });
    });
  }

  test('may be stretched by each kind of Argon2, with parameters of its own', async () => {
    for (const kdf of ['argon2i', 'argon2d']) {
      const parameters = `kdf=${kdf},memory=1024,passes=3,parallelism=2`;
      const file = await again('ed25519', kdf, { passphrase: SECRET, parameters });
      assert.match(await readFile(file, 'latin1'), new RegExp(`Key-Derivation: ${kdf}`, 'i'));
      await logsIn({ key: file });
    }
  });

  test('may have come over from Windows, with other ends of lines', async () => {
    const text = await readFile(at('ed25519'), 'latin1');
    for (const [name, end] of [
      ['crlf', '\r\n'],
      ['cr', '\r'],
    ] as const) {
      await writeFile(at(name), text.replaceAll('\n', end), 'latin1');
      await logsIn({ key: at(name) });
    }
  });

  test('is refused in words without its passphrase, or with another', async () => {
    const two = await again('rsa', 'rsa.2w', { passphrase: SECRET, parameters: 'version=2' });
    for (const key of [at('ed25519'), at('ecdsa nistp384'), two]) {
      assert.match(
        (await fails({ key }, 'KEY_PASSPHRASE')).message,
        /is encrypted, and no passphrase is set/,
      );
      assert.match(
        (await fails({ key, passphrase: 'open sesame' }, 'KEY_PASSPHRASE')).message,
        /cannot be decrypted with the passphrase/,
      );
    }
  });

  test('that is damaged is not used: its MAC is verified first', async () => {
    const whole = await readFile(await again('ed25519', 'whole', {}), 'latin1');
    const damage: Readonly<Record<string, string>> = {
      comment: whole.replace('made for a test', 'made for a text'),
      public: whole.replace(
        /(Public-Lines: 2\n.{40})(.)/,
        (_, head, one) => `${head}${one === 'A' ? 'B' : 'A'}`,
      ),
      private: whole.replace(
        /(Private-Lines: 1\n.{20})(.)/,
        (_, head, one) => `${head}${one === 'A' ? 'B' : 'A'}`,
      ),
      cut: whole.slice(0, whole.indexOf('Private-MAC')),
      headless: whole.replace(/Public-Lines: 2\n.*\n.*\n/, ''),
      number: whole.replace('Private-Lines: 1', 'Private-Lines: x'),
      other: whole.replace('ssh-ed25519', 'ssh-rsa'),
    };
    for (const [name, text] of Object.entries(damage)) {
      assert.notEqual(text, whole, name);
      await writeFile(at(name), text, 'latin1');
      await fails({ key: at(name) }, 'KEY_DAMAGED');
    }
  });

  test('that no server takes, or that Ferry cannot, is refused by its kind', async () => {
    await puttyKey(at('dsa'), { type: ['dsa', '2048'] });
    assert.match((await fails({ key: at('dsa') }, 'KEY_TYPE')).message, /is a DSA key/);
    await puttyKey(at('ed448'), { type: ['ed448'] });
    assert.match((await fails({ key: at('ed448') }, 'KEY_TYPE')).message, /is of type ssh-ed448/);
    const text = await readFile(at('ed25519'), 'latin1');
    await writeFile(at('one'), text.replace('File-3', 'File-1'));
    assert.match((await fails({ key: at('one') }, 'KEY_FORMAT')).message, /version 1/);
    await writeFile(at('greedy'), text.replace('Memory: 8192', 'Memory: 99999999'));
    assert.match((await fails({ key: at('greedy'), passphrase: SECRET }, 'KEY_FORMAT')).message, /asks for/);
    await writeFile(at('strange'), text.replace('aes256-cbc', 'rot13'));
    assert.match((await fails({ key: at('strange') }, 'KEY_FORMAT')).message, /rot13/);
  });

  test('leaves nothing decrypted on the disk', async () => {
    const before = await readdir(keys.path);
    await logsIn({ key: at('ed25519') });
    assert.deepEqual(await readdir(keys.path), before);
  });
});
