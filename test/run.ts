/**
 * `npm test`: installs what is missing, builds ssh2's native crypto, runs every `*.test.ts` below `test` (or those
 * whose path holds one of the arguments: `npm test -- test/ledger`), and ends with `N passed, N failed`. A test
 * that is skipped or to do, a file without tests, and anything left behind count as failed.
 */

import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { type FileResult, runFile } from './setup/file.ts';
import { ensureSystem } from './setup/system.ts';

const CONCURRENCY = 2;

const root = join(import.meta.dirname, '..');
process.exitCode = await main(process.argv.slice(2));

async function main(filters: readonly string[]): Promise<number> {
  try {
    ensureSystem();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
  // Compilers may have come only now; the architecture test says whether it worked.
  spawnSync(process.execPath, [join(root, 'src/install/native-crypto.js')], { cwd: root, stdio: 'inherit' });

  const files = globSync('test/**/*.test.ts', { cwd: root })
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const results = await runAll(
    files.map((file) => join(root, file)),
    stop.signal,
  );
  for (const { report } of results) if (report !== '') console.log(`\n${report}`);

  const passed = sum(results.map((result) => result.passed));
  const failed = sum(results.map((result) => result.failed));
  if (stop.signal.aborted) console.log('Stopped before all was run');
  if (files.length === 0) console.log(`No test file matches ${filters.join(' ')}`);
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 || stop.signal.aborted ? 1 : 0;
}

/** A few files at a time; a line for each as it ends. */
async function runAll(files: readonly string[], stop: AbortSignal): Promise<readonly FileResult[]> {
  const results: FileResult[] = [];
  const waiting = files.values();
  const work = async (): Promise<void> => {
    for (const file of waiting) {
      if (stop.aborted) return;
      const result = await runFile(file, root, stop);
      results.push(result);
      const verdict =
        result.failed === 0 ? `${result.passed} ok` : `${result.failed} FAILED, ${result.passed} ok`;
      console.log(`${result.seconds.toFixed(1).padStart(6)} s  ${result.name}  ${verdict}`);
      for (const note of result.notes) console.log(`          ${note}`);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  return results.sort((a, b) => a.name.localeCompare(b.name));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
