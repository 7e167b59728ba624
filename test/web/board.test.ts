/** Bull Board over HTTP, on each kind of queue that Ferry may run on. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openBackend } from '../../src/queue/backend.ts';
import { Events } from '../../src/sync/events.ts';
import type { BoardQueue } from '../../src/web/board.ts';
import { startWeb } from '../../src/web/web.ts';
import { temporaryFolder } from '../support/files.ts';
import { calm } from './examples.ts';

async function showing(queues: () => readonly BoardQueue[]) {
  const web = await startWeb({
    address: '127.0.0.1:0',
    token: undefined,
    health: () => calm.health,
    metrics: { contentType: '', page: async () => '' },
    queues,
    overview: () => calm,
    warn: () => undefined,
  });
  assert.ok(web !== undefined);
  return web;
}

async function namesOn(url: string): Promise<readonly string[]> {
  const answer = await fetch(`${url}queues/api/queues`);
  const { queues }: { queues: { name: string }[] } = JSON.parse(await answer.text());
  return queues.map(({ name }) => name);
}

for (const kind of ['private-redis', 'memory'] as const) {
  describe(`on ${kind}`, () => {
    test('queues and their entries can be looked at, not changed, and may come and go', async () => {
      await using data = await temporaryFolder('board');
      await using backend = await openBackend({
        redisUrl: undefined,
        dataFolder: data.path,
        site: 'test',
        pathEnv: process.env.PATH,
        ...(kind === 'memory' ? { embedded: kind } : {}),
        events: new Events(),
        signal: new AbortController().signal,
      });
      assert.equal(backend.kind, kind);
      const first = await backend.makeQueue<{ readonly id: number }>('app-server');
      const second = await backend.makeQueue<{ readonly id: number }>('archive');
      await first.add('deliver', { id: 7 }, { delay: 600_000 });
      await first.add('deliver', { id: 8 });
      let queues: readonly BoardQueue[] = [first];
      await using web = await showing(() => queues);

      const page = await fetch(`${web.url}queues/`);
      const markup = await page.text();
      const script = /src="(static\/js\/main[^"]+)"/.exec(markup)?.[1];
      assert.equal(
        (await fetch(`${web.url}queues/${script}`)).headers.get('content-type')?.includes('javascript'),
        true,
      );
      assert.equal((await fetch(`${web.url}queues`)).status, 200);
      const answer = await fetch(
        `${web.url}queues/api/queues?activeQueue=app-server&status=latest&page=1&jobsPerPage=10`,
      );
      const told = await answer.text();
      assert.match(told, /"delayed":1/);
      assert.match(told, /"waiting":1/);
      assert.match(told, /"data":\{"id":7\}/);
      assert.match(told, /"readOnlyMode":true/);

      assert.deepEqual(await namesOn(web.url), ['app-server']);
      queues = [first, second];
      assert.deepEqual(await namesOn(web.url), ['app-server', 'archive']);
      queues = [second];
      assert.deepEqual(await namesOn(web.url), ['archive']);

      assert.equal((await fetch(`${web.url}queues/api/queues/archive/pause`, { method: 'PUT' })).status, 405);
      assert.equal(await second.isPaused(), false);
    });
  });
}
