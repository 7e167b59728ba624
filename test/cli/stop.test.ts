/** Stops while a file is on its way: what is told, what becomes of the file, and how the command ends. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { endpointOf, type Home, makeHome, type Running } from '../support/ferry.ts';
import { assertNoLeftovers, sha256OfContent, sha256OfFile, writeContent } from '../support/files.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { until, within } from '../support/until.ts';

const SIZE = 12_000_000;

describe('while a file is on its way', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server[Symbol.asyncDispose]());

  interface Stuck {
    readonly home: Home;
    readonly running: Running;
    /** What is sent goes on. */
    free(): void;
  }

  /** Starts the command; the file that it sends gets stuck after two of its twelve million bytes. */
  async function withStuck(name: string, command: readonly string[], body: (stuck: Stuck) => Promise<void>) {
    await using home = await makeHome();
    await using proxy: FaultProxy = await startFaultProxy({ port: server.port });
    proxy.setTrouble({ blackHole: { afterBytes: 2_000_000, direction: 'up' } });
    const inbox = join(server.folder, name);
    await mkdir(inbox);
    await home.endpoints({ server: endpointOf(server, { port: proxy.port, connections: 1 }) });
    const to = { endpoint: 'server', path: inbox };
    await home.job('drop', { from: './outbox', to, settle: '0s', when: { watch: true } });
    await writeContent(join(home.outbox, 'large'), name, SIZE);
    const running = home.start(command, { FERRY_LOG: 'debug' });
    await until('the file to be on its way', () => proxy.counts.bytesUp >= 2_000_000, { timeoutMs: 60_000 });
    await body({ home, running, free: () => proxy.setTrouble({}) });

    // However it ended, the next one brings the file there, at the cost of no attempt.
    proxy.setTrouble({});
    const ended = await home.ferry(['run', 'drop']);
    assert.equal(ended.code, 0, ended.stderr);
    const rows = (await home.ferry(['history', '--json'])).lines();
    assert.deepEqual(
      rows.map(({ state, attempts }) => ({ state, attempts })),
      [{ state: 'delivered', attempts: 1 }],
    );
    assert.equal(await sha256OfFile(join(inbox, 'large')), sha256OfContent(name, SIZE));
    await assertNoLeftovers(inbox);
  }

  async function stateOf(home: Home): Promise<unknown> {
    return (await home.ferry(['history', '--json'])).lines()[0]?.state;
  }

  for (const [what, signals] of [
    ['SIGTERM', ['SIGTERM']],
    ['Ctrl-C, which npm passes on once more,', ['SIGINT', 'SIGINT']],
  ] as const) {
    test(`${what} lets the worker finish it`, () =>
      withStuck(`finish-${signals[0]}`, ['start'], async ({ home, running, free }) => {
        for (const signal of signals) running.child.kill(signal);
        await until('the stop to be told', () => /"event":"stopping"/.test(running.output()));
        assert.match(running.output(), /what is on its way gets its time \(again to stop at once\)/);
        free();
        const ended = await running.ended;
        assert.equal(ended.code, 0, ended.stderr);
        assert.equal(await stateOf(home), 'delivered');
      }));
  }

  test('a stop ends when its grace is over, and the file is due', () =>
    withStuck('grace', ['start', '--grace', '300ms'], async ({ home, running }) => {
      const ended = await within(60_000, 'the stop', running.stop());
      assert.equal(ended.code, 0, ended.stderr);
      assert.equal(await stateOf(home), 'due');
    }));

  test('a second signal ends the worker at once', () =>
    withStuck('twice', ['start'], async ({ running }) => {
      running.child.kill('SIGTERM');
      await until('the stop to be told', () => /again to stop at once/.test(running.output()));
      await sleep(1_000); // Sooner it would count as the same.
      running.child.kill('SIGTERM');
      const ended = await within(30_000, 'the stop', running.ended);
      assert.equal(ended.code, 130, ended.stderr);
    }));

  test('Ctrl-C ends a run soon, and the file is due', () =>
    withStuck('run', ['run', 'drop', '--json'], async ({ home, running }) => {
      const ended = await within(60_000, 'the stop', running.stop('SIGINT'));
      assert.equal(ended.code, 130, ended.stderr);
      assert.equal(ended.lines()[0]?.delivered, 0);
      assert.equal(await stateOf(home), 'due');
    }));

  test('--timeout ends a run with exit code 3, and the file is due', () =>
    withStuck('timeout', ['run', 'drop', '--json', '--timeout', '15s'], async ({ home, running }) => {
      const ended = await within(60_000, 'the end', running.ended);
      assert.equal(ended.code, 3, ended.stderr);
      assert.match(ended.stderr, /the time was up \(--timeout 15s\); what is left stays due/);
      assert.equal(await stateOf(home), 'due');
    }));
});
