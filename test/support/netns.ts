/**
 * Hosts of a test's own: each a network namespace with the processes in it, tied together by virtual cables. Linux,
 * root. A host ends with its owner, however that ends: the process that holds it reads from a pipe of ours, and when
 * that closes the kernel kills whatever runs there, and the network goes with it. Nothing has a name on the system.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { descendantsOf } from './processes.ts';
import { until } from './until.ts';

const execute = promisify(execFile);

export interface Host extends AsyncDisposable {
  readonly name: string;
  /** The process that holds it. */
  readonly pid: number;
  /** Starts what follows on this host; it dies with whoever started it. */
  readonly within: readonly string[];
  /** The same for servers: they die with the host. */
  readonly inside: readonly string[];
  /** Runs a script of sh there. @throws Error with what it said */
  run(script: string): Promise<string>;
}

/** @throws Error where namespaces may not be made */
export async function makeHost(name: string): Promise<Host> {
  const args = ['--net', '--pid', '--fork', '--kill-child=SIGKILL', 'cat'];
  const holder = spawn('unshare', args, { stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  holder.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  holder.stdin.on('error', () => undefined);
  await once(holder, 'spawn');
  const { pid = 0 } = holder;
  await until('the namespace', async () => {
    if (holder.exitCode !== null) throw new Error(`no network namespace for ${name}: ${said.trim()}`);
    return (await descendantsOf(pid)).length > 0;
  });
  const net = `--net=/proc/${pid}/ns/net`;
  const host: Host = {
    name,
    pid,
    within: ['setpriv', '--pdeathsig', 'KILL', '--', 'nsenter', net, '--'],
    inside: ['nsenter', net, `--pid=/proc/${pid}/ns/pid_for_children`, '--'],
    run: async (script) => {
      const { stdout } = await execute('nsenter', [net, 'sh', '-ec', script]).catch((error: unknown) => {
        const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
        throw new Error(`${name}: ${script.split('\n')[0]} …: ${words}`, { cause: error });
      });
      return stdout;
    },
    [Symbol.asyncDispose]: () => end(holder),
  };
  try {
    await host.run('ip link set lo up');
  } catch (error) {
    await end(holder);
    throw error;
  }
  return host;
}

async function end(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const ended = once(holder, 'exit');
  holder.stdin?.end();
  await ended;
}

/** A cable between two hosts, with an address (`10.0.0.1/24`) at each end. Each end is called `to-` and the other's name. */
export async function connectHosts(
  [one, oneAddress]: readonly [host: Host, address: string],
  [other, otherAddress]: readonly [host: Host, address: string],
): Promise<void> {
  const [near, far] = [`to-${other.name}`, `to-${one.name}`];
  await one.run(
    `ip link add ${near} type veth peer name ${far} netns ${other.pid}
     ip address add ${oneAddress} dev ${near}
     ip link set ${near} up`,
  );
  await other.run(`ip address add ${otherAddress} dev ${far}\n ip link set ${far} up`);
}
