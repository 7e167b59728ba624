import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Capabilities, Endpoint, Session } from '../../src/endpoints/endpoint.ts';
import { type Lease, Pool } from '../../src/endpoints/pool.ts';
import { Fault } from '../../src/sync/errors.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

/** An endpoint without a network: what the pool does with sessions is all that is looked at. */
class Place {
  readonly opened: { session: Session; closed: boolean; fail: (fault: Fault) => void }[] = [];
  refuse: Fault | undefined;
  asked = 0;
  connects = 0;
  readonly endpoint: Endpoint;

  constructor(options: {
    filesInFlight: number;
    connections: number;
    idleMs?: number;
    positionalWrites?: boolean;
    roundTripMs?: number;
    /** Connects take until then. */
    connected?: Promise<void>;
  }) {
    const capabilities: Capabilities = {
      atomicRename: true,
      commitsAtClose: false,
      filesInFlight: options.filesInFlight,
      resume: false,
      positionalWrites: options.positionalWrites ?? false,
      checksum: 'read-back',
      setsMtime: true,
      asynchronous: false,
      byteNames: false,
      clockSkewMs: 0,
    };
    this.endpoint = {
      name: 'place',
      kind: 'test',
      capabilities,
      address: 'nowhere',
      connections: options.connections,
      idleMs: options.idleMs ?? 60_000,
      connect: async () => {
        this.asked += 1;
        await options.connected;
        return this.#connect(capabilities, options.roundTripMs);
      },
      probe: async function* () {},
    };
  }

  get live(): number {
    return this.opened.filter((one) => !one.closed).length;
  }

  async #connect(capabilities: Capabilities, roundTripMs: number | undefined): Promise<Session> {
    this.connects += 1;
    if (this.refuse !== undefined) throw this.refuse;
    let broken: Fault | undefined;
    const record = {
      closed: false,
      fail: (fault: Fault) => {
        broken = fault;
      },
    };
    const unused = (): never => assert.fail('the pool never uses a session itself');
    const session: Session = {
      capabilities,
      roundTripMs,
      get broken() {
        return broken;
      },
      send: unused,
      discard: unused,
      list: unused,
      stat: unused,
      source: unused,
      remove: unused,
      archive: unused,
      [Symbol.asyncDispose]: async () => {
        record.closed = true;
      },
    };
    this.opened.push({
      session,
      get closed() {
        return record.closed;
      },
      fail: record.fail,
    });
    return session;
  }
}

const signal = new AbortController().signal;

async function lease(pool: Pool, bytes = 1): Promise<Lease> {
  return pool.lease({ bytes, signal: AbortSignal.timeout(30_000) });
}

describe('a pool', () => {
  test('shares one session among as many small files as it can have in flight', async () => {
    const place = new Place({ filesInFlight: 64, connections: 4 });
    await using pool = new Pool(place.endpoint);
    await Promise.all(Array.from({ length: 64 }, () => lease(pool)));
    assert.equal(place.connects, 1);
  });

  test('opens more sessions for more files, never more than its limit', async () => {
    const place = new Place({ filesInFlight: 1, connections: 3 });
    await using pool = new Pool(place.endpoint);
    const held = await Promise.all([lease(pool), lease(pool), lease(pool)]);
    assert.equal(place.connects, 3);
    const fourth = lease(pool);
    held[0]?.release();
    assert.equal((await fourth).session, held[0]?.session);
    assert.equal(place.connects, 3);
  });

  test('opens one session for a file that comes while somebody makes sure that there is one', async () => {
    const connected = Promise.withResolvers<void>();
    const place = new Place({ filesInFlight: 1, connections: 4, connected: connected.promise });
    await using pool = new Pool(place.endpoint);
    const { signal } = new AbortController();
    const probed = pool.probe(signal);
    const leased = pool.lease({ bytes: 10, signal });
    connected.resolve();
    await probed;
    const lease = await leased;
    assert.equal(place.connects, 1);
    await pool.probe(signal); // while no place is free
    lease.release();
    assert.equal(place.connects, 1);
  });

  test('keeps room for small files beside large ones', async () => {
    const place = new Place({ filesInFlight: 8, connections: 1 });
    await using pool = new Pool(place.endpoint);
    await lease(pool, 1_000 * MIB);
    const second = lease(pool, 1_000 * MIB);
    const small = await lease(pool, 10);
    small.release();
    assert.equal(
      await Promise.race([
        second.then(
          () => 'admitted',
          () => 'refused',
        ),
        Promise.resolve('waiting'),
      ]),
      'waiting',
    );
  });

  test('lends idle sessions to a large file where ranges can be written', async () => {
    const place = new Place({ filesInFlight: 8, connections: 3, positionalWrites: true });
    await using pool = new Pool(place.endpoint);
    const large = await lease(pool, 100 * MIB);
    assert.equal(large.helpers.length, 2);
    assert.ok(!large.helpers.includes(large.session));
    large.release();
    const again = await lease(pool, 100 * MIB);
    assert.equal(again.helpers.length, 2);
  });

  test('lends none on a short line, where they cost more than they give', async () => {
    const place = new Place({ filesInFlight: 8, connections: 3, positionalWrites: true, roundTripMs: 0.2 });
    await using pool = new Pool(place.endpoint);
    const large = await lease(pool, 100 * MIB);
    assert.equal(large.helpers.length, 0);
    assert.equal(place.connects, 1);
  });

  test('asks for help while the first connection is still being made, when that takes long', async () => {
    const { promise: connected, resolve: connect } = Promise.withResolvers<void>();
    const place = new Place({ filesInFlight: 8, connections: 3, positionalWrites: true, connected });
    await using pool = new Pool(place.endpoint);
    const leasing = lease(pool, 100 * MIB);
    await until('more connections', () => place.asked === 3);
    assert.equal(place.connects, 0);
    connect();
    assert.equal((await leasing).helpers.length, 2);
  });

  test('never hands out a broken session again', async () => {
    const place = new Place({ filesInFlight: 8, connections: 1 });
    await using pool = new Pool(place.endpoint);
    const first = await lease(pool);
    place.opened[0]?.fail(new Fault('unreachable', 'cut'));
    first.release();
    const second = await lease(pool);
    assert.notEqual(second.session, first.session);
    assert.equal(place.opened[0]?.closed, true);
  });

  test('closes a session that sits idle', async () => {
    const place = new Place({ filesInFlight: 8, connections: 1, idleMs: 20 });
    await using pool = new Pool(place.endpoint);
    (await lease(pool)).release();
    await until('it to be closed', () => place.live === 0);
    await lease(pool);
    assert.equal(place.connects, 2);
  });

  test('tells all who wait when no connection can be made, and tries anew for the next', async () => {
    const place = new Place({ filesInFlight: 1, connections: 2 });
    place.refuse = new Fault('unreachable', 'refused', {
      code: 'ECONNREFUSED',
      advice: 'look at the security group',
    });
    await using pool = new Pool(place.endpoint);
    const results = await Promise.allSettled([lease(pool), lease(pool), lease(pool)]);
    for (const result of results) {
      assert.equal(result.status, 'rejected');
      assert.ok(result.reason instanceof Fault);
      assert.equal(result.reason.kind, 'unreachable');
      assert.equal(result.reason.during, 'connect');
      assert.equal(result.reason.advice, 'look at the security group');
    }
    place.refuse = undefined;
    await lease(pool);
  });

  test('does not hammer a server that refuses one connection more while others serve', async () => {
    const place = new Place({ filesInFlight: 1, connections: 4 });
    await using pool = new Pool(place.endpoint);
    const first = await lease(pool);
    place.refuse = new Fault('unreachable', 'too many');
    const waiting = Array.from({ length: 10 }, () => lease(pool));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(place.connects < 10, `${place.connects} connects`);
    first.release();
    for (const one of waiting) (await one).release();
  });

  test('lets go of whoever is aborted while waiting', async () => {
    const place = new Place({ filesInFlight: 1, connections: 1 });
    await using pool = new Pool(place.endpoint);
    const first = await lease(pool);
    const stop = new AbortController();
    const second = pool.lease({ bytes: 1, signal: stop.signal });
    stop.abort();
    await assert.rejects(second, (error) => error instanceof Fault && error.kind === 'aborted');
    first.release();
    await lease(pool);
  });

  test('closes everything and refuses afterwards', async () => {
    const place = new Place({ filesInFlight: 1, connections: 2 });
    const pool = new Pool(place.endpoint);
    await lease(pool);
    const waiting = [lease(pool), lease(pool)];
    await waiting[0];
    await pool.close();
    assert.equal(place.live, 0);
    await assert.rejects(Promise.all(waiting), Fault);
    await assert.rejects(pool.lease({ bytes: 1, signal }), Fault);
  });
});
