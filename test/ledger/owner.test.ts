/** One worker for a data folder, whatever happens to it. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockWorker } from '../../src/ledger/owner.ts';
import { claimAll, file, owe, take } from '../contract/ledger/values.ts';
import { within } from '../support/until.ts';
import { open } from './open.ts';

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-owner-'));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A process that holds the lock of a folder, or says that it cannot. */
async function startHolder(folder: string) {
  const module = new URL('../../src/ledger/owner.ts', import.meta.url).href;
  const program = `import { lockWorker } from ${JSON.stringify(module)};
    console.log(lockWorker(${JSON.stringify(folder)}) === undefined ? 'refused' : 'held');
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [said] = await within(30_000, 'the holder', once(child.stdout, 'data'));
  return {
    said: String(said).trim(),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

test('only one process at a time is the worker of a folder, and a killed one is not', async () => {
  await inFolder(async (folder) => {
    {
      await using holder = await startHolder(folder);
      assert.equal(holder.said, 'held');
      assert.equal(lockWorker(folder), undefined);
      await using second = await startHolder(folder);
      assert.equal(second.said, 'refused');
    }
    using mine = lockWorker(folder);
    assert.ok(mine);
    await using third = await startHolder(folder);
    assert.equal(third.said, 'refused');
  });
});

test('within a process too, and asking in vain does not cost the holder its lock', async () => {
  await inFolder(async (folder) => {
    const mine = lockWorker(join(folder, 'new', 'folder'));
    assert.ok(mine);
    assert.equal(lockWorker(join(folder, 'new', 'folder')), undefined);
    await using other = await startHolder(join(folder, 'new', 'folder'));
    assert.equal(other.said, 'refused');
    mine[Symbol.dispose]();
    mine[Symbol.dispose]();
    using again = lockWorker(join(folder, 'new', 'folder'));
    assert.ok(again);
  });
});

test('several that start at once: one of them is the worker', async () => {
  await inFolder(async (folder) => {
    const holders = await Promise.all(Array.from({ length: 4 }, () => startHolder(folder)));
    try {
      assert.deepEqual(holders.map(({ said }) => said).sort(), ['held', 'refused', 'refused', 'refused']);
    } finally {
      for (const holder of holders) await holder[Symbol.asyncDispose]();
    }
  });
});

test('a ledger that only reads leaves no trace of an owner; one that claims removes it at the end', async () => {
  await inFolder(async (folder) => {
    const ledger = open(folder);
    owe(ledger, file('a'));
    assert.deepEqual([...ledger.history({})].length, 1);
    assert.deepEqual(await readdir(folder), ['ledger.sqlite', 'ledger.sqlite-shm', 'ledger.sqlite-wal']);
    await claimAll(ledger, take(ledger));
    assert.deepEqual(await readdir(join(folder, 'owners')), [`${ledger.owner}.lock`]);
    ledger[Symbol.dispose]();
    assert.deepEqual(await readdir(join(folder, 'owners')), []);
    assert.deepEqual(await readdir(folder), ['ledger.sqlite', 'owners'], 'and its log is in the file');
  });
});
