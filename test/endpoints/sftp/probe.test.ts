/** `ferry check` of an SFTP endpoint: each step of the way, up to the first that is broken, and nothing left behind. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ProbeStep } from '../../../src/endpoints/endpoint.ts';
import { treeOf } from '../../support/files.ts';
import { freePort } from '../../support/ports.ts';
import { startSshd } from '../../support/sshd.ts';
import { within } from '../../support/until.ts';
import { calm, entryFor, sftp } from './kit.ts';

async function check(entry: object, folder = ''): Promise<readonly ProbeStep[]> {
  return await within(30_000, 'the check', Array.fromAsync(sftp(entry).probe(folder, calm)));
}

/** `ok name, ok tcp, broken banner`. */
function said(steps: readonly ProbeStep[]): string {
  return steps
    .map(({ step, ok, warning }) => `${ok ? (warning ? 'warn' : 'ok') : 'broken'} ${step}`)
    .join(', ');
}

const ALL = 'ok name, ok tcp, ok banner, ok key exchange, ok host key, ok login, ok sftp';

describe('a check', () => {
  test('passes each step of the way, and tells what the server can do', async () => {
    await using sshd = await startSshd();
    await mkdir(join(sshd.folder, 'in'));
    const steps = await check(entryFor(sshd), 'in');
    assert.equal(
      said(steps),
      `${ALL}, ok folder, ok write, ok rename, ok delete, ok capabilities, ok idle limit`,
    );
    const saw = new Map(steps.map((step) => [step.step, step.saw]));
    assert.match(saw.get('tcp') ?? '', /127\.0\.0\.1/);
    assert.match(saw.get('banner') ?? '', /OpenSSH/);
    assert.match(saw.get('host key') ?? '', new RegExp(sshd.hostKeyFingerprint.replace(/[+/]/g, '\\$&')));
    assert.equal(saw.get('folder'), join(sshd.folder, 'in'));
    assert.match(saw.get('capabilities') ?? '', /aes128-gcm.*native/);
    assert.ok(steps.every((step) => (step.ms ?? -1) >= 0));
    assert.deepEqual(await treeOf(sshd.folder), ['in/']);
  });

  test('says when the folder is not there yet, and makes nothing', async () => {
    await using sshd = await startSshd();
    const steps = await check(entryFor(sshd), 'to/be/made');
    assert.equal(
      said(steps),
      `${ALL}, warn folder, ok write, ok rename, ok delete, ok capabilities, ok idle limit`,
    );
    assert.deepEqual(await treeOf(sshd.folder), []);
  });

  test('stops at the first broken step, with what to do', async () => {
    await using sshd = await startSshd({ config: ['ForceCommand internal-sftp -R'] });
    const stops = async (entry: object, expected: string, folder = ''): Promise<void> => {
      const steps = await check(entry, folder);
      assert.equal(said(steps), expected);
      assert.ok(steps.at(-1)?.advice, `${steps.at(-1)?.saw}: says what to do`);
    };
    await stops(entryFor(sshd, { host: 'no-such-host.invalid' }), 'broken name');
    await stops(entryFor(sshd, { port: await freePort() }), 'ok name, broken tcp');
    await stops(
      entryFor(sshd, { hostKey: [] }),
      'ok name, ok tcp, ok banner, ok key exchange, broken host key',
    );
    await stops(
      entryFor(sshd, { user: 'no-such-user' }),
      'ok name, ok tcp, ok banner, ok key exchange, ok host key, broken login',
    );
    await stops(
      entryFor(sshd, { key: '/nonexistent' }),
      'ok name, ok tcp, ok banner, ok key exchange, ok host key, broken login',
    );
    await stops(entryFor(sshd), `${ALL}, ok folder, broken write`, sshd.folder);
    assert.deepEqual(await treeOf(sshd.folder), []);
  });

  test('tells a server that renames nothing', async () => {
    await using sshd = await startSshd({ config: ['ForceCommand internal-sftp -P posix-rename,rename'] });
    const steps = await check(entryFor(sshd), sshd.folder);
    assert.equal(
      said(steps),
      `${ALL}, ok folder, ok write, warn rename, ok write, ok delete, ok capabilities, ok idle limit`,
    );
    assert.deepEqual(await treeOf(sshd.folder), []);
  });

  test('ends when it is told to', async () => {
    await using sshd = await startSshd();
    const stop = new AbortController();
    const steps: ProbeStep[] = [];
    for await (const step of sftp(entryFor(sshd)).probe('', { signal: stop.signal })) {
      steps.push(step);
      stop.abort();
    }
    assert.equal(steps.at(-1)?.ok, false);
    assert.deepEqual(await treeOf(sshd.folder), []);
  });
});
