/** SFTP straight over TCP: both families, several addresses, an address to connect from, and the PROXY protocol. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { endpointOf, makeHome } from '../../support/ferry.ts';
import { sha256OfFile } from '../../support/files.ts';
import { startHaproxy } from '../../support/haproxy.ts';
import { generatedSource } from '../../support/source.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { until } from '../../support/until.ts';
import { calm, entryFor, rejection, sendOptions, sftp } from './kit.ts';

describe('the direct way', () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd({ config: ['ListenAddress ::1', 'ListenAddress 127.0.0.2'] });
  });
  after(() => sshd[Symbol.asyncDispose]());

  const delivers = async (more: object, name: string): Promise<void> => {
    await using session = await sftp(entryFor(sshd, more)).connect(calm.signal);
    const source = generatedSource({ sizeBytes: 1_000_000, seed: name });
    await session.send(source, `${name}/file`, sendOptions());
    assert.equal(await sha256OfFile(join(sshd.folder, name, 'file')), source.sha256);
  };
  /** Where sshd saw the last connection come from. */
  const cameFrom = (): string | undefined =>
    [...sshd.log().matchAll(/Connection from (\S+) port/g)].at(-1)?.[1];
  const comesFrom = (address: string): Promise<boolean> =>
    until(`sshd to see it come from ${address}`, () => cameFrom() === address);

  test('leads to addresses of both families, and to names', async () => {
    for (const host of ['127.0.0.1', '::1', 'localhost'])
      await delivers({ host }, `to-${host.replaceAll(':', '-')}`);
    const { address } = sftp(entryFor(sshd, { host: '::1' }));
    assert.match(address, /@\[::1\]:\d+$/);
  });

  test('begins at the address that it is told to', async () => {
    await delivers({ bindAddress: '127.0.0.77' }, 'from-v4');
    await comesFrom('127.0.0.77');
    await delivers({ host: '::1', bindAddress: '::1' }, 'from-v6');
    await comesFrom('::1');
    const nowhere = await rejection(sftp(entryFor(sshd, { bindAddress: '192.0.2.1' })).connect(calm.signal));
    assert.deepEqual([nowhere.kind, nowhere.code], ['rejected', 'EADDRNOTAVAIL']);
    const mixed = await rejection(sftp(entryFor(sshd, { bindAddress: '::1' })).connect(calm.signal));
    assert.equal(mixed.kind, 'rejected');
    assert.match(mixed.advice ?? '', /same family/);
  });

  test('passes a balancer that insists on the PROXY protocol', async () => {
    await using balancer = await startHaproxy(sshd.port);
    const { port } = balancer;
    await delivers({ port, proxyProtocol: 'v1', bindAddress: '127.0.0.78' }, 'v1');
    await delivers({ port, proxyProtocol: 'v2', bindAddress: '127.0.0.79' }, 'v2');
    await delivers({ port, proxyProtocol: 'v1', host: '::1' }, 'v1-v6');
    await delivers({ port, proxyProtocol: 'v2', host: '::1' }, 'v2-v6');
    await until('haproxy to tell', () => balancer.clients().length >= 4);
    const hosts = balancer.clients().map((client) => client.replace(/:\d+$/, ''));
    assert.deepEqual(hosts.filter((host) => host !== '127.0.0.1').sort(), [
      '127.0.0.78',
      '127.0.0.79',
      '::1',
      '::1',
    ]);
    const without = await rejection(sftp(entryFor(sshd, { port })).connect(calm.signal));
    assert.equal(without.kind, 'unreachable');
    assert.match(`${without.message} ${without.advice}`, /PROXY protocol|proxyProtocol/);
    const needless = await rejection(sftp(entryFor(sshd, { proxyProtocol: 'v1' })).connect(calm.signal));
    assert.match(`${needless.message} ${needless.advice}`, /PROXY protocol|proxyProtocol/);
  });

  test('delivers by the command line, over IPv6 and through the balancer', async () => {
    await using home = await makeHome();
    await using balancer = await startHaproxy(sshd.port);
    await home.endpoints({
      far: endpointOf(sshd, { host: '::1', port: balancer.port, proxyProtocol: 'v2' }),
    });
    await home.job('drop', {
      from: './outbox',
      to: { endpoint: 'far', path: `${sshd.folder}/drop` },
      settle: '0s',
    });
    await writeFile(join(home.outbox, 'hello.txt'), 'hello');
    const run = await home.ferry(['run', 'drop', '--json']);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(await readFile(join(sshd.folder, 'drop', 'hello.txt'), 'utf8'), 'hello');
    const check = await home.ferry(['check', 'far']);
    assert.equal(check.code, 0, check.stdout);
  });
});
