/** Runs one command as a whole process and measures it: wall time always, memory of the process tree where asked. */

import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { descendantsOf, killTree } from '../support/processes.ts';

const TIMEOUT_MS = 30 * 60_000;
/** Looking costs time on the machine that is measured, so it is done for memory only. */
const LOOK_EVERY_MS = 100;

export interface Command {
  readonly argv: readonly [program: string, ...args: string[]];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Exit codes that are as they should be; default 0. */
  readonly codes?: readonly number[];
}

export interface Measured {
  readonly seconds: number;
  readonly stdout: string;
  readonly memory: Memory | undefined;
}

export interface Memory {
  /** Most that all processes together held resident at one look. */
  readonly treeBytes: number;
  /** Most that a single process ever held resident (the kernel's own record), and which. */
  readonly processBytes: number;
  readonly process: string;
}

/** @throws Error with what the command said, when it fails or takes too long */
export async function measure(
  command: Command,
  options: { readonly memory?: boolean } = {},
): Promise<Measured> {
  const [program, ...args] = command.argv;
  const start = performance.now();
  const child = spawn(program, args, {
    cwd: command.cwd,
    env: command.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-10_000);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code !== null && (command.codes ?? [0]).includes(code)) resolve();
      else
        reject(
          new Error(
            `${command.argv.join(' ')}\nended with ${code ?? signal}:\n${stderr}${stdout.slice(-5_000)}`,
          ),
        );
    });
  });
  const watching = options.memory === true ? watchMemory(child, ended) : undefined;
  try {
    await ended;
  } finally {
    await killTree(child);
  }
  const seconds = (performance.now() - start) / 1000;
  return { seconds, stdout, memory: await watching };
}

/** Looks at the process and all below it until it has ended. */
export async function watchMemory(child: ChildProcess, ended: Promise<unknown>): Promise<Memory> {
  let going = true;
  ended
    .catch(() => undefined)
    .finally(() => {
      going = false;
    });
  let most: Memory = { treeBytes: 0, processBytes: 0, process: '' };
  while (going && child.pid !== undefined) {
    const pids = [child.pid, ...(await descendantsOf(child.pid))];
    const all = await Promise.all(pids.map(memoryOf));
    const treeBytes = Math.max(
      most.treeBytes,
      all.reduce((sum, one) => sum + one.nowBytes, 0),
    );
    const top = all.reduce((a, b) => (b.peakBytes > a.peakBytes ? b : a));
    most =
      top.peakBytes > most.processBytes
        ? { treeBytes, processBytes: top.peakBytes, process: top.name }
        : { ...most, treeBytes };
    await sleep(LOOK_EVERY_MS);
  }
  return most;
}

async function memoryOf(
  pid: number,
): Promise<{ readonly name: string; readonly nowBytes: number; readonly peakBytes: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kib = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  return {
    name: /^Name:\s+(.*)$/m.exec(text)?.[1] ?? '',
    nowBytes: kib('VmRSS') * 1024,
    peakBytes: kib('VmHWM') * 1024,
  };
}
