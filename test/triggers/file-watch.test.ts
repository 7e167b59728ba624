import assert from 'node:assert/strict';
import { rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { watchFiles } from '../../src/triggers/file-watch.ts';
import { temporaryFolder } from '../support/files.ts';
import { until } from '../support/until.ts';

test('a file that is written, replaced, removed or made is told, and nothing else', async () => {
  await using folder = await temporaryFolder('secrets');
  const at = (name: string): string => join(folder.path, name);
  await writeFile(at('one'), 'x');
  let changes = 0;
  let looks = 0;
  using _watch = watchFiles({
    files: () => {
      looks += 1;
      return [at('one'), at('other')];
    },
    everyMs: 10,
    onChange: () => {
      changes += 1;
    },
  });
  const seen = async (): Promise<void> => {
    const before = looks;
    await until('two more looks', () => looks >= before + 2);
  };
  await seen();
  await pause(20);
  assert.equal(changes, 0);
  const steps: readonly (() => Promise<void>)[] = [
    () => utimes(at('one'), 1_000, 1_000),
    () => writeFile(at('new'), 'longer').then(() => rename(at('new'), at('one'))),
    () => writeFile(at('new'), 'made').then(() => rename(at('new'), at('other'))),
    () => rm(at('other')),
    () => symlink(at('one'), at('other')),
  ];
  for (const [index, step] of steps.entries()) {
    await step();
    await until(`change ${index + 1}`, () => changes >= index + 1);
    await seen();
    assert.equal(changes, index + 1, 'told once');
  }
});
