/** Ending what a test started, with everything that it started in turn. Linux only (reads /proc). */

import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { until } from './until.ts';

/** Process ids of all descendants that still hang on the process by parentage. */
export async function descendantsOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const children = text.split(' ').filter(Boolean).map(Number);
  const below = await Promise.all(children.map(descendantsOf));
  return [...children, ...below.flat()];
}

/** Kills a process and all its descendants (also those in sessions of their own), and waits until it is gone. */
export async function killTree(child: ChildProcess): Promise<void> {
  const { pid } = child;
  if (pid === undefined || ended(child)) return;
  signal(pid, 'SIGSTOP'); // so that it cannot start more meanwhile
  await killBelow(pid);
  signal(pid, 'SIGKILL');
  await until(`process ${pid} to end`, () => ended(child), { everyMs: 5 });
}

/** Kills all descendants of a process, not the process itself. */
export async function killBelow(pid: number): Promise<void> {
  for (const each of await descendantsOf(pid)) signal(each, 'SIGKILL');
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It was gone already.
  }
}
