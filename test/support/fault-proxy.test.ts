import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { contentOf } from './files.ts';
import { hangingPort } from './hanging-port.ts';
import { until } from './until.ts';

/** A server that keeps what it gets and echoes it, behind a proxy. */
interface Setup extends AsyncDisposable {
  readonly proxy: FaultProxy;
  /** What the server got, per connection. */
  readonly got: { bytes: number; last: Buffer; ended: boolean; error: string | undefined; socket: Socket }[];
}

async function setup(trouble: Parameters<FaultProxy['setTrouble']>[0] = {}, echo = true): Promise<Setup> {
  const got: Setup['got'] = [];
  const server: Server = createServer((socket) => {
    const seen = {
      bytes: 0,
      last: Buffer.alloc(0),
      ended: false,
      error: undefined as string | undefined,
      socket,
    };
    got.push(seen);
    socket.on('data', (bytes) => {
      seen.bytes += bytes.length;
      seen.last = bytes;
      if (echo && !socket.write(bytes)) {
        socket.pause();
        socket.once('drain', () => socket.resume());
      }
    });
    socket.on('end', () => {
      seen.ended = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      seen.error = error.code;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  const proxy = await startFaultProxy({ port: address.port, trouble });
  return {
    proxy,
    got,
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      for (const { socket } of got) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A client that keeps what it gets. */
function client(proxy: FaultProxy) {
  const socket = connect(proxy.port, proxy.host);
  const chunks: Buffer[] = [];
  const state = {
    socket,
    bytes: 0,
    ended: false,
    closed: false,
    error: undefined as string | undefined,
    content: () => Buffer.concat(chunks),
  };
  socket.on('data', (bytes) => {
    chunks.push(bytes);
    state.bytes += bytes.length;
  });
  socket.on('end', () => {
    state.ended = true;
  });
  socket.on('close', () => {
    state.closed = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    state.error = error.code;
  });
  return state;
}

for (const trouble of [
  {},
  { latencyMs: 5 },
  { bytesPerSecond: 8e6 },
  { latencyMs: 3, bytesPerSecond: 8e6 },
]) {
  test(`passes all bytes in order, and the end: ${JSON.stringify(trouble)}`, async () => {
    await using s = await setup(trouble);
    const c = client(s.proxy);
    const content = contentOf('proxy', 0, 2_000_000);
    c.socket.write(content.subarray(0, 1_000_000));
    c.socket.end(content.subarray(1_000_000));
    await until('the end', () => c.ended);
    assert.ok(c.content().equals(content));
    await until('the connection to be gone', () => s.proxy.counts.open === 0);
    assert.deepEqual(s.proxy.counts, {
      accepted: 1,
      open: 0,
      cut: 0,
      expired: 0,
      bytesUp: 2e6,
      bytesDown: 2e6,
    });
  });
}

test('latency delays each direction, and does not throttle', async () => {
  await using s = await setup({ latencyMs: 100 });
  const c = client(s.proxy);
  await once(c.socket, 'connect');
  const before = performance.now();
  c.socket.write(contentOf('proxy', 0, 1_000_000));
  await until('the echo', () => c.bytes === 1_000_000, { everyMs: 1 });
  const ms = performance.now() - before;
  assert.ok(ms >= 195, `took ${ms} ms`);
});

test('bandwidth is limited', async () => {
  await using s = await setup({ bytesPerSecond: 1e6 }, false);
  const c = client(s.proxy);
  const before = performance.now();
  c.socket.write(contentOf('proxy', 0, 500_000));
  await until('all to arrive', () => s.got[0]?.bytes === 500_000);
  assert.ok(performance.now() - before >= 400);
});

for (const by of ['rst', 'fin'] as const) {
  for (const direction of ['up', 'down'] as const) {
    test(`cuts by ${by} after exactly so many bytes ${direction}`, async () => {
      await using s = await setup(
        { cut: { afterBytes: 123_456, direction, by, times: 1 } },
        direction === 'down',
      );
      const c = client(s.proxy);
      c.socket.write(contentOf('proxy', 0, 1_000_000));
      await until('the cut', () => c.closed);
      await until('all before it', () => (direction === 'up' ? s.got[0]?.bytes : c.bytes) === 123_456);
      assert.equal(s.proxy.counts.cut, 1);
      if (direction === 'down') assert.equal(c.error === 'ECONNRESET', by === 'rst');

      const second = client(s.proxy);
      second.socket.write(contentOf('proxy', 0, 1_000_000));
      await until('the second connection', () => s.got[1]?.bytes === 1_000_000);
    });
  }
}

test('cuts only the connection that was asked for, or after bytes of all together', async () => {
  await using s = await setup({ cut: { afterBytes: 10, direction: 'up', by: 'rst', connection: 2 } });
  const [first, second] = [client(s.proxy), undefined];
  first.socket.write('0123456789abcdef');
  await until('the echo', () => first.bytes === 16);
  assert.equal(second, undefined);
  const cut = client(s.proxy);
  cut.socket.write('0123456789');
  await until('the cut', () => cut.closed);
  await until('all before it', () => s.got[1]?.bytes === 10);

  s.proxy.setTrouble({ cut: { afterBytes: 6, direction: 'up', by: 'fin', counting: 'all', times: 1 } });
  const third = client(s.proxy);
  third.socket.write('123');
  await until('the echo', () => third.bytes === 3);
  first.socket.write('4567');
  await until('the cut', () => first.closed);
  await until('all before it', () => s.got[0]?.bytes === 16 + 3);
  assert.equal(third.closed, false);
});

test('a black hole swallows from a byte on, and lets go when lifted', async () => {
  await using s = await setup({ blackHole: { afterBytes: 1000, direction: 'up' } });
  const c = client(s.proxy);
  c.socket.write(contentOf('proxy', 0, 5000));
  await until('the first bytes', () => c.bytes === 1000);
  await sleep(50);
  assert.equal(s.got[0]?.bytes, 1000);
  assert.equal(c.closed, false);
  s.proxy.setTrouble({});
  await until('the rest', () => c.bytes === 5000);
  assert.ok(c.content().equals(contentOf('proxy', 0, 5000)));

  s.proxy.setTrouble({ blackHole: {} });
  c.socket.write('more');
  await sleep(50);
  assert.equal(s.got[0]?.bytes, 5000);
});

test('an idle connection is forgotten in silence, and the next packet gets an RST', async () => {
  await using s = await setup({ idle: { ms: 3_000, how: 'rst' } });
  const c = client(s.proxy);
  for (let i = 0; i < 20; i += 1) {
    c.socket.write('ping'); // data inside the window keeps it
    await sleep(50);
  }
  await until('the echoes', () => c.bytes === 80);
  await until('the drop', () => s.proxy.counts.expired === 1);
  await sleep(30);
  assert.equal(c.closed, false);
  assert.equal(c.ended, false);
  c.socket.write('ping');
  await until('the RST', () => c.closed);
  assert.equal(c.error, 'ECONNRESET');
  assert.equal(s.got[0]?.bytes, 80);
  assert.equal(s.got[0]?.ended, false, 'the server was told nothing');
  s.got[0]?.socket.write('anyone there?');
  await until('the RST to the server', () => s.got[0]?.error !== undefined);
});

test('an idle connection behind a firewall gets no answer at all', async () => {
  await using s = await setup({ idle: { ms: 50, how: 'nothing' } });
  const c = client(s.proxy);
  await until('the connection', () => s.got[0]);
  await until('the drop', () => s.proxy.counts.expired === 1);
  c.socket.write('ping');
  await sleep(50);
  assert.equal(c.closed, false);
  assert.equal(s.got[0]?.bytes, 0);
});

test('an idle connection is closed as a classic load balancer does', async () => {
  await using s = await setup({ idle: { ms: 50, how: 'fin' } });
  const c = client(s.proxy);
  await until('the close', () => c.ended);
  assert.equal(c.error, undefined);
  await until('the close at the server', () => s.got[0]?.ended);
});

test('a new connection is turned away by RST or FIN, or hangs', async () => {
  await using s = await setup({ accept: 'rst' });
  const reset = client(s.proxy);
  await until('the RST', () => reset.error === 'ECONNRESET');
  s.proxy.setTrouble({ accept: 'fin' });
  const closed = client(s.proxy);
  await until('the FIN', () => closed.ended);
  s.proxy.setTrouble({ accept: 'hang' });
  const hanging = client(s.proxy);
  await once(hanging.socket, 'connect');
  hanging.socket.write('hello?');
  await sleep(50);
  assert.equal(hanging.closed, false);
  assert.equal(s.got.length, 0);
});

test('goes down and comes up on the same port, and ends what is open when asked', async () => {
  await using s = await setup();
  const c = client(s.proxy);
  c.socket.write('x');
  await until('the echo', () => c.bytes === 1);
  await s.proxy.down();
  const refused = client(s.proxy);
  await until('the refusal', () => refused.error === 'ECONNREFUSED');
  c.socket.write('y');
  await until('the echo', () => c.bytes === 2);
  s.proxy.cutAll('rst');
  await until('the cut', () => c.error === 'ECONNRESET');
  await s.proxy.up();
  const again = client(s.proxy);
  again.socket.write('z');
  await until('the echo', () => again.bytes === 1);
  again.socket.destroy();
});

test('an end or a reset of the server reaches the client, late as everything else', async () => {
  await using s = await setup({ latencyMs: 20 });
  const c = client(s.proxy);
  await until('the connection', () => s.got[0]);
  s.got[0]?.socket.resetAndDestroy();
  await until('the RST', () => c.error === 'ECONNRESET');
});

test('a connect to a hanging port neither succeeds nor fails', async () => {
  await using hanging = await hangingPort();
  const socket = connect(hanging.port, '127.0.0.1');
  let happened: string | undefined;
  for (const event of ['connect', 'error']) socket.on(event, () => (happened = event));
  await sleep(300);
  assert.equal(happened, undefined);
  socket.destroy();
});
