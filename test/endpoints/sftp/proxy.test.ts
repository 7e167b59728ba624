// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so
/** SFTP through real proxies: SOCKS5 (microsocks) and HTTP CONNECT (tinyproxy). */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { endpointOf, makeHome } from '../../support/ferry.ts';
import { filesOf, sha256OfFile } from '../../support/files.ts';
import { freePort } from '../../support/ports.ts';
import { startHttpProxy, startSocksProxy } from '../../support/proxies.ts';
import { generatedSource } from '../../support/source.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { calm, entryFor, rejection, sendOptions, sftp } from './kit.ts';

const login = { user: 'ferry', password: 'hush-hush' };

describe('the way through a proxy', () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd({ config: ['ListenAddress ::1'] });
  });
  after(() => sshd[Symbol.asyncDispose]());

  const delivers = async (more: object, name: string): Promise<void> => {
    await using session = await sftp(entryFor(sshd, more)).connect(calm.signal);
    const source = generatedSource({ sizeBytes: 3_000_000, seed: name });
    await session.send(source, `${name}/file`, sendOptions());
    assert.equal(await sha256OfFile(join(sshd.folder, name, 'file')), source.sha256);
  };
  const fails = async (proxy: string, code: string, kind: string, more: object = {}): Promise<string> => {
    const fault = await rejection(sftp(entryFor(sshd, { proxy, ...more })).connect(calm.signal));
    assert.deepEqual([fault.code, fault.kind], [code, kind], fault.message);
    assert.ok(fault.advice);
    assert.doesNotMatch(`${fault.message}${fault.advice}`, /hush|wrong-one/);
    return fault.message;
  };
  const stepsOf = async (proxy: string, more: object = {}): Promise<readonly string[]> => {
    const steps = await Array.fromAsync(sftp(entryFor(sshd, { proxy, ...more })).probe('', calm));
    return steps.map(({ step, ok }) => (ok ? step : `${step}!`));
  };

  test('SOCKS5: addresses of both families and names, with a login and without', async () => {
    await using open = await startSocksProxy();
    await using locked = await startSocksProxy(login);
    await delivers({ proxy: `socks5://127.0.0.1:${open.port}` }, 'socks');
    await delivers({ proxy: `socks5://127.0.0.1:${open.port}`, host: 'localhost' }, 'socks-name');
    await delivers({ proxy: `socks5://127.0.0.1:${open.port}`, host: '::1' }, 'socks-v6');
    await delivers({ proxy: `socks5://ferry:hush-hush@localhost:${locked.port}` }, 'socks-login');
    assert.deepEqual((await stepsOf(`socks5://127.0.0.1:${open.port}`)).slice(0, 5), [
      ...['proxy', 'tunnel', 'banner', 'key exchange', 'host key'],
    ]);
  });

  test('SOCKS5: says which part is broken', async () => {
    await using open = await startSocksProxy();
    await using locked = await startSocksProxy(login);
    const at = `127.0.0.1:${locked.port}`;
    assert.match(await fails(`socks5://${at}`, 'PROXY_LOGIN', 'rejected'), /asks for a login|no login/);
    assert.match(
      await fails(`socks5://ferry:wrong-one@${at}`, 'PROXY_LOGIN', 'rejected'),
      /refused the login of ferry/,
    );
    const proxy = `socks5://127.0.0.1:${open.port}`;
    const gone = { port: await freePort() };
    assert.match(
      await fails(proxy, 'PROXY_TARGET', 'unreachable', gone),
      /could not reach .*connection refused/,
    );
    assert.match(
      await fails(proxy, 'PROXY_TARGET', 'unreachable', { host: 'no-such-host.invalid' }),
      /could not reach no-such-host/,
    );
    assert.deepEqual(await stepsOf(proxy, gone), ['proxy', 'tunnel!']);
    const nobody = `socks5://127.0.0.1:${await freePort()}`;
    assert.match(
      await fails(nobody, 'PROXY_CONNECT', 'unreachable'),
      /the SOCKS proxy .* cannot be reached: .* refused/,
    );
    assert.deepEqual(await stepsOf(nobody), ['proxy!']);
    await fails(`socks5://127.0.0.1:${sshd.port}`, 'PROXY_ANSWER', 'rejected');
  });

  test('HTTP CONNECT: addresses of both families and names, with a login and without', async () => {
    await using open = await startHttpProxy();
    await using locked = await startHttpProxy({ login });
    await delivers({ proxy: `http://127.0.0.1:${open.port}` }, 'http');
    await delivers({ proxy: `http://127.0.0.1:${open.port}`, host: 'localhost' }, 'http-name');
    await delivers({ proxy: `http://127.0.0.1:${open.port}`, host: '::1' }, 'http-v6');
    await delivers({ proxy: `http://ferry:hush-hush@localhost:${locked.port}` }, 'http-login');
  });

  test('HTTP CONNECT: says which part is broken', async () => {
    await using open = await startHttpProxy();
    await using locked = await startHttpProxy({ login });
    await using strict = await startHttpProxy({ ports: [443] });
    const at = `127.0.0.1:${locked.port}`;
    assert.match(await fails(`http://${at}`, 'PROXY_LOGIN', 'rejected'), /asks for a login/);
    assert.match(
      await fails(`http://ferry:wrong-one@${at}`, 'PROXY_LOGIN', 'rejected'),
      /refused the login of ferry: 40[17]/,
    );
    assert.match(
      await fails(`http://127.0.0.1:${strict.port}`, 'PROXY_FORBIDDEN', 'rejected'),
      /does not let us go .*403/,
    );
    const gone = { port: await freePort() };
    assert.match(
      await fails(`http://127.0.0.1:${open.port}`, 'PROXY_TARGET', 'unreachable', gone),
      /could not reach .*50\d/,
    );
    assert.deepEqual(await stepsOf(`http://127.0.0.1:${open.port}`, gone), ['proxy', 'tunnel!']);
    await fails(`http://127.0.0.1:${await freePort()}`, 'PROXY_CONNECT', 'unreachable');
    assert.match(await fails(`http://127.0.0.1:${sshd.port}`, 'PROXY_ANSWER', 'rejected'), /SSH-2\.0/);
  });

  test('leads a jump host out too, and the check names each part', async () => {
    await using proxy = await startSocksProxy();
    await using bastion = await startSshd({ sftp: false });
    const other = async (name: string) =>
      sftp(entryFor(bastion, { proxy: `socks5://127.0.0.1:${proxy.port}` }), { name });
    const steps = await Array.fromAsync(sftp(entryFor(sshd, { via: 'bastion' }), { other }).probe('', calm));
    assert.ok(
      steps.every(({ ok }) => ok),
      JSON.stringify(steps),
    );
    assert.deepEqual(steps.map(({ step, host = 'app' }) => `${host}: ${step}`).slice(0, 8), [
      ...['proxy', 'tunnel', 'banner', 'key exchange', 'host key', 'login'].map((step) => `bastion: ${step}`),
      ...['app: hop', 'app: banner'],
    ]);
  });

  test('delivers by the command line, and leaves the password nowhere', async () => {
    await using home = await makeHome();
    await using proxy = await startHttpProxy({ login });
    const url = (password: string): string => `http://ferry:${password}@127.0.0.1:${proxy.port}`;
    await home.endpoints({
      good: endpointOf(sshd, { proxy: url('${env:PROXY_PASSWORD}') }),
      bad: endpointOf(sshd, { proxy: url('wrong-one') }),
    });
    await home.job('drop', {
      from: './outbox',
      to: { endpoint: 'good', path: `${sshd.folder}/drop` },
      settle: '0s',
    });
    await home.job('fail', {
      from: './outbox',
      to: { endpoint: 'bad', path: `${sshd.folder}/fail` },
      settle: '0s',
    });
    await writeFile(join(home.outbox, 'hello.txt'), 'hello');
    const env = { PROXY_PASSWORD: login.password, FERRY_LOG: 'debug' };
    const run = await home.ferry(['run', 'drop', '--json'], env);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(await readFile(join(sshd.folder, 'drop', 'hello.txt'), 'utf8'), 'hello');
    const check = await home.ferry(['check', 'bad'], env);
    assert.equal(check.code, 3, check.stdout);
    assert.match(check.stdout, /✗ tunnel|✗ proxy/);
    const fail = await home.ferry(['run', 'fail', '--json'], env);
    const status = await home.ferry(['status'], env);
    const said = [run, check, fail, status].map(({ stdout, stderr }) => stdout + stderr);
    const base64 = (password: string): string => Buffer.from(`ferry:${password}`).toString('base64');
    const kept = await Promise.all(
      (await filesOf(home.dataFolder)).map((path) => readFile(join(home.dataFolder, path), 'latin1')),
    );
    assert.ok(kept.length > 0);
    for (const text of [...said, ...kept])
      for (const secret of ['hush-hush', 'wrong-one'])
        assert.ok(!text.includes(secret) && !text.includes(base64(secret)), 'a password was written');
  });
});
