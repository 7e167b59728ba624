import assert from 'node:assert/strict';
import { mkdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { watchConfig } from '../../src/triggers/config-watch.ts';
import { temporaryFolder } from '../support/files.ts';
import { until } from '../support/until.ts';

async function watching(folder: string) {
  const stop = new AbortController();
  let changes = 0;
  const watch = await watchConfig({
    folder,
    onChange: () => {
      changes += 1;
    },
    onAlarm: () => undefined,
    signal: stop.signal,
  });
  return {
    get changes() {
      return changes;
    },
    told: (count: number) => until(`change ${count}`, () => changes >= count),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await watch[Symbol.asyncDispose]();
    },
  };
}

// What is written in one turn of the event loop comes in one piece, however slow the machine.

test('an edit is told once, however the editor writes', async () => {
  await using jobs = await temporaryFolder('jobs');
  writeFileSync(join(jobs.path, 'a.yaml'), 'x');
  await using config = await watching(jobs.path);
  // in place, in pieces
  for (let at = 0; at < 5; at += 1) writeFileSync(join(jobs.path, 'a.yaml'), `${at}`);
  await config.told(1);
  // a new file under its final name, the old one kept as a backup, and what vim tries out before
  writeFileSync(join(jobs.path, '4913'), '');
  unlinkSync(join(jobs.path, '4913'));
  renameSync(join(jobs.path, 'a.yaml'), join(jobs.path, 'a.yaml~'));
  writeFileSync(join(jobs.path, '.a.yaml.swp'), 'x');
  renameSync(join(jobs.path, '.a.yaml.swp'), join(jobs.path, 'a.yaml'));
  await config.told(2);
  unlinkSync(join(jobs.path, 'a.yaml'));
  await config.told(3);
  assert.equal(config.changes, 3);
});

test('a mounted ConfigMap, whose files are links that change all at once', async () => {
  await using jobs = await temporaryFolder('jobs');
  await mkdir(join(jobs.path, '..v1'));
  await mkdir(join(jobs.path, '..v2'));
  await writeFile(join(jobs.path, '..v1/a.yaml'), 'x');
  await writeFile(join(jobs.path, '..v2/a.yaml'), 'y');
  await symlink('..v1', join(jobs.path, '..data'));
  await symlink('..data/a.yaml', join(jobs.path, 'a.yaml'));
  await using config = await watching(jobs.path);
  await symlink('..v2', join(jobs.path, '..new'));
  await rename(join(jobs.path, '..new'), join(jobs.path, '..data'));
  await config.told(1);
});

test('other files and folders do not matter', async () => {
  await using jobs = await temporaryFolder('jobs');
  await using config = await watching(jobs.path);
  writeFileSync(join(jobs.path, 'notes.txt'), 'x');
  mkdirSync(join(jobs.path, 'old.yaml.d'));
  writeFileSync(join(jobs.path, 'old.yaml.d/a.yaml'), 'x');
  writeFileSync(join(jobs.path, 'b.yml'), 'x');
  await config.told(1);
  assert.equal(config.changes, 1);
});
