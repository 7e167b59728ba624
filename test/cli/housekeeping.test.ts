/** What a worker forgets, and what it removes, by itself. */

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type Home, makeHome } from '../support/ferry.ts';
import { until } from '../support/until.ts';

async function paths(home: Home): Promise<readonly unknown[]> {
  return (await home.ferry(['history', '--json']))
    .lines()
    .map(({ path, state }) => `${path} ${state}`)
    .toSorted();
}

test('a worker forgets what is older than history says, but for files that would be sent again', async () => {
  await using home = await makeHome();
  for (const folder of ['there', 'kept']) await mkdir(join(home.path, folder));
  await home.endpoints({ there: { type: 'local', path: './there' } });
  const to = (path: string) => ({ endpoint: 'there', path });
  await home.job('drop', { from: './outbox', to: to('drop'), settle: '0s', after: 'delete', history: '2h' });
  await home.job('keep', { from: './kept', to: to('keep'), settle: '0s', history: '1h' });
  await writeFile(join(home.outbox, 'old'), 'x');
  await writeFile(join(home.path, 'kept', 'old'), 'x');
  assert.equal((await home.ferry(['run', 'drop', 'keep'])).code, 0);
  const ledger = new DatabaseSync(join(home.dataFolder, 'ledger.sqlite'));
  ledger.exec(`UPDATE deliveries SET updated_at_ms = updated_at_ms - ${3 * 3_600_000}`);
  ledger.close();
  await writeFile(join(home.outbox, 'young'), 'x');
  assert.equal((await home.ferry(['run', 'drop'])).code, 0);
  assert.equal((await paths(home)).length, 3);

  const worker = await home.worker();
  await until('the old one to be forgotten', async () => (await paths(home)).length === 2);
  assert.equal((await worker.stop()).code, 0);
  assert.deepEqual(await paths(home), ['old delivered', 'young delivered']);
  assert.equal(
    (await home.ferry(['run', 'keep', '--json'])).lines()[0]?.delivered,
    0,
    'it is not sent again',
  );
  const [status] = (await home.ferry(['status', 'drop', '--json'])).lines();
  assert.equal(status?.delivered, 2, 'it stays counted');
});
