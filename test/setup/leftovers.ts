/**
 * A test file gets a temporary folder of its own as TMPDIR. When it has ended, whatever is left in the folder, and
 * every process that still has it in its environment, is a fault of that file. Processes are looked for in /proc.
 */

import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long what was killed may take to be gone. */
const GRACE_MS = 20_000;
/** Node's own, shared by everything that it runs. */
const NOT_OURS = new Set(['node-compile-cache']);

export interface Sandbox {
  readonly folder: string;
  /** Names what was left behind, ends it, and removes the folder. */
  clear(): Promise<readonly string[]>;
}

export function makeSandbox(): Sandbox {
  const folder = mkdtempSync(join(tmpdir(), 'ferry-test-')); // short: paths of Unix sockets hold 107 bytes
  chmodSync(folder, 0o711); // servers below enter it as the users who log in
  return {
    folder,
    clear: async () => {
      const deadline = performance.now() + GRACE_MS;
      while (processesIn(folder).length > 0 && performance.now() < deadline) await sleep(50);
      const processes = processesIn(folder);
      for (const { pid } of processes) kill(pid);
      const files = readdirSync(folder).filter((name) => !NOT_OURS.has(name));
      const kept: string[] = [];
      try {
        rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
      } catch (error) {
        kept.push(`${folder}, which cannot be removed: ${error}`);
      }
      return [
        ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
        ...files.map((name) => `file or folder: ${name}`),
        ...kept,
      ];
    },
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended since it was seen.
  }
}

interface Process {
  readonly pid: number;
  readonly command: string;
}

function processesIn(folder: string): readonly Process[] {
  const mark = `TMPDIR=${folder}\0`;
  const found: Process[] = [];
  for (const name of readProc()) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      if (!`${readFileSync(`/proc/${name}/environ`, 'utf8')}\0`.includes(mark)) continue;
      found.push({
        pid,
        command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim(),
      });
    } catch {
      // It is gone, or another user's.
    }
  }
  return found;
}

function readProc(): readonly string[] {
  try {
    return readdirSync('/proc');
  } catch {
    return [];
  }
}
