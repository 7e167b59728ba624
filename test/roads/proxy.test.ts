import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { proxyRoad } from '../../src/roads/proxy.ts';
import { parseProxy } from '../../src/roads/proxy-address.ts';
import { Fault } from '../../src/sync/errors.ts';
import { within } from '../support/until.ts';

const calm = new AbortController().signal;

/** A far side that does as the test says, byte by byte. */
async function farSide(serve: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    port: address.port,
    open: () => [...sockets].filter((socket) => !socket.destroyed).length,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function road(proxy: string, timeoutMs = 10_000, host = 'server.example') {
  const parsed = parseProxy(proxy);
  if (typeof parsed === 'string') assert.fail(parsed);
  return proxyRoad({ proxy: parsed, host, port: 22, direct: { timeoutMs, keepAliveMs: 15_000 } });
}

async function failure(opening: Promise<unknown>): Promise<Fault> {
  const error = await within(
    30_000,
    'the fault',
    opening.catch((reason: unknown) => reason),
  );
  if (!(error instanceof Fault)) assert.fail(`expected a Fault, got ${error}`);
  return error;
}

describe('a proxy in the configuration', () => {
  test('is read with all its parts', () => {
    const login = { user: 'me', password: 'p@ss:w/rd?#' };
    assert.deepEqual(parseProxy('socks5://me:p@ss:w/rd?#@[::1]:99'), {
      scheme: 'socks5',
      host: '::1',
      port: 99,
      login,
    });
    assert.deepEqual(parseProxy('http://me:p%40ss%3Aw%2Frd%3F%23@proxy.local'), {
      ...{ scheme: 'http', host: 'proxy.local', port: 3128 },
      login,
    });
    assert.deepEqual(parseProxy('socks5h://10.0.0.1'), { scheme: 'socks5', host: '10.0.0.1', port: 1080 });
    assert.deepEqual(parseProxy('http://a:100%@h'), {
      scheme: 'http',
      host: 'h',
      port: 3128,
      login: { user: 'a', password: '100%' },
    });
  });

  test('is refused in words that tell no password', () => {
    const wrong = [
      ...[
        'proxy:3128',
        'https://secret:secret@h',
        'socks4://h',
        'http://u:secret@',
        'http://:secret@h',
        'http://u:secret@h:0',
      ],
      ...[
        'http://u:secret@h:99999',
        'http://u:secret@h/path',
        `socks5://u:${'secret'.repeat(50)}@h`,
        'http://a%3Ab:secret@h',
      ],
    ];
    for (const text of wrong) {
      const said = parseProxy(text);
      if (typeof said !== 'string') assert.fail(text);
      assert.doesNotMatch(said, /secret/);
    }
  });
});

describe('the road through a proxy', () => {
  test('loses no byte, however the answer is cut', async () => {
    const answers = {
      http: ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n'],
      socks5: ['\x05\x00', '\x05\x00\x00\x03\x04name\x00\x16'],
    } as const;
    for (const scheme of ['http', 'socks5'] as const) {
      for (const pieces of [1, 3, 1000]) {
        await using proxy = await farSide((socket) => {
          let step = 0;
          socket.on('data', async () => {
            const text = answers[scheme][step];
            step += 1;
            if (text === undefined) return;
            const last = step === answers[scheme].length;
            const bytes = Buffer.from(last ? `${text}SSH-2.0-all of it` : text, 'latin1');
            for (let at = 0; at < bytes.length; at += pieces) {
              socket.write(bytes.subarray(at, at + pieces));
              if (pieces < 10) await sleep(1);
            }
            if (last) socket.end();
          });
        });
        const passed: string[] = [];
        const duplex = await road(`${scheme}://127.0.0.1:${proxy.port}`).open(calm, (step) =>
          passed.push(step),
        );
        assert.equal(String(Buffer.concat(await Array.fromAsync(duplex))), 'SSH-2.0-all of it');
        assert.deepEqual(passed, ['proxy', 'tunnel']);
      }
    }
  });

  test('ends in time when the proxy says nothing, and when it is told to', async () => {
    await using proxy = await farSide((socket) => socket.resume());
    for (const scheme of ['http', 'socks5']) {
      const url = `${scheme}://u:secret@127.0.0.1:${proxy.port}`;
      const silent = await failure(road(url, 1_500).open(calm));
      assert.deepEqual([silent.kind, silent.code], ['unreachable', 'PROXY_TIMEOUT']);
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 50);
      assert.equal((await failure(road(url, 60_000).open(stop.signal))).kind, 'aborted');
      assert.equal((await failure(road(url).open(AbortSignal.abort()))).kind, 'aborted');
    }
    await within(
      30_000,
      'the sockets to be closed',
      (async () => {
        while (proxy.open() > 0) await sleep(10);
      })(),
    );
  });

  test('says when it is no such proxy, or ends at once', async () => {
    const cases = [
      [
        'http',
        (socket: Socket) => socket.end('SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n'),
        'PROXY_ANSWER',
        /SSH-2.0-OpenSSH/,
      ],
      [
        'socks5',
        (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
        'PROXY_ANSWER',
        /no such proxy/,
      ],
      ['http', (socket: Socket) => socket.end(), 'PROXY_LOST', /closed the connection/],
      ['socks5', (socket: Socket) => socket.once('data', () => socket.resetAndDestroy()), 'PROXY_LOST', /./],
      ['http', (socket: Socket) => void socket.write('x'.repeat(100_000)), 'PROXY_ANSWER', /xxx/],
      [
        'http',
        (socket: Socket) =>
          socket.end('HTTP/1.1 503 No\r\n\r\n<html><head><title>t</title></head><p>host &amp; <b>down'),
        'PROXY_TARGET',
        /503 No \(host &amp; down\)/,
      ],
      [
        'http',
        (socket: Socket) => socket.end('HTTP/1.1 404 Not Found\r\n\r\n'),
        'PROXY_ANSWER',
        /knows no CONNECT: 404/,
      ],
    ] as const;
    for (const [scheme, serve, code, says] of cases) {
      await using proxy = await farSide(serve);
      const fault = await failure(road(`${scheme}://u:secret@127.0.0.1:${proxy.port}`).open(calm));
      assert.equal(fault.code, code, fault.message);
      assert.match(fault.message, says);
      assert.ok(fault.advice);
      assert.doesNotMatch(`${fault.message}${fault.advice}`, /secret/);
    }
  });

  test('tells what a SOCKS proxy forbids from what it cannot do', async () => {
    const cases = [
      [
        2,
        'PROXY_FORBIDDEN',
        'rejected',
        /does not let us go to server\.example:22: not allowed by its rules/,
      ],
      [3, 'PROXY_TARGET', 'unreachable', /could not reach server\.example:22: network unreachable/],
      [99, 'PROXY_TARGET', 'unreachable', /reply 99/],
    ] as const;
    for (const [reply, code, kind, says] of cases) {
      await using proxy = await farSide((socket) => {
        socket.once('data', () => {
          socket.write(Buffer.of(5, 0));
          socket.once('data', () => socket.end(Buffer.of(5, reply, 0, 1, 0, 0, 0, 0, 0, 0)));
        });
      });
      const fault = await failure(road(`socks5://127.0.0.1:${proxy.port}`).open(calm));
      assert.deepEqual([fault.code, fault.kind], [code, kind]);
      assert.match(fault.message, says);
    }
  });

  test('gives a SOCKS proxy every kind of address in its form', async () => {
    const asked: string[] = [];
    await using proxy = await farSide((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.of(5, 0));
        socket.once('data', (bytes: Buffer) => {
          asked.push(bytes.toString('hex'));
          socket.end(Buffer.of(5, 4, 0, 1));
        });
      });
    });
    const hosts = ['10.1.2.3', '2001:db8::1:0:2', '::', '::ffff:1.2.3.4', 'ab.c'];
    for (const host of hosts)
      await failure(road(`socks5://127.0.0.1:${proxy.port}`, 10_000, host).open(calm));
    assert.deepEqual(asked, [
      '05010001' + '0a010203' + '0016',
      '05010004' + '20010db8000000000000000100000002' + '0016',
      `05010004${'00'.repeat(16)}0016`,
      '05010004' + '00000000000000000000ffff01020304' + '0016',
      '05010003' + '0461622e63' + '0016',
    ]);
  });
});
