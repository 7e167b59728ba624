import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, isIP, type LookupFunction } from 'node:net';
import { describe, test } from 'node:test';
import { type DirectOptions, directRoad } from '../../src/roads/direct.ts';
import { hostPort, type Passed } from '../../src/roads/road.ts';
import { Fault } from '../../src/sync/errors.ts';
import { hangingPort } from '../support/hanging-port.ts';
import { freePort } from '../support/ports.ts';
import { within } from '../support/until.ts';

const calm = new AbortController().signal;
const options = { host: '127.0.0.1', timeoutMs: 5_000, keepAliveMs: 15_000 };

async function helloServer(host: string) {
  const server = createServer((socket) => socket.end('hello')).listen(await freePort(), host);
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    port: address.port,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

/** What comes from a name with these addresses, in this order. */
async function said(
  addresses: readonly string[],
  port: number,
  more: Partial<DirectOptions> = {},
  passed?: Passed,
): Promise<string> {
  const lookup: LookupFunction = (_, { all, family }, answer) => {
    const found = addresses.map((address) => ({ address, family: isIP(address) }));
    const fit = found.filter((each) => !family || each.family === family);
    const [first] = fit;
    if (first === undefined) answer(Object.assign(new Error('none'), { code: 'ENOTFOUND' }), []);
    else if (all === true) answer(null, fit);
    else answer(null, first.address, first.family);
  };
  const road = directRoad({ ...options, timeoutMs: 20_000, host: 'name.example', port, lookup, ...more });
  return String(Buffer.concat(await Array.fromAsync(await road.open(calm, passed))));
}

describe('the direct road', () => {
  test('leads to a port, and tells of its steps', async () => {
    await using server = await helloServer('::');
    for (const host of ['127.0.0.1', '::1', 'localhost']) {
      const passed: string[] = [];
      const road = directRoad({ ...options, host, port: server.port });
      const duplex = await road.open(calm, (step) => passed.push(step));
      assert.equal(String(Buffer.concat(await Array.fromAsync(duplex))), 'hello');
      assert.deepEqual(passed, ['name', 'tcp']);
    }
  });

  test('tries the other address of a name where one is dead or refuses', async () => {
    for (const both of [
      ['127.0.0.1', '::1'],
      ['::1', '127.0.0.1'],
    ]) {
      const [dead = '', alive = ''] = both;
      await using server = await helloServer(alive);
      const { port } = server;
      assert.equal(await said(both, port), 'hello', 'where the first refuses');
      await using _ = await hangingPort(dead, port);
      assert.equal(
        await within(20_000, 'the connect', said(both, port)),
        'hello',
        'where the first is silent',
      );
      const from = { bindAddress: alive };
      const tried: string[] = [];
      const note: Passed = (step, what) => void tried.push(`${step}: ${what}`);
      assert.equal(await within(20_000, 'the connect', said(both, port, from, note)), 'hello');
      assert.ok(tried.length > 0 && !tried.join().includes(dead), `of one family only: ${tried.join()}`);
      await assert.rejects(said([dead], port, from), /has no IPv. address to reach from/);
    }
  });

  test('tries every address of a name from the one that it is told to connect from', async () => {
    await using server = await helloServer('127.0.0.1');
    const { port } = server;
    const from = { bindAddress: '127.0.0.9' };
    assert.equal(await said(['::1', '127.0.0.2', '127.0.0.1'], port, from), 'hello', 'where one refuses');
    await using _ = await hangingPort('127.0.0.2', port);
    assert.equal(await within(20_000, 'the connect', said(['127.0.0.2', '127.0.0.1'], port, from)), 'hello');
    await assert.rejects(said(['127.0.0.2'], port, { ...from, timeoutMs: 300 }), { code: 'ETIMEDOUT' });
    await assert.rejects(said(['127.0.0.2', '127.0.0.3'], port, { ...from }), { code: 'ECONNREFUSED' });
  });

  test('ends in time where packets are dropped, and says what that usually means', async () => {
    await using port = await hangingPort();
    const road = directRoad({ ...options, port: port.port, timeoutMs: 300 });
    const fault = await within(
      30_000,
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
