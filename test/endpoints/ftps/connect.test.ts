import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { calm, deliver, faultOf } from '../../contract/endpoint/kit.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { freePort } from '../../support/ports.ts';
import { startProftpd } from '../../support/proftpd.ts';
import { generatedSource } from '../../support/source.ts';
import { startTransferFtps, type TransferServer } from '../../support/transfer-ftps.ts';
import { until, within } from '../../support/until.ts';
import { startVsftpd } from '../../support/vsftpd.ts';
import { entryFor, ftps } from './kit.ts';

let certificates: Certificates;
let server: TransferServer;
before(async () => {
  certificates = await makeCertificates();
  server = await startTransferFtps({ certificate: await certificates.server('good') });
});
after(async () => {
  await server[Symbol.asyncDispose]();
  await certificates[Symbol.asyncDispose]();
});

/** Says these bytes to whoever connects, and nothing more. */
async function sayer(text: string) {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    socket.resume();
    if (text !== '') socket.write(text, 'latin1');
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    port: address.port,
    open: () => sockets.size,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

const entry = (port: number, more: object = {}): object => ({
  host: '127.0.0.1',
  port,
  user: 'class',
  password: 'x',
  connectTimeout: '4s',
  ...more,
});

describe('a login', () => {
  for (const [name, start] of [
    ['vsftpd', startVsftpd],
    ['ProFTPD', startProftpd],
  ] as const) {
    test(`that ${name} refuses is for a person to look at, and tells no secret`, async () => {
      await using real = await start({ certificate: await certificates.server('good') });
      const password = 'not the right one';
      const fault = await faultOf(
        ftps(entryFor(real, certificates, { password })).connect(calm.signal),
        'rejected',
      );
      assert.equal(fault.code, 'LOGIN_REFUSED');
      assert.ok(fault.advice);
      assert.equal(`${fault.message} ${fault.advice}`.includes(password), false);
    });
  }

  test('that the server has no room for is tried again', async () => {
    server.trouble.answers = { PASS: '530 Sorry, the maximum number of clients (4) are already connected.' };
    const fault = await faultOf(ftps(entryFor(server, certificates)).connect(calm.signal), 'unreachable');
    server.trouble.answers = {};
    assert.equal(fault.code, 'TOO_MANY_CONNECTIONS');
    assert.match(fault.advice ?? '', /connections/);
  });

  test('with a line break in the password is refused here', async () => {
    const endpoint = ftps(entryFor(server, certificates, { password: 'secret\r\nDELE /x' }));
    const fault = await faultOf(endpoint.connect(calm.signal), 'rejected');
    assert.match(fault.message, /line break/);
    assert.equal(
      server.commands.some((command) => command.startsWith('DELE')),
      false,
    );
  });
});

describe('a port', () => {
  test('where nobody listens', async () => {
    const fault = await faultOf(ftps(entry(await freePort())).connect(calm.signal), 'unreachable');
    assert.equal(fault.code, 'ECONNREFUSED');
  });

  const strangers: readonly [what: string, said: string, code: string][] = [
    ['that speaks SSH', 'SSH-2.0-OpenSSH_9.2\r\n', 'SSH_ANSWER'],
    ['that answers with HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'HTTP_ANSWER'],
    [
      'that turns us away',
      '421 There are too many connections from your internet address.\r\n',
      'TOO_MANY_CONNECTIONS',
    ],
    ['that is closed for good', '554 Go away.\r\n', 'GREETING_REFUSED'],
  ];
  for (const [what, said, code] of strangers) {
    test(`${what} is named`, async () => {
      await using stranger = await sayer(said);
      const fault = await faultOf(ftps(entry(stranger.port)).connect(calm.signal), 'rejected', 'unreachable');
      assert.equal(fault.code, code);
      assert.ok(fault.advice);
      await until('the connection to be closed', () => stranger.open() === 0);
    });
  }

  test('that says nothing is given up in time, and nothing of it is left', async () => {
    await using silent = await sayer('');
    const connect = within(60_000, 'the connect', ftps(entry(silent.port)).connect(calm.signal));
    assert.equal((await faultOf(connect, 'unreachable')).code, 'ETIMEDOUT');
    await until('the connection to be closed', () => silent.open() === 0);
  });
});

describe('a handshake that hangs after AUTH TLS', () => {
  test('is given up in time, and nothing of it is left', async () => {
    await using hanging = await startTransferFtps({ certificate: await certificates.server('good') });
    hanging.trouble.silentAfter = 'AUTH';
    const endpoint = ftps(entryFor(hanging, certificates, { connectTimeout: '3s' }));
    const fault = await faultOf(within(60_000, 'the connect', endpoint.connect(calm.signal)), 'unreachable');
    assert.match(fault.message, /did not get further than the TLS handshake/);
  });

  test('ends when it is told to', async () => {
    await using hanging = await startTransferFtps({ certificate: await certificates.server('good') });
    hanging.trouble.silentAfter = 'AUTH';
    const stop = new AbortController();
    const connect = ftps(entryFor(hanging, certificates)).connect(stop.signal);
    await until('AUTH TLS to be sent', () => hanging.commands.includes('AUTH TLS'));
    stop.abort();
    await faultOf(within(30_000, 'the stop', connect), 'aborted');
  });
});

test('what is slipped in behind the answer to AUTH TLS is not taken for an answer', async () => {
  await using real = await startTransferFtps({ certificate: await certificates.server('good') });
  real.trouble.answers = { AUTH: '234 Go ahead.\r\n230 Logged in already.' };
  const endpoint = ftps(entryFor(real, certificates, { connectTimeout: '4s' }));
  await faultOf(within(60_000, 'the connect', endpoint.connect(calm.signal)), 'unreachable', 'rejected');
  assert.equal(real.commands.includes('PASS'), false);
});

test('the control connection is kept alive by probes of the system, at the time that was set', async () => {
  await using session = await ftps(entryFor(server, certificates, { keepAlive: '45s' })).connect(calm.signal);
  const { readFile } = await import('node:fs/promises');
  const { localPort, remotePort } = session.connection.control.socket;
  const hex = (port = 0): string => port.toString(16).toUpperCase().padStart(4, '0');
  const both = new RegExp(`:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} `); // one alone may be in TIME_WAIT too
  // While what was sent is not acknowledged, another timer runs.
  const when = await until('a keep-alive timer of the connection in the list of the system', async () => {
    const line = (await readFile('/proc/net/tcp', 'utf8')).split('\n').find((each) => both.test(each));
    const [timer, at] = (line?.trim().split(/\s+/)[5] ?? '').split(':');
    return timer === '02' && at;
  });
  const seconds = Number.parseInt(when, 16) / 100;
  assert.ok(seconds > 30 && seconds <= 46, `the next probe is due in ${seconds} s`);
});

test('a server that loses commands gets them one by one, which is found out once', async () => {
  await using losing = await startTransferFtps({ certificate: await certificates.server('good') });
  losing.trouble.greeting = '220 Welcome.';
  losing.trouble.losesCommands = true;
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const endpoint = ftps(entryFor(losing, certificates, { connectTimeout: '3s' }), { warn });
  const logins = (): number => losing.commands.filter((command) => command === 'PASS').length;
  for (const count of [2, 3]) {
    await using session = await endpoint.connect(calm.signal);
    assert.equal(logins(), count);
    const receipt = await deliver(session, generatedSource({ sizeBytes: 5_000 }), '/files/in/one');
    assert.equal(receipt.remotePath, '/files/in/one');
  }
  assert.equal(warnings.filter((each) => each.includes('loses commands')).length, 1);
});
