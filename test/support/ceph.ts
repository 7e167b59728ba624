/**
 * A Ceph cluster on loopback for a test: one monitor, and one OSD that keeps its data in memory. Each daemon is waited
 * for by what it says of itself on its admin socket: one that is started before the other is ready may wait without end.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { killTree } from './processes.ts';
import { until, within } from './until.ts';

const run = promisify(execFile);

/** As little as a small cluster without any authentication of its own needs, and no waiting. */
const CONFIG: Settings = {
  'mon initial members': 'a',
  'public addr': '127.0.0.1',
  'auth cluster required': 'none',
  'auth service required': 'none',
  'auth client required': 'none',
  'osd pool default size': 1,
  'osd pool default min size': 1,
  'osd pool default pg num': 1,
  'osd pool default pgp num': 1,
  'osd pool default pg autoscale mode': 'off',
  'mon allow pool size one': true,
  'mon osd crush smoke test': false,
  'mon data avail crit': 1,
  'mon data avail warn': 1,
  'paxos propose interval': 0.02,
  'paxos min wait': 0.01,
  'osd crush chooseleaf type': 0,
  'osd objectstore': 'memstore',
  'memstore device bytes': 8 * 1024 ** 3,
  'osd class load list': '*',
  'osd class default list': '*',
  'osd class update on start': false,
  'osd op num shards': 2,
  'ms bind ipv6': false,
  'log to stderr': true,
  'err to stderr': true,
  'log file': '/dev/null',
  'mon cluster log file': '/dev/null',
};

/** A daemon needs a second; on a machine where everything else runs too, some. */
const READY_MS = 90_000;

type Settings = Readonly<Record<string, string | number | boolean>>;

export interface Cluster {
  /** For each of Ceph's commands: `-c FILE`. */
  readonly config: string;
  /** Starts one more of Ceph's daemons; the caller's to end. */
  daemon(command: string, ...args: readonly string[]): Daemon;
}

export interface Daemon extends AsyncDisposable {
  /** True. @throws Error when it has ended */
  mustRun(): boolean;
}

export interface ClusterOptions {
  /** An empty folder. */
  readonly home: string;
  readonly monitorPort: number;
  /** Besides what any cluster needs. */
  readonly settings: Settings;
  /** Ends what was started, also when the start fails. */
  readonly undo: AsyncDisposableStack;
}

/** @throws Error when a daemon does not come up */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { home, undo } = options;
  const config = await writeConfig(options);
  const daemon: Cluster['daemon'] = (command, ...args) =>
    startDaemon(join(home, 'run', `${command}.log`), command, ['-f', '-c', config, ...args]);

  const monitor = undo.use(daemon('ceph-mon', '-i', 'a'));
  await ready(monitor, 'the monitor to lead', join(home, 'run/mon.a.asok'), 'mon_status', 'leader');
  const osdId = randomUUID();
  // Right after its election a monitor refuses commands for a moment (EPERM).
  await until(
    'the monitor to take commands',
    () => monitor.mustRun() && ceph(config, 'osd', 'create', osdId, '0'),
    { timeoutMs: READY_MS, everyMs: 200 },
  );
  await run('ceph-osd', ['-c', config, '-i', '0', '--mkfs', '--osd-uuid', osdId]);
  const osd = undo.use(daemon('ceph-osd', '-i', '0'));
  await ready(osd, 'the OSD to be up', join(home, 'run/osd.0.asok'), 'status', 'active');
  return { config, daemon };
}

/** What the daemons in this folder said last. */
export async function saidIn(home: string): Promise<string> {
  const tails = ['ceph-mon', 'ceph-osd', 'radosgw'].map(async (command) => {
    const text = await readFile(join(home, 'run', `${command}.log`), 'utf8').catch(() => '');
    return `${command}: ${text.slice(-2_000)}`;
  });
  return (await Promise.all(tails)).join('\n');
}

/** Also makes the monitor's store. */
async function writeConfig({ home, monitorPort, settings }: ClusterOptions): Promise<string> {
  const file = join(home, 'ceph.conf');
  const keyring = join(home, 'keyring');
  const monitorMap = join(home, 'monmap');
  const fsid = randomUUID();
  for (const folder of ['mon', 'osd', 'run']) await mkdir(join(home, folder));
  const global = {
    ...CONFIG,
    ...settings,
    fsid,
    'mon host': `v1:127.0.0.1:${monitorPort}`,
    'mon data': join(home, 'mon'),
    'osd data': join(home, 'osd'),
    'run dir': join(home, 'run'),
    keyring,
    'admin socket': '',
  };
  const asked = { 'admin socket': join(home, 'run/$name.asok') };
  const sections = { global, mon: asked, osd: asked };
  const lines = Object.entries(sections).flatMap(([name, values]) => [
    `[${name}]`,
    ...Object.entries(values).map(([key, value]) => `${key} = ${value}`),
  ]);
  await writeFile(file, `${lines.join('\n')}\n`);
  const mon = ['--cap', 'mon', 'allow *'];
  await run('ceph-authtool', ['--create-keyring', keyring, '--gen-key', '-n', 'mon.', ...mon]);
  await run('ceph-authtool', [
    keyring,
    ...['--gen-key', '-n', 'client.admin'],
    ...mon,
    ...['--cap', 'osd', 'allow *'],
  ]);
  const address = `[v1:127.0.0.1:${monitorPort}]`;
  await run('monmaptool', ['--create', '--addv', 'a', address, '--fsid', fsid, monitorMap]);
  await run('ceph-mon', ['-c', file, '--mkfs', '-i', 'a', '--monmap', monitorMap, '--keyring', keyring]);
  return file;
}

async function ceph(config: string, ...args: readonly string[]): Promise<boolean> {
  return await run('ceph', ['-c', config, '--connect-timeout', '20', ...args]).then(
    () => true,
    () => false,
  );
}

async function ready(
  daemon: Daemon,
  what: string,
  socket: string,
  command: string,
  state: string,
): Promise<void> {
  await until(what, async () => daemon.mustRun() && (await stateOf(socket, command)) === state, {
    timeoutMs: READY_MS,
  });
}

/** A daemon's admin socket takes a command in JSON that ends in a NUL, and answers a length (32 bits) and JSON. */
async function stateOf(path: string, command: string): Promise<unknown> {
  const socket = connect(path);
  try {
    socket.end(`${JSON.stringify({ prefix: command })}\0`);
    const answer = await within(5_000, `${command} of ${path}`, buffer(socket));
    const parsed: unknown = JSON.parse(answer.subarray(4).toString());
    return typeof parsed === 'object' && parsed !== null && 'state' in parsed ? parsed.state : undefined;
  } catch {
    return undefined; // not there yet
  } finally {
    socket.destroy();
  }
}

function startDaemon(log: string, command: string, args: readonly string[]): Daemon {
  const output = openSync(log, 'a');
  let child: ChildProcess;
  try {
    child = spawn(command, args, { stdio: ['ignore', output, output] });
  } finally {
    closeSync(output);
  }
  let failure: unknown;
  child.once('error', (error) => {
    failure = error;
  });
  return {
    mustRun: () => {
      if (failure === undefined && child.exitCode === null && child.signalCode === null) return true;
      throw new Error(`${command} has ended`, { cause: failure });
    },
    [Symbol.asyncDispose]: () => killTree(child),
  };
}
