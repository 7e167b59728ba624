import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { directRoad } from '../../src/roads/direct.ts';
import { hostPort } from '../../src/roads/road.ts';
import { Fault } from '../../src/sync/errors.ts';
import { hangingPort } from '../support/hanging-port.ts';
import { within } from '../support/until.ts';

const calm = new AbortController().signal;
const options = { host: '127.0.0.1', timeoutMs: 5_000, keepAliveMs: 15_000 };

describe('the direct road', () => {
  test('leads to a port, and tells of its steps', async () => {
    const server = createServer((socket) => socket.end('hello'));
    server.listen(0, '::');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    for (const host of ['127.0.0.1', '::1', 'localhost']) {
      const passed: string[] = [];
      const road = directRoad({ ...options, host, port: address.port });
      const duplex = await road.open(calm, (step) => passed.push(step));
      assert.equal(String(Buffer.concat(await Array.fromAsync(duplex))), 'hello');
      assert.deepEqual(passed, ['name', 'tcp']);
    }
    server.close();
    await once(server, 'close');
  });

  test('ends in time where packets are dropped, and says what that usually means', async () => {
    await using port = await hangingPort();
    const road = directRoad({ ...options, port: port.port, timeoutMs: 300 });
    const fault = await within(
      5_000,
      'the connect',
      road.open(calm).catch((error: unknown) => error),
    );
    assert.ok(fault instanceof Fault);
    assert.deepEqual([fault.kind, fault.code], ['unreachable', 'ETIMEDOUT']);
    assert.match(fault.advice ?? '', /security group.*load balancer/);
  });

  test('is given up when it is told to', async () => {
    await using port = await hangingPort();
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    const road = directRoad({ ...options, port: port.port, timeoutMs: 60_000 });
    await assert.rejects(within(20_000, 'the stop', road.open(stop.signal)), { kind: 'aborted' });
    await assert.rejects(road.open(AbortSignal.abort()), { kind: 'aborted' });
  });

  test('writes addresses as one reads them', () => {
    assert.equal(hostPort('server', 22), 'server:22');
    assert.equal(hostPort('::1', 22), '[::1]:22');
  });
});
