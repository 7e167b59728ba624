/** SFTP over the other roads: through jump hosts, and through a proxy command. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SftpSession } from '../../../src/endpoints/sftp/session.ts';
import { endpointOf, makeHome } from '../../support/ferry.ts';
import { sha256OfFile } from '../../support/files.ts';
import { generatedSource } from '../../support/source.ts';
import { makeKey, type Sshd, startSshd } from '../../support/sshd.ts';
import { until, within } from '../../support/until.ts';
import { calm, configured, entryFor, rejection, sendOptions } from './kit.ts';

function count(text: string, pattern: RegExp): number {
  return (text.match(pattern) ?? []).length;
}

describe('the way through jump hosts', () => {
  let target: Sshd;
  let inner: Sshd;
  let outer: Sshd;
  before(async () => {
    // No shell and no SFTP on the jump hosts: forwarding is all that they allow.
    const noShell = { sftp: false, config: ['ForceCommand /bin/false', 'MaxSessions 0'] } as const;
    [target, inner, outer] = await Promise.all([startSshd(), startSshd(noShell), startSshd(noShell)]);
  });
  after(async () => {
    for (const sshd of [target, inner, outer]) await sshd[Symbol.asyncDispose]();
  });

  const delivers = async (session: SftpSession, name: string): Promise<void> => {
    const source = generatedSource({ sizeBytes: 3_000_000, seed: name });
    await session.send(source, `${name}/file`, sendOptions());
    assert.equal(await sha256OfFile(join(target.folder, name, 'file')), source.sha256);
  };

  for (const via of [['inner'], ['outer', 'inner']]) {
    test(`leads to the server, over ${via.join(' and ')}`, async () => {
      const endpoint = configured({
        app: entryFor(target, { via }),
        inner: entryFor(inner),
        outer: entryFor(outer),
      });
      const logins = count(inner.log(), /Accepted publickey/g);
      const app = endpoint('app');
      {
        await using first = await app.connect(calm.signal);
        await using second = await app.connect(calm.signal);
        await Promise.all([delivers(first, 'first'), delivers(second, 'second')]);
        assert.equal(count(inner.log(), /Accepted publickey/g), logins + 1, 'they share one connection');
      }
      const ended = /Disconnected from user|Connection closed by|Received disconnect/g;
      await until('the jump host to be left', () => count(inner.log(), ended) > 0);
      await using again = await app.connect(calm.signal);
      await delivers(again, 'again');
    });
  }

  test('breaks the sessions when a jump host is lost, and leads there again afterwards', async () => {
    const endpoint = configured({ app: entryFor(target, { via: 'inner' }), inner: entryFor(inner) });
    const app = endpoint('app');
    await using session = await app.connect(calm.signal);
    await inner.cutConnections();
    await until('the session to break', () => session.broken !== undefined);
    assert.equal(session.broken?.kind, 'unreachable');
    await using next = await app.connect(calm.signal);
    await delivers(next, 'next');
  });

  test('says which jump host refuses, and why', async () => {
    await using strict = await startSshd({ config: ['AllowTcpForwarding no'] });
    const refuses = async (entries: Readonly<Record<string, object>>, code: string): Promise<string> => {
      const connecting = configured(entries)('app').connect(calm.signal);
      const fault = await within(60_000, 'the fault', rejection(connecting));
      assert.equal(fault.code, code, fault.message);
      assert.ok(fault.advice);
      return fault.message;
    };
    const app = entryFor(target, { via: ['inner'] });
    assert.match(await refuses({ app, inner: entryFor(strict) }, 'FORWARDING_PROHIBITED'), /^inner /);
    assert.match(
      await refuses({ app, inner: entryFor(inner, { hostKey: [] }) }, 'HOST_KEY_UNKNOWN'),
      /inner/,
    );
    const stranger = await makeKey(join(target.folder, 'stranger'));
    assert.match(
      await refuses({ app, inner: entryFor(inner, { key: stranger }) }, 'LOGIN_REFUSED'),
      /^inner /,
    );
    const gone = entryFor(target, { via: ['inner'], port: 1 });
    assert.match(
      await refuses({ app: gone, inner: entryFor(inner) }, 'HOP_CONNECT_FAILED'),
      /inner could not reach/,
    );
    await refuses({ app, inner: entryFor(inner, { via: ['app'] }) }, 'VIA_LOOP');
    await refuses({ app: entryFor(target, { via: ['app'] }) }, 'VIA_LOOP');
  });

  test('is walked step by step in a check', async () => {
    const endpoint = configured({ app: entryFor(target, { via: 'inner' }), inner: entryFor(inner) });
    const steps = await Array.fromAsync(endpoint('app').probe('', calm));
    assert.ok(steps.every((step) => step.ok));
    const way = steps.slice(0, 9).map(({ host = 'app', step }) => `${host}: ${step}`);
    const login = ['banner', 'key exchange', 'host key', 'login'];
    const first = ['name', 'tcp', ...login].map((step) => `inner: ${step}`);
    assert.deepEqual(way, [...first, 'app: hop', 'app: banner', 'app: key exchange']);
  });
});

/** A program that leads to the server: ssh, which forwards to itself there. */
function sshTo(sshd: Sshd): readonly string[] {
  return [
    'ssh',
    '-i',
    sshd.keyFile,
    '-p',
    '%p',
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'LogLevel=ERROR',
    '-W',
    '%h:%p',
    '%r@%h',
  ];
}

describe('the way through a proxy command', () => {
  test('leads to the server', async () => {
    await using sshd = await startSshd();
    const ssh = sshTo(sshd);
    for (const proxyCommand of [ssh, ssh.join(' '), { shell: `exec ${ssh.join(' ')} 2>/dev/null` }]) {
      const app = configured({ app: entryFor(sshd, { proxyCommand }) })('app');
      await using session = await app.connect(calm.signal);
      const source = generatedSource({ sizeBytes: 3_000_000 });
      await session.send(source, 'file', sendOptions());
      assert.equal(await sha256OfFile(join(sshd.folder, 'file')), source.sha256);
    }
  });

  test('that fails says so with the words of the program', async () => {
    await using sshd = await startSshd();
    const app = configured({
      app: entryFor(sshd, {
        proxyCommand: { shell: 'echo "TargetNotConnected: i-0123 is not connected" >&2; exit 254' },
      }),
    })('app');
    const fault = await within(60_000, 'the fault', rejection(app.connect(calm.signal)));
    assert.deepEqual([fault.kind, fault.code], ['unreachable', 'PROXY_COMMAND']);
    assert.match(fault.message, /TargetNotConnected/);
    assert.match(fault.advice ?? '', /SSM agent/);
  });

  test('that hangs is ended in time', async () => {
    await using sshd = await startSshd();
    const app = configured({
      app: entryFor(sshd, { proxyCommand: ['sleep', '300'], connectTimeout: '500ms' }),
    })('app');
    const fault = await within(60_000, 'the fault', rejection(app.connect(calm.signal)));
    assert.deepEqual([fault.kind, fault.code], ['unreachable', 'ETIMEDOUT']);
  });

  test('delivers by the command line, and leaves no process behind', async () => {
    await using sshd = await startSshd();
    await using home = await makeHome();
    const proxyCommand = sshTo(sshd).join(' ');
    await home.endpoints({ app: endpointOf(sshd, { proxyCommand, connections: 2 }) });
    await home.job('drop', {
      from: './outbox',
      to: { endpoint: 'app', path: `${sshd.folder}/drop` },
      settle: '0s',
    });
    await writeFile(join(home.outbox, 'hello.txt'), 'hello');
    const run = await home.ferry(['run', 'drop', '--json']);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(await readFile(join(sshd.folder, 'drop', 'hello.txt'), 'utf8'), 'hello');
    const check = await home.ferry(['check', 'app']);
    assert.equal(check.code, 0, check.stdout);
    assert.match(check.stdout, /✓ proxy command/);
    // What a command left would be found by its environment when this file ends, and fail it.
  });
});
