/** Jump hosts as they are met: without a shell, behind a road of their own, left alone for long, through the command line. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { endpointOf, makeHome } from '../../support/ferry.ts';
import { sha256OfFile } from '../../support/files.ts';
import { generatedSource } from '../../support/source.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { until } from '../../support/until.ts';
import { calm, configured, entryFor, rejection, sendOptions } from './kit.ts';

describe('jump hosts', () => {
  let target: Sshd;
  let inner: Sshd;
  let outer: Sshd;
  before(async () => {
    const noSftp = { sftp: false } as const;
    [target, inner, outer] = await Promise.all([startSshd(), startSshd(noSftp), startSshd(noSftp)]);
  });
  after(async () => {
    for (const sshd of [target, inner, outer]) await sshd[Symbol.asyncDispose]();
  });

  const delivers = async (entries: Readonly<Record<string, object>>, name: string): Promise<void> => {
    await using session = await configured(entries)('app').connect(calm.signal);
    const source = generatedSource({ sizeBytes: 1_000_000, seed: name });
    await session.send(source, `${name}/file`, sendOptions());
    assert.equal(await sha256OfFile(join(target.folder, name, 'file')), source.sha256);
  };

  test('need no shell: that of the user there is nologin', async () => {
    const app = entryFor(target, { via: ['inner'] });
    // An sshd that root did not start lets in no other user than its own.
    const user = process.getuid?.() === 0 ? 'nobody' : inner.user;
    await delivers({ app, inner: entryFor(inner, { user }) }, 'nologin');
    await until('the login to be told', () => inner.log().includes(`Accepted publickey for ${user} `));
  });

  test('may forbid to go to other hosts than some', async () => {
    await using strict = await startSshd({ config: [`PermitOpen 127.0.0.1:${target.port}`] });
    const jump = entryFor(strict);
    await delivers({ app: entryFor(target, { via: ['jump'] }), jump }, 'permitted');
    const other = configured({ app: entryFor(inner, { via: ['jump'] }), jump })('app');
    const fault = await rejection(other.connect(calm.signal));
    assert.deepEqual([fault.code, fault.kind], ['FORWARDING_PROHIBITED', 'rejected']);
    assert.match(`${fault.message} ${fault.advice}`, /jump does not forward to 127\.0\.0\.1:\d+.*PermitOpen/);
  });

  test('are reached over a road of their own', async () => {
    const via = { via: ['outer', 'inner'] };
    const knock = ['ssh', '-i', outer.keyFile, '-p', '%p', '-o', 'StrictHostKeyChecking=no'];
    const proxyCommand = [
      ...knock,
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      'LogLevel=ERROR',
      '-W',
      '%h:%p',
      '%r@%h',
    ];
    await delivers(
      { app: entryFor(target, via), inner: entryFor(inner), outer: entryFor(outer, { proxyCommand }) },
      'command-first',
    );
    // And one that itself lies behind another.
    const nested = entryFor(inner, { via: ['outer'] });
    await delivers(
      { app: entryFor(target, { via: ['inner'] }), inner: nested, outer: entryFor(outer) },
      'nested',
    );
  });

  describe('behind balancers that forget', () => {
    const IDLE_MS = 5_000;
    const idles = async (
      keepAlive: string,
    ): Promise<{ readonly broken: boolean; readonly expired: number }> => {
      // One in front of the jump host, one between it and the server.
      await using before = await startFaultProxy({
        port: inner.port,
        trouble: { idle: { ms: IDLE_MS, how: 'nothing' } },
      });
      await using between = await startFaultProxy({
        port: target.port,
        trouble: { idle: { ms: IDLE_MS, how: 'nothing' } },
      });
      const app = configured({
        app: entryFor(target, { port: between.port, via: ['inner'], keepAlive }),
        inner: entryFor(inner, { port: before.port, keepAlive }),
      })('app');
      await using session = await app.connect(calm.signal);
      await sleep(2 * IDLE_MS);
      const expired = before.counts.expired + between.counts.expired;
      return { broken: session.broken !== undefined, expired };
    };

    test('are kept awake, each by itself', async () => {
      const [awake, asleep] = await Promise.all([idles('500ms'), idles('1h')]);
      assert.deepEqual(awake, { broken: false, expired: 0 });
      assert.equal(asleep.expired, 2, 'without keep-alives both forget');
    });
  });

  test('deliver by the command line', async () => {
    await using home = await makeHome();
    await home.endpoints({
      app: endpointOf(target, { via: ['outer', 'inner'] }),
      inner: endpointOf(inner),
      outer: endpointOf(outer),
    });
    await home.job('drop', {
      from: './outbox',
      to: { endpoint: 'app', path: `${target.folder}/drop` },
      settle: '0s',
    });
    const names = Array.from({ length: 50 }, (_, index) => `file-${index}.txt`);
    for (const name of names) await writeFile(join(home.outbox, name), name);
    const logins = (sshd: Sshd): number => (sshd.log().match(/Accepted publickey/g) ?? []).length;
    const earlier = [logins(outer), logins(inner)];
    const run = await home.ferry(['run', 'drop', '--json']);
    assert.equal(run.code, 0, run.stderr);
    for (const name of names) assert.equal(await readFile(join(target.folder, 'drop', name), 'utf8'), name);
    assert.deepEqual(
      [logins(outer), logins(inner)],
      earlier.map((count) => count + 1),
      'one connection to each',
    );
    const check = await home.ferry(['check', 'app']);
    assert.equal(check.code, 0, check.stdout);
    await until('the jump hosts to be left', () => /Disconnected|Connection closed/.test(outer.log()));
  });
});
