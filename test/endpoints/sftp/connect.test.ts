/** Connecting: what answers that is no SFTP server is named as what it is, and nothing takes longer than it may. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createServer as createTls } from 'node:tls';
import { nativeCryptoLoaded } from '../../../src/endpoints/sftp/native.ts';
import { Fault } from '../../../src/sync/errors.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { sha256OfFile } from '../../support/files.ts';
import { freePort } from '../../support/ports.ts';
import { generatedSource } from '../../support/source.ts';
import { startSshd } from '../../support/sshd.ts';
import { until, within } from '../../support/until.ts';
import { calm, entryFor, rejection, sendOptions, sftp } from './kit.ts';

const PIN = `SHA256:${'A'.repeat(43)}`;

/** A server of another kind, on loopback. */
async function listening(server: Server): Promise<{ readonly port: number } & AsyncDisposable> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => undefined).once('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    port: address.port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function refused(port: number, more: object = {}): Promise<Fault> {
  const entry = { host: '127.0.0.1', port, user: 'u', password: 'secret', hostKey: PIN, ...more };
  return within(60_000, 'the connect', rejection(sftp(entry).connect(calm.signal)));
}

describe('a connect that cannot succeed says why', () => {
  test('a port where nothing listens', async () => {
    const port = await freePort();
    const fault = await refused(port);
    assert.deepEqual([fault.kind, fault.code], ['unreachable', 'ECONNREFUSED']);
    assert.match(fault.message, new RegExp(`127\\.0\\.0\\.1:${port} refused`));
    assert.match(fault.advice ?? '', /sshd/);
  });

  test('a name that does not exist', async () => {
    const fault = await refused(22, { host: 'no-such-host.invalid' });
    assert.equal(fault.kind, 'unreachable');
    assert.match(fault.code ?? '', /ENOTFOUND|EAI_AGAIN/);
    assert.match(fault.message, /no-such-host\.invalid/);
  });

  test('a web server, or an Application Load Balancer', async () => {
    await using web = await listening(createHttp((_, response) => response.end('hello')));
    const fault = await refused(web.port);
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'HTTP_ANSWER']);
    assert.match(fault.advice ?? '', /Network Load Balancer/);
  });

  test('a TLS port', async () => {
    await using tls = await listening(createTls({}));
    const fault = await refused(tls.port);
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'TLS_ANSWER']);
    assert.match(fault.advice ?? '', /ftps/);
  });

  test('an FTP server', async () => {
    await using ftp = await listening(createServer((socket) => socket.write('220 (vsFTPd 3.0.3)\r\n')));
    const fault = await refused(ftp.port, { connectTimeout: '2s' });
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'FTP_ANSWER']);
    assert.match(fault.advice ?? '', /ftps/);
  });

  test('a server that turns us away in words', async () => {
    await using busy = await listening(createServer((socket) => socket.end('Exceeded MaxStartups\r\n')));
    const fault = await refused(busy.port);
    assert.equal(fault.kind, 'unreachable');
    assert.match(fault.message, /Exceeded MaxStartups/);
  });

  test('a load balancer without a target, that takes the connection and ends it', async () => {
    await using sshd = await startSshd();
    await using proxy = await startFaultProxy({ port: sshd.port });
    for (const accept of ['rst', 'fin'] as const) {
      proxy.setTrouble({ accept });
      const fault = await refused(proxy.port);
      assert.equal(fault.kind, 'unreachable', fault.message);
      assert.match(fault.advice ?? '', /healthy target/);
    }
  });

  test('a port that says nothing, within connectTimeout', async () => {
    await using mute = await listening(createServer());
    const fault = await refused(mute.port, { connectTimeout: '2s' });
    assert.deepEqual([fault.kind, fault.code], ['unreachable', 'ETIMEDOUT']);
    assert.match(fault.message, /SSH banner/);
  });

  test('a line that dies at any point of the connect, within connectTimeout', async () => {
    await using sshd = await startSshd();
    await using proxy = await startFaultProxy({ port: sshd.port });
    await using whole = await sftp(entryFor(sshd, { port: proxy.port })).connect(calm.signal);
    assert.equal(whole.broken, undefined);
    const bytes = proxy.counts.bytesDown;
    // Last come the answers by which the round trip is measured, without which a session works all the same.
    for (const share of [0.01, 0.2, 0.5, 0.75, 0.85]) {
      proxy.setTrouble({ blackHole: { afterBytes: Math.floor(bytes * share), direction: 'down' } });
      const entry = entryFor(sshd, { port: proxy.port, connectTimeout: '700ms' });
      const fault = await within(60_000, 'the connect', rejection(sftp(entry).connect(calm.signal)));
      assert.deepEqual([fault.kind, fault.code], ['unreachable', 'ETIMEDOUT'], fault.message);
    }
  });

  test('no key exchange in common', async () => {
    await using sshd = await startSshd({
      config: ['KexAlgorithms sntrup761x25519-sha512@openssh.com'],
    });
    const fault = await rejection(sftp(entryFor(sshd)).connect(calm.signal));
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'NO_COMMON_ALGORITHM']);
    assert.match(fault.message, /key exchange/);
    assert.match(fault.advice ?? '', /curve25519-sha256/);
  });

  test('no cipher in common', async () => {
    await using sshd = await startSshd({ config: ['Ciphers aes256-ctr'] });
    const fault = await rejection(
      sftp(entryFor(sshd, { ciphers: ['aes128-gcm@openssh.com'] })).connect(calm.signal),
    );
    assert.equal(fault.code, 'NO_COMMON_ALGORITHM');
    assert.match(fault.message, /cipher/);
  });

  test('a server without SFTP, and one whose login prints something', async () => {
    await using none = await startSshd({ sftp: false });
    const missing = await rejection(sftp(entryFor(none)).connect(calm.signal));
    assert.deepEqual([missing.kind, missing.code], ['rejected', 'NO_SFTP']);
    await using noisy = await startSshd({ config: ['ForceCommand echo Welcome to our server, dear guest'] });
    const noise = await rejection(sftp(entryFor(noisy)).connect(calm.signal));
    assert.deepEqual([noise.kind, noise.code], ['rejected', 'SFTP_NOISE']);
  });
});

describe('a connect', () => {
  test('stops at once when it is told to, wherever it is', async () => {
    await using sshd = await startSshd();
    await using proxy = await startFaultProxy({ port: sshd.port });
    for (const afterBytes of [0, 700, 2500]) {
      proxy.setTrouble({ blackHole: { afterBytes, direction: 'down' } });
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), 100);
      const connecting = rejection(sftp(entryFor(sshd, { port: proxy.port })).connect(stop.signal));
      assert.equal((await within(60_000, 'the stop', connecting)).kind, 'aborted');
      clearTimeout(timer);
    }
    const late = new Fault('transient', 'took too long', { code: 'DEADLINE' });
    const carried = await rejection(sftp(entryFor(sshd)).connect(AbortSignal.abort(late)));
    assert.equal(carried, late, 'a fault that the signal carries is the one that is thrown');
  });

  test('uses AES-GCM, encrypted by native code', async () => {
    assert.ok(nativeCryptoLoaded(), "ssh2's addon is built for this Node (npm rebuild ssh2)");
    await using sshd = await startSshd({
      config: ['Ciphers aes256-ctr,chacha20-poly1305@openssh.com,aes128-gcm@openssh.com'],
    });
    await using session = await sftp(entryFor(sshd)).connect(calm.signal);
    assert.equal(session.remote.cipher, 'aes128-gcm@openssh.com');
  });

  test('leaves from a given address', async () => {
    await using sshd = await startSshd();
    await using session = await sftp(entryFor(sshd, { bindAddress: '127.0.0.9' })).connect(calm.signal);
    assert.equal(session.broken, undefined);
    await until('sshd to tell of it', () => sshd.log().includes('127.0.0.9'));
    const fault = await rejection(sftp(entryFor(sshd, { bindAddress: '203.0.113.1' })).connect(calm.signal));
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'EADDRNOTAVAIL']);
  });

  test('works through a rekey in the middle of a file', async () => {
    await using sshd = await startSshd({ config: ['RekeyLimit 1M'] });
    await using session = await sftp(entryFor(sshd)).connect(calm.signal);
    const source = generatedSource({ sizeBytes: 12_000_000 });
    await session.send(source, 'file.bin', sendOptions());
    assert.equal(await sha256OfFile(join(sshd.folder, 'file.bin')), source.sha256);
  });
});
