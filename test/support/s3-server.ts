/**
 * A real S3-compatible server on loopback for a test: Ceph's radosgw over one monitor and one OSD that keeps its data
 * in memory (about 150 MB, 3 s to start). It does SigV4, multipart, versioning, bucket policies and `If-None-Match` on
 * PutObject. It knows no additional checksums (CRC64NVME, SHA-256 headers) and no conditions on
 * CompleteMultipartUpload and DeleteObject, and has one region: for those there is s3-double.ts.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from './files.ts';
import { freePort, isServed } from './ports.ts';
import { killTree } from './processes.ts';
import { until } from './until.ts';

const run = promisify(execFile);

/** As little as a small cluster without any authentication of its own needs, and no waiting. */
const CONFIG: Readonly<Record<string, string | number | boolean>> = {
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
  'osd op num shards': 2,
  'ms bind ipv6': false,
  'admin socket': '',
  'log to stderr': true,
  'err to stderr': true,
  'log file': '/dev/null',
  'mon cluster log file': '/dev/null',
  'rgw thread pool size': 64,
  'rgw data log num shards': 1,
  'rgw md log max shards': 1,
  'rgw gc max objs': 2,
  'rgw gc obj min wait': 5,
  'rgw gc processor period': 5,
  'rgw lc max objs': 1,
  'rgw reshard num logs': 1,
  'rgw objexp hints num shards': 1,
  'rgw enable quota threads': false,
  'rgw run sync thread': false,
  'rgw dynamic resharding': false,
};

export interface S3User {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Server extends AsyncDisposable {
  /** What to put into `endpointUrl` or `AWS_ENDPOINT_URL_S3`. */
  readonly url: string;
  readonly port: number;
  readonly region: string;
  /** May make buckets, and owns them. */
  readonly user: S3User;
  /** Ends the gateway; what it keeps stays. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** `radosgw-admin` with these arguments. */
  admin(...args: readonly string[]): Promise<string>;
}

/** @throws Error with the daemons' own words when they do not start */
export async function startS3Server(): Promise<S3Server> {
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await temporaryFolder('s3'));
  const port = await freePort();
  const config = await writeConfig(home.path, await freePort(), port);
  const daemon = async (command: string, ...args: readonly string[]): Promise<Daemon> =>
    undo.use(await startDaemon(home.path, command, ['-f', '-c', config, ...args]));
  const ceph = (...args: readonly string[]) =>
    run('ceph', ['-c', config, '--connect-timeout', '20', ...args]);

  await daemon('ceph-mon', '-i', 'a');
  await ceph('osd', 'create');
  await run('ceph-osd', ['-c', config, '-i', '0', '--mkfs']);
  await daemon('ceph-osd', '-i', '0');

  let gateway: Daemon | undefined;
  const stop = async (): Promise<void> => {
    await gateway?.[Symbol.asyncDispose]();
    gateway = undefined;
  };
  const start = async (): Promise<void> => {
    const args = ['-f', '-c', config, '-n', 'client.admin'];
    const started = await startDaemon(home.path, 'radosgw', args);
    gateway = started;
    await until('radosgw to listen', () => started.mustRun() && isServed(port), { timeoutMs: 60_000 });
  };
  undo.defer(stop);
  await start();
  const user = {
    accessKeyId: `AK${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomUUID(),
  };
  const admin = async (...args: readonly string[]): Promise<string> =>
    (await run('radosgw-admin', ['-c', config, ...args])).stdout;
  const keys = ['--access-key', user.accessKeyId, '--secret-key', user.secretAccessKey];
  await admin('user', 'create', '--uid', 'ferry', '--display-name', 'Ferry', ...keys);
  const owned = undo.move();
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    region: 'us-east-1',
    user,
    stop,
    start,
    admin,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Also makes the monitor's store. */
async function writeConfig(home: string, monitorPort: number, port: number): Promise<string> {
  const file = join(home, 'ceph.conf');
  const keyring = join(home, 'keyring');
  const monitorMap = join(home, 'monmap');
  const fsid = randomUUID();
  for (const folder of ['mon', 'osd', 'run']) await mkdir(join(home, folder));
  const settings = {
    ...CONFIG,
    fsid,
    'mon host': `v1:127.0.0.1:${monitorPort}`,
    'mon data': join(home, 'mon'),
    'osd data': join(home, 'osd'),
    'run dir': join(home, 'run'),
    keyring,
    'rgw frontends': `beast endpoint=127.0.0.1:${port}`,
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}`);
  await writeFile(file, `[global]\n${lines.join('\n')}\n`);
  const all = ['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *'];
  await run('ceph-authtool', [
    '--create-keyring',
    keyring,
    '--gen-key',
    '-n',
    'mon.',
    '--cap',
    'mon',
    'allow *',
  ]);
  await run('ceph-authtool', [keyring, '--gen-key', '-n', 'client.admin', ...all]);
  const address = `[v1:127.0.0.1:${monitorPort}]`;
  await run('monmaptool', ['--create', '--addv', 'a', address, '--fsid', fsid, monitorMap]);
  await run('ceph-mon', ['-c', file, '--mkfs', '-i', 'a', '--monmap', monitorMap, '--keyring', keyring]);
  return file;
}

interface Daemon extends AsyncDisposable {
  /** True. @throws Error with what it said, when it has ended */
  mustRun(): boolean;
}

async function startDaemon(home: string, command: string, args: readonly string[]): Promise<Daemon> {
  const log = join(home, 'run', `${command}.log`);
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
  let said = '';
  child.once('exit', () => {
    void readFile(log, 'utf8').then(
      (text) => {
        said = text.slice(-2_000);
      },
      () => undefined,
    );
  });
  return {
    mustRun: () => {
      if (failure === undefined && child.exitCode === null && child.signalCode === null) return true;
      throw new Error(`${command} has ended: ${said}`, { cause: failure });
    },
    [Symbol.asyncDispose]: () => killTree(child),
  };
}
