/** Runs one test file in a process of its own by Node's test runner, and sums up what happened. */

import { dirname, relative } from 'node:path';
import type { EventData } from 'node:test';
import { run } from 'node:test';
import { inspect } from 'node:util';
import { makeSandbox } from './leftovers.ts';

const TEST_TIMEOUT_MS = 10 * 60_000;
const FILE_TIMEOUT_MS = 20 * 60_000;
/** A test's diagnostic that begins so is shown whether it passes or not. */
const NOTE = 'note: ';

export interface FileResult {
  /** As a person would write it. */
  readonly name: string;
  readonly passed: number;
  /** Also what was cancelled, skipped or left to do, what was left behind, and a file without any test. */
  readonly failed: number;
  readonly seconds: number;
  /** What a person needs to see of the failures. */
  readonly report: string;
  /** What tests have to say when they pass, too: how they were run, what they counted. */
  readonly notes: readonly string[];
}

/** @param stop ends the file's process; what it leaves is cleared all the same */
export async function runFile(file: string, root: string, stop: AbortSignal): Promise<FileResult> {
  const name = relative(root, file);
  const sandbox = makeSandbox();
  const troubles: string[] = [];
  const output: string[] = [];
  const notes: string[] = [];
  const start = performance.now();
  let passed = 0;
  let failed = 0;
  let succeeded = false;
  const trouble = (what: string): void => {
    failed += 1;
    troubles.push(`✖ ${name}: ${what}`);
  };
  const failure = (test: EventData.TestFail): void => {
    const { failureType } = failureOf(test.details.error);
    if (failureType === 'subtestsFailed') {
      if (test.details.type !== 'suite') failed += 1; // counted as a test of its own, explained by its subtests
      return;
    }
    trouble(
      `${titleOf(test, file)} (${Math.round(test.details.duration_ms)} ms)\n${indent(explain(test.details.error))}`,
    );
  };

  const events = run({
    files: [file],
    isolation: 'process',
    timeout: TEST_TIMEOUT_MS,
    signal: AbortSignal.any([stop, AbortSignal.timeout(FILE_TIMEOUT_MS)]),
    cwd: root,
    env: environment(sandbox.folder),
  });
  for await (const event of events) {
    if (event.type === 'test:stdout' || event.type === 'test:stderr') output.push(event.data.message);
    // The runner's own totals belong to no file.
    if (event.type === 'test:diagnostic' && event.data.file !== undefined) {
      const { message } = event.data;
      if (message.startsWith(NOTE)) notes.push(message.slice(NOTE.length));
      else output.push(`${message}\n`);
    }
    if (event.type === 'test:fail') failure(event.data);
    if (event.type === 'test:summary' && event.data.file === undefined) succeeded = event.data.success;
    if (event.type === 'test:pass') {
      const { data } = event;
      if (data.name === file) trouble('runs no test');
      else if (data.skip !== undefined) trouble(`${titleOf(data, file)} is skipped`);
      else if (data.todo !== undefined) trouble(`${titleOf(data, file)} is still to do`);
      else if (data.details.type !== 'suite') passed += 1;
    }
  }
  if (!succeeded && failed === 0) trouble('failed outside its tests');
  for (const left of await sandbox.clear()) trouble(`left behind ${left}`);

  const said = output.join('').trim();
  if (failed > 0 && said !== '') troubles.push(`  It printed:\n${indent(said)}`);
  return {
    name,
    passed,
    failed,
    seconds: (performance.now() - start) / 1000,
    report: troubles.join('\n'),
    notes,
  };
}

/** This very Node is `node` for whatever a test starts, and temporary files go where they can be counted. */
function environment(folder: string): NodeJS.ProcessEnv {
  const { PATH = '', ...rest } = process.env;
  return { ...rest, PATH: `${dirname(process.execPath)}:${PATH}:/usr/sbin:/sbin`, TMPDIR: folder };
}

interface Titled {
  readonly name: string;
  readonly classname?: string;
  readonly line?: number;
}

function titleOf(test: Titled, file: string): string {
  if (test.name === file) return 'the file as a whole';
  const path = test.classname === undefined ? test.name : `${test.classname} › ${test.name}`;
  return test.line === undefined ? path : `${path} (line ${test.line})`;
}

function failureOf(error: Error): { readonly failureType: string | undefined } {
  const failureType = 'failureType' in error ? String(error.failureType) : undefined;
  return { failureType };
}

/** Node wraps what a test threw. */
function explain(error: Error): string {
  const { failureType } = failureOf(error);
  if (failureType !== 'testCodeFailure' && failureType !== 'hookFailed') return error.message;
  return error.cause instanceof Error ? inspect(error.cause) : `${error.message} ${inspect(error.cause)}`;
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}
