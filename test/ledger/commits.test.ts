/** What a promise of the ledger stands for: the log was flushed to the disk, and not once for each call. */

import assert from 'node:assert/strict';
import fs, { mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Commits } from '../../src/ledger/commits.ts';
import { Database } from '../../src/ledger/database.ts';
import { Fault } from '../../src/sync/errors.ts';

interface Disk {
  readonly db: Database;
  readonly commits: Commits;
  /** How many flushes were asked for. */
  asked(): number;
  /** Lets a flush that waits end. */
  end(error?: Error): void;
}

/** Commits on a real file whose flushes end when the test says so. */
function withSlowDisk(title: string, body: (disk: Disk) => Promise<void>): void {
  test(title, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ferry-commits-'));
    const waiting: ((error: NodeJS.ErrnoException | null) => void)[] = [];
    const flush = mock.method(fs, 'fdatasync', (_fd: number, done: fs.NoParamCallback) => {
      waiting.push(done);
    });
    syncBuiltinESMExports();
    try {
      using db = new Database(join(folder, 'test.sqlite'), ['CREATE TABLE t (a UNIQUE)']);
      using commits = new Commits(db);
      await body({
        db,
        commits,
        asked: () => flush.mock.callCount(),
        end: (error) => waiting.shift()?.(error ?? null),
      });
    } finally {
      flush.mock.restore();
      syncBuiltinESMExports();
      rmSync(folder, { recursive: true });
    }
  });
}

const insert = (db: Database, value: number) => () => {
  db.run('INSERT INTO t VALUES (?)', value);
};
const count = (db: Database) => db.get('SELECT count(*) FROM t')?.[0];

withSlowDisk(
  'a call resolves when the log has been flushed after it was written',
  async ({ db, commits, asked, end }) => {
    let resolved = false;
    const done = commits.add(insert(db, 1)).then(() => {
      resolved = true;
    });
    await turn();
    await turn();
    assert.equal(count(db), 1);
    assert.equal(asked(), 1);
    assert.equal(resolved, false);
    end();
    await done;
  },
);

withSlowDisk(
  'calls that come while the disk is busy share the next flush',
  async ({ db, commits, asked, end }) => {
    const first = [1, 2, 3].map((n) => commits.add(insert(db, n)));
    await turn();
    const second: Promise<void>[] = [];
    for (let n = 10; n < 60; n += 1) {
      second.push(commits.add(insert(db, n)));
      if (n % 10 === 0) await turn();
    }
    assert.equal(asked(), 1);
    assert.equal(count(db), 3, 'and are not written before');
    end();
    await Promise.all(first);
    await turn();
    await turn();
    assert.equal(asked(), 2);
    end();
    await Promise.all(second);
    assert.equal(count(db), 53);
    assert.equal(asked(), 2);
  },
);

withSlowDisk('what need not be durable waits for no disk, and what fails beside it', async (disk) => {
  const { db, commits, asked, end } = disk;
  const first = commits.add(insert(db, 1));
  await turn();
  await turn();
  const soon = Promise.allSettled([2, 2, 3].map((n) => commits.soon(insert(db, n))));
  let durable = false;
  const second = commits.add(insert(db, 4)).then(() => {
    durable = true;
  });
  assert.deepEqual(
    (await soon).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual([count(db), asked(), durable], [4, 1, false], 'and what was to wait was written with it');
  end();
  await first;
  await turn();
  await turn();
  assert.deepEqual([asked(), durable], [2, false]);
  end();
  await second;
});

withSlowDisk('what fails fails alone', async ({ db, commits, end }) => {
  const calls = [1, 2, 2, 3].map((n) => commits.add(insert(db, n)));
  const half = commits.add(() => {
    insert(db, 4)();
    throw new Fault('aborted', 'half way');
  });
  const failures = Promise.allSettled([...calls, half]);
  await turn();
  await turn();
  end();
  const results = await failures;
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'rejected'],
  );
  assert.equal(count(db), 3, 'with all that it had done');
});

withSlowDisk('a flush that fails is told to all that waited for it', async ({ db, commits, end }) => {
  const calls = Promise.allSettled([1, 2].map((n) => commits.add(insert(db, n))));
  await turn();
  await turn();
  end(Object.assign(new Error('i/o error'), { code: 'EIO' }));
  for (const result of await calls) {
    assert.ok(result.status === 'rejected' && result.reason instanceof Fault);
    assert.equal(result.reason.code, 'EIO');
  }
  const next = commits.add(insert(db, 3));
  await turn();
  await turn();
  end();
  await next;
});

withSlowDisk('closing writes and flushes what waits', async ({ db, commits, end }) => {
  const flushed = mock.method(fs, 'fdatasyncSync');
  syncBuiltinESMExports();
  const busy = commits.add(insert(db, 1));
  await turn();
  await turn();
  const waiting = commits.add(insert(db, 2));
  commits[Symbol.dispose]();
  await waiting;
  assert.equal(flushed.mock.callCount(), 1);
  assert.equal(count(db), 2);
  end();
  await busy;
  await assert.rejects(commits.add(insert(db, 3)), { name: 'Fault', code: 'LEDGER_CLOSED' });
  flushed.mock.restore();
});
