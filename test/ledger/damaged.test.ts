/** Files that are not a ledger, or no longer, or not yet: each is refused with a message that names it and the remedy. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Database } from '../../src/ledger/database.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { MIGRATIONS } from '../../src/ledger/schema.ts';
import { Fault } from '../../src/sync/errors.ts';
import { file, owe, T0 } from '../contract/ledger/values.ts';
import { mountTmpfs } from '../support/tmpfs.ts';
import { open } from './open.ts';

function ledgerTest(title: string, body: (folder: string, path: string) => void | Promise<void>): void {
  test(title, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ferry-ledger-'));
    try {
      await body(folder, join(folder, 'ledger.sqlite'));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

function refuses(folder: string, code: string, path: string, remedy: RegExp): void {
  assert.throws(
    () => open(folder),
    (error) => {
      assert.ok(error instanceof Fault);
      assert.equal(error.code, code);
      assert.ok(error.message.includes(path), error.message);
      assert.match(error.advice ?? '', remedy);
      return true;
    },
  );
}

ledgerTest('a ledger of a newer Ferry is refused, and left as it is', async (folder, path) => {
  open(folder)[Symbol.dispose]();
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
  db.close();
  const before = await readFile(path);
  refuses(folder, 'LEDGER_NEWER', path, /newer Ferry|FERRY_DATA/);
  assert.ok(before.equals(await readFile(path)));
});

ledgerTest('a file that is no database is refused, and left as it is', async (folder, path) => {
  await writeFile(path, 'this is not a ledger at all, '.repeat(1000));
  const before = await readFile(path);
  refuses(folder, 'LEDGER_CORRUPT', path, /backup/);
  assert.ok(before.equals(await readFile(path)));
});

ledgerTest('a database of something else is refused, and left as it is', async (folder, path) => {
  const db = new DatabaseSync(path);
  db.exec('CREATE TABLE deliveries (a); PRAGMA user_version = 1');
  db.close();
  refuses(folder, 'LEDGER_CORRUPT', path, /move it/);
  const again = new DatabaseSync(path);
  assert.equal(again.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n, 1);
  again.close();
});

ledgerTest('a ledger damaged at its head is refused', async (folder, path) => {
  fill(folder);
  const bytes = await readFile(path);
  await writeFile(path, bytes.fill(0xa5, 100, 4096));
  refuses(folder, 'LEDGER_CORRUPT', path, /backup/);
});

ledgerTest('damage in the middle shows when it is met', async (folder, path) => {
  fill(folder);
  const bytes = await readFile(path);
  await writeFile(path, bytes.fill(0xa5, 4096 * Math.floor(bytes.length / 8192)));
  using ledger = new Closing(open(folder));
  assert.throws(() => [...ledger.it.history({})], {
    name: 'Fault',
    kind: 'permanent',
    code: 'LEDGER_CORRUPT',
  });
});

ledgerTest('an empty file is taken as a new ledger', async (folder, path) => {
  await writeFile(path, '');
  using ledger = new Closing(open(folder));
  assert.equal(owe(ledger.it, file('a')).state, 'due');
});

ledgerTest('a folder that cannot be made is refused', async (folder) => {
  await writeFile(join(folder, 'file'), '');
  assert.throws(() => open(join(folder, 'file', 'below')), {
    name: 'Fault',
    kind: 'permanent',
    advice: /FERRY_DATA/,
  });
});

ledgerTest('a folder on a disk that is read-only is called so', async (folder) => {
  await using disk = await mountTmpfs(100_000, folder);
  await disk.readOnly(true);
  assert.throws(() => open(join(folder, 'deep', 'below')), {
    name: 'Fault',
    code: 'EROFS',
    message: /read-only/,
  });
});

ledgerTest('a folder in the place of the ledger is refused', async (folder, path) => {
  await mkdir(path);
  refuses(folder, 'EACCES', path, /user that runs Ferry/);
});

ledgerTest('a ledger that another program keeps locked for a moment is waited for', async (folder, path) => {
  using ledger = new Closing(open(folder));
  const program = `const db = new (require('node:sqlite').DatabaseSync)(${JSON.stringify(path)});
    db.exec('BEGIN IMMEDIATE');
    console.log('locked');
    setTimeout(() => db.exec('ROLLBACK'), 500);`;
  const shell = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(shell, 'exit');
  await once(shell.stdout, 'data');
  assert.equal(owe(ledger.it, file('a')).state, 'due');
  await ended;
});

ledgerTest('migrations are applied in turn, each once, and all or none', (_folder, path) => {
  const versions = [
    'CREATE TABLE one (a)',
    'ALTER TABLE one ADD b; INSERT INTO one VALUES (1, 2)',
    'INSERT INTO two VALUES (1)',
  ];
  new Database(path, versions.slice(0, 1))[Symbol.dispose]();
  for (let again = 0; again < 2; again += 1) {
    using db = new Database(path, versions.slice(0, 2));
    assert.deepEqual(db.all('SELECT a, b FROM one'), [[1, 2]]);
    assert.deepEqual(db.get('PRAGMA user_version'), [2]);
  }
  assert.throws(() => new Database(path, versions), { name: 'Fault' });
  assert.throws(() => new Database(path, versions.slice(0, 1)), { name: 'Fault', code: 'LEDGER_NEWER' });
  using db = new Database(path, versions.slice(0, 2));
  assert.deepEqual(db.all('SELECT a, b FROM one'), [[1, 2]]);
});

ledgerTest('a ledger of the first version keeps what it knows of its jobs', (folder, path) => {
  {
    using db = new Database(path, MIGRATIONS.slice(0, 1));
    db.run(
      "INSERT INTO jobs (job, last_scan_ms, error_kind, error_message) VALUES ('a', 7, 'vanished', 'gone')",
    );
  }
  using ledger = new Closing(open(folder));
  const alarm = { kind: 'vanished', code: undefined, message: 'gone', advice: undefined } as const;
  const a = { job: 'a', lastScanMs: 7, lastCronMs: undefined, lastDeliveredMs: undefined, alarm };
  assert.deepEqual(ledger.it.job('a'), { ...a, mount: undefined });
  ledger.it.setJob('a', { mount: '/mnt/share' });
  assert.deepEqual(ledger.it.job('a'), { ...a, mount: '/mnt/share' });
});

function fill(folder: string): void {
  using ledger = new Closing(open(folder));
  ledger.it.owe(
    Array.from({ length: 2000 }, (_, n) => file(`${n}`)),
    T0,
  );
}

/** A ledger, and what it may still hold open where its closing fails. */
class Closing implements Disposable {
  readonly it: Ledger;

  constructor(ledger: Ledger) {
    this.it = ledger;
  }

  [Symbol.dispose](): void {
    this.it[Symbol.dispose]();
  }
}
