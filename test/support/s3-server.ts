/**
 * A real S3-compatible server on loopback for a test: Ceph's radosgw over a cluster in memory (about 150 MB, 2 s to
 * start). It does SigV4, multipart, versioning, bucket policies and `If-None-Match` on PutObject. It knows no
 * additional checksums (CRC64NVME, SHA-256 headers) and no conditions on CompleteMultipartUpload and DeleteObject, and
 * has one region: for those there is s3-double.ts.
 */

import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Daemon, saidIn, startCluster } from './ceph.ts';
import { temporaryFolder } from './files.ts';
import { freePort } from './ports.ts';
import { until } from './until.ts';

const run = promisify(execFile);

const GATEWAY: Readonly<Record<string, string | number | boolean>> = {
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
/**
 * Several daemons, on ports that were free a moment ago; and an OSD that asks before it has the monitor's map is refused
 * ("wrong fsid") and ends at once, on a busy machine several times in a row.
 */
const MOST_ATTEMPTS = 10;
/** After so long no new attempt is made. */
const ENOUGH_MS = 240_000;
const PAUSE_MS = 500;
const READY_MS = 90_000;

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
  const failures: unknown[] = [];
  const sinceMs = performance.now();
  while (failures.length < MOST_ATTEMPTS && performance.now() - sinceMs < ENOUGH_MS) {
    try {
      await sleep(failures.length * PAUSE_MS);
      return await tryStart();
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, failures.map(String).join('\n'));
}

async function tryStart(): Promise<S3Server> {
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await temporaryFolder('s3'));
  try {
    const server = await startIn(home.path, undo);
    const owned = undo.move();
    return { ...server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  } catch (error) {
    throw new Error(`${String(error)}\n${await saidIn(home.path)}`, { cause: error });
  }
}

async function startIn(
  home: string,
  undo: AsyncDisposableStack,
): Promise<Omit<S3Server, keyof AsyncDisposable>> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const settings = { ...GATEWAY, 'rgw frontends': `beast endpoint=127.0.0.1:${port}` };
  const cluster = await startCluster({ home, monitorPort: await freePort(), settings, undo });
  let gateway: Daemon | undefined;
  const stop = async (): Promise<void> => {
    await gateway?.[Symbol.asyncDispose]();
    gateway = undefined;
  };
  const start = async (): Promise<void> => {
    const started = cluster.daemon('radosgw', '-n', 'client.admin');
    gateway = started;
    await until('radosgw to answer', () => started.mustRun() && answers(url), { timeoutMs: READY_MS });
  };
  undo.defer(stop);
  await start();
  const admin = async (...args: readonly string[]): Promise<string> =>
    (await run('radosgw-admin', ['-c', cluster.config, ...args])).stdout;
  const user = {
    accessKeyId: `AK${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomUUID(),
  };
  const keys = ['--access-key', user.accessKeyId, '--secret-key', user.secretAccessKey];
  await admin('user', 'create', '--uid', 'ferry', '--display-name', 'Ferry', ...keys);
  return { url, port, region: 'us-east-1', user, stop, start, admin };
}

/** A gateway, and not whatever else may have got the port, answers a request without a signature by name. */
async function answers(url: string): Promise<boolean> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  return answer?.ok === true && (await answer.text()).includes('ListAllMyBucketsResult');
}
