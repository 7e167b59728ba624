/** What networks do to a delivery: whatever it is, the right bytes arrive once, in bounded time, and nothing is left. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SftpSession } from '../../../src/endpoints/sftp/session.ts';
import type { Fault } from '../../../src/sync/errors.ts';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { assertNoLeftovers, sha256OfFile } from '../../support/files.ts';
import { type GeneratedSource, generatedSource } from '../../support/source.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { until, within } from '../../support/until.ts';
import { calm, entryFor, rejection, sendOptions, sftp } from './kit.ts';

const SIZE = 20_000_000;
const TOKEN = 'feedfacecafebeef';

describe('a delivery survives', () => {
  let sshd: Sshd;
  let proxy: FaultProxy;
  before(async () => {
    sshd = await startSshd({ config: ['MaxStartups 100'] });
    proxy = await startFaultProxy({ port: sshd.port });
  });
  afterEach(async () => {
    proxy.setTrouble({});
    await assertNoLeftovers(sshd.folder);
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await sshd[Symbol.asyncDispose]();
  });

  const endpoint = (more: object = {}) =>
    sftp(entryFor(sshd, { port: proxy.port, timeout: '3s', keepAlive: '300ms', ...more }));

  interface Attempts {
    readonly faults: readonly Fault[];
  }

  /** As a worker does it: attempt after attempt, each with new connections and what the one before noted. */
  async function deliver(source: GeneratedSource, sessions: number, name: string): Promise<Attempts> {
    const server = endpoint();
    const faults: Fault[] = [];
    let note: string | undefined;
    for (let attempt = 0; attempt < 6; attempt += 1) {
      await using open = new AsyncDisposableStack();
      const [first, ...helpers] = await connectAll(server, sessions, open);
      assert.ok(first !== undefined);
      const options = sendOptions({
        token: TOKEN,
        helpers,
        resume: note,
        checkpoint: async (text) => {
          note = text;
        },
      });
      try {
        const result = await within(60_000, 'the attempt', first.send(source, name, options));
        assert.equal(result.state, 'done');
        assert.equal(source.openNow, 0);
        assert.equal(await sha256OfFile(join(sshd.folder, name)), source.sha256);
        return { faults };
      } catch (error) {
        const fault = await rejection(Promise.reject(error));
        assert.equal(fault.kind, 'unreachable', fault.message);
        assert.equal(first.broken?.kind, 'unreachable');
        faults.push(fault);
      }
    }
    return assert.fail(`not delivered after ${faults.map((fault) => fault.message).join('; ')}`);
  }

  async function connectAll(
    server: ReturnType<typeof endpoint>,
    count: number,
    open: AsyncDisposableStack,
  ): Promise<readonly SftpSession[]> {
    const sessions: SftpSession[] = [];
    for (let n = 0; n < count; n += 1) sessions.push(open.use(await server.connect(calm.signal)));
    return sessions;
  }

  for (const { by, tenths } of [
    { by: 'rst', tenths: [1, 2, 3, 4, 5, 6, 7, 8, 9] },
    { by: 'fin', tenths: [3, 8] },
  ] as const) {
    test(`a cut at each tenth of a file (${by})`, async () => {
      for (const tenth of tenths) {
        const source = generatedSource({ sizeBytes: SIZE, seed: `cut ${tenth} ${by}` });
        const sent = proxy.counts.bytesUp;
        const afterBytes = Math.floor((SIZE * tenth) / 10);
        proxy.setTrouble({ cut: { afterBytes, direction: 'up', by, times: 1 } });
        const { faults } = await deliver(source, 1, `cut ${tenth} ${by}`);
        assert.equal(faults.length, 1);
        // What had arrived by then is not sent again, but for what was on its way.
        const again = proxy.counts.bytesUp - sent - SIZE;
        if (tenth > 4) assert.ok(again < SIZE * 0.25, `${again} bytes were sent again`);
      }
    });
  }

  test('a cut of all connections that work on a file, at each tenth', async () => {
    for (let tenth = 1; tenth < 10; tenth += 1) {
      const source = generatedSource({ sizeBytes: SIZE, seed: `all ${tenth}` });
      const name = `all ${tenth}`;
      const afterBytes = Math.floor((SIZE * tenth) / 10);
      proxy.setTrouble({ cut: { afterBytes, direction: 'up', by: 'rst', counting: 'all', times: 1 } });
      const cutSoFar = proxy.counts.cut;
      let all = false;
      const watch = setInterval(() => {
        if (all || proxy.counts.cut === cutSoFar) return;
        all = true;
        proxy.cutAll('rst');
      }, 1);
      try {
        await deliver(source, 3, name);
      } finally {
        clearInterval(watch);
      }
      assert.ok(proxy.counts.cut > cutSoFar);
      proxy.setTrouble({});
    }
  });

  test('the loss of a helper, without another attempt', async () => {
    for (const how of ['cut', 'black hole'] as const) {
      const source = generatedSource({ sizeBytes: SIZE * 2, seed: how });
      const { accepted } = proxy.counts;
      const connection = accepted + 2; // the first is the session's own
      proxy.setTrouble(
        how === 'cut'
          ? { cut: { afterBytes: 3_000_000, direction: 'up', by: 'rst', connection, times: 1 } }
          : { blackHole: { afterBytes: 3_000_000, direction: 'up', connection } },
      );
      const { faults } = await deliver(source, 3, how);
      assert.deepEqual(faults, []);
    }
  });

  test('a line that swallows everything from the middle of a file on', async () => {
    for (const sessions of [1, 3]) {
      const source = generatedSource({ sizeBytes: SIZE, seed: `hole ${sessions}` });
      const connection = proxy.counts.accepted + 1;
      proxy.setTrouble({ blackHole: { afterBytes: 4_000_000, direction: 'up', connection } });
      const { faults } = await deliver(source, sessions, `hole ${sessions}`);
      assert.deepEqual(
        faults.map((fault) => fault.code),
        ['ETIMEDOUT'],
      );
    }
  });

  test('a balancer that forgets an idle connection between two files', async () => {
    for (const how of ['rst', 'nothing', 'fin'] as const) {
      await using session = await endpoint({ keepAlive: '60s' }).connect(calm.signal);
      await session.send(generatedSource({ sizeBytes: 10 }), `idle ${how} 1`, sendOptions());
      const { expired } = proxy.counts;
      proxy.setTrouble({ idle: { ms: 300, how } });
      await until('the balancer to forget it', () => proxy.counts.expired > expired);
      const second = session.send(generatedSource({ sizeBytes: 10 }), `idle ${how} 2`, sendOptions());
      const fault = await within(60_000, 'the fault', rejection(second));
      assert.equal(fault.kind, 'unreachable', fault.message);
      assert.equal(session.broken?.kind, 'unreachable');
      proxy.setTrouble({});
      await deliver(generatedSource({ sizeBytes: 10 }), 1, `idle ${how} 2`);
    }
  });

  test('idle times, when keep-alive is more frequent than the balancer forgets', async () => {
    const idleMs = 2_000;
    await using session = await endpoint({ keepAlive: undefined, idleTimeout: '1s' }).connect(calm.signal);
    const { expired } = proxy.counts;
    proxy.setTrouble({ idle: { ms: idleMs, how: 'nothing' } });
    await sleep(2.5 * idleMs);
    await session.send(generatedSource({ sizeBytes: 10 }), 'kept alive', sendOptions());
    assert.equal(proxy.counts.expired, expired);
  });

  test('a slow line, which is never taken for a dead one while bytes move', async () => {
    proxy.setTrouble({ bytesPerSecond: 400_000 });
    const source = generatedSource({ sizeBytes: 2_000_000, seed: 'slow' });
    const { faults } = await deliver(source, 1, 'slow');
    assert.deepEqual(faults, []);
  });

  test('a server that goes away and comes back', async () => {
    let stopped: Promise<void> | undefined;
    const source = generatedSource({
      sizeBytes: SIZE,
      seed: 'restart',
      beforeChunk: (at) => {
        if (at > SIZE / 2) stopped ??= sshd.stop().then(() => sshd.start());
      },
    });
    await using session = await endpoint().connect(calm.signal);
    const send = session.send(source, 'restart', sendOptions({ token: TOKEN }));
    assert.equal((await within(60_000, 'the fault', rejection(send))).kind, 'unreachable');
    await stopped;
    await deliver(generatedSource({ sizeBytes: SIZE, seed: 'restart' }), 1, 'restart');
  });

  test('a cut with many small files in flight, of which each is told', async () => {
    const files = Array.from({ length: 300 }, (_, n) => {
      const token = n.toString(16).padStart(16, '0');
      return { name: `many/${n}`, token, source: generatedSource({ sizeBytes: 4096, seed: `${n}` }) };
    });
    const missing = new Set(files);
    proxy.setTrouble({ cut: { afterBytes: 500_000, direction: 'up', by: 'rst', times: 1 } });
    for (let attempt = 0; attempt < 3 && missing.size > 0; attempt += 1) {
      await using session = await endpoint().connect(calm.signal);
      await Promise.all(
        [...missing].map(async (file) => {
          const send = session.send(file.source, file.name, sendOptions({ token: file.token }));
          const fault = await within(60_000, 'a file', send).then(
            () => undefined,
            (error: unknown) => error,
          );
          if (fault === undefined) missing.delete(file);
          else assert.equal((await rejection(Promise.reject(fault))).kind, 'unreachable');
        }),
      );
      assert.equal(missing.size > 0, attempt === 0);
    }
    for (const { name, source } of files) {
      assert.equal(await sha256OfFile(join(sshd.folder, name)), source.sha256);
    }
  });

  test('being told to stop on a line that is dead', async () => {
    proxy.setTrouble({ blackHole: { afterBytes: 2_000_000, direction: 'up' } });
    await using session = await endpoint({ timeout: '60s' }).connect(calm.signal);
    const stop = new AbortController();
    const source = generatedSource({ sizeBytes: SIZE, seed: 'stop' });
    const send = session.send(source, 'stop', sendOptions({ signal: stop.signal, token: TOKEN }));
    send.catch(() => undefined); // awaited below
    await sleep(500);
    const calls = [
      send,
      session.stat('stop', { signal: stop.signal }),
      Array.fromAsync(session.list('', { signal: stop.signal })),
    ];
    await sleep(100);
    stop.abort();
    for (const call of calls) {
      assert.equal((await within(60_000, 'the stop', rejection(call))).kind, 'aborted');
    }
    assert.ok(session.broken !== undefined);
    proxy.setTrouble({});
    await using next = await endpoint().connect(calm.signal);
    await next.discard('stop', TOKEN, undefined, calm);
  });
});
