/**
 * Where it is measured: servers on loopback, OpenSSH behind a latency proxy where asked, vsftpd and radosgw once
 * they are asked for, and a folder for everything.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BUCKET, type BucketSite, bucketSite, outsideOfBucket } from '../endpoints/s3/kit.ts';
import { makeCertificates } from '../support/certificates.ts';
import { temporaryFolder } from '../support/files.ts';
import { freePorts } from '../support/ports.ts';
import { killTree } from '../support/processes.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { DAEMON, startVsftpd } from '../support/vsftpd.ts';
import { type Copy, copyOnDisk } from './work.ts';

/** Of loopback too; the certificate of FTPS servers holds it. */
const OTHER_ADDRESS = '127.0.0.2';
/** More than there are connections at any time, with those that have just ended. */
const PASSIVE_PORTS = 400;

/** Which server a work goes to. */
export type Place = 'sftp' | 'ftps' | 's3';

export interface SftpServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
  readonly knownHosts: string;
  readonly fingerprint: string;
}

/** A way with two jump hosts: over the line to the outer one, which stands beside the inner one and the server. */
export interface JumpWay {
  readonly outer: SftpServer;
  readonly inner: SftpServer;
  readonly server: SftpServer;
}

/** It insists that data connections resume their control connection's TLS session. */
export interface FtpsServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly caFile: string;
}

export interface S3Place {
  readonly url: string;
  readonly bucket: string;
  /** Credentials. */
  readonly env: Readonly<Record<string, string>>;
}

/** Removed with all that is in it when it is disposed of. */
export interface RemoteFolder extends AsyncDisposable {
  /** At the server. */
  readonly path: string;
  /** What has arrived in a folder of it. */
  copy(folder: string): Copy;
}

export interface Site extends AsyncDisposable {
  /** For sources, Ferry's jobs and data; removed at the end. */
  readonly path: string;
  /** The server as seen over a line with that round trip; 0 is loopback itself. */
  sftp(roundTripMs: number): Promise<SftpServer>;
  jumps(roundTripMs: number): Promise<JumpWay>;
  ftps(roundTripMs: number): Promise<FtpsServer>;
  s3(): Promise<S3Place>;
  /** A new, empty one. */
  remoteFolder(place: Place): Promise<RemoteFolder>;
}

export async function makeSite(): Promise<Site> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await temporaryFolder('bench'));
  // Verbose logging and its pipe would be measured too.
  const sshd = undo.use(await startSshd({ config: ['LogLevel INFO'] }));
  const proxies = new Map<string, Promise<number>>();
  let jumpHosts: Promise<readonly [Sshd, Sshd]> | undefined;
  let remotes = 0;

  const portOver = (sshd: Sshd, roundTripMs: number): Promise<number> => {
    if (roundTripMs === 0) return Promise.resolve(sshd.port);
    const key = `${sshd.port} ${roundTripMs}`;
    const known = proxies.get(key);
    if (known !== undefined) return known;
    const child = startProxy(roundTripMs, [sshd.port]);
    owned.defer(() => killTree(child));
    const port = firstNumber(child);
    proxies.set(key, port);
    return port;
  };
  const seen = async (sshd: Sshd, roundTripMs: number): Promise<SftpServer> => {
    const port = await portOver(sshd, roundTripMs);
    const knownHosts = join(folder.path, `known_hosts-${port}`);
    const lines = sshd.hostKeys.map((key) => `[${sshd.host}]:${port} ${key.type} ${key.key}\n`);
    await writeFile(knownHosts, lines.join(''));
    const { host, user, keyFile, hostKeyFingerprint: fingerprint } = sshd;
    return { host, port, user, keyFile, knownHosts, fingerprint };
  };
  const startJumpHost = async (): Promise<Sshd> => {
    const jumpHost = await startSshd({ sftp: false, config: ['LogLevel INFO'] });
    owned.use(jumpHost);
    return jumpHost;
  };
  let vsftpd: Promise<BenchVsftpd> | undefined;
  const ftps = (): Promise<BenchVsftpd> => {
    vsftpd ??= startFtps(owned);
    return vsftpd;
  };
  let radosgw: Promise<BucketSite> | undefined;
  const bucket = (): Promise<BucketSite> => {
    radosgw ??= bucketSite().then((started) => owned.use(started));
    return radosgw;
  };
  const owned = undo.move();
  const far = new Map<number, Promise<FtpsServer>>();
  const ftpsOver = async (roundTripMs: number): Promise<FtpsServer> => {
    const server = await ftps();
    if (roundTripMs === 0) return server;
    const known = far.get(roundTripMs) ?? farFtps(owned, server, roundTripMs);
    far.set(roundTripMs, known);
    return await known;
  };
  return {
    path: folder.path,
    ftps: ftpsOver,
    s3: async () => {
      const { server, env } = await bucket();
      return { url: server.url, bucket: BUCKET, env };
    },
    sftp: (roundTripMs) => seen(sshd, roundTripMs),
    jumps: async (roundTripMs) => {
      jumpHosts ??= Promise.all([startJumpHost(), startJumpHost()]);
      const [outer, inner] = await jumpHosts;
      return {
        outer: await seen(outer, roundTripMs),
        inner: await seen(inner, 0),
        server: await seen(sshd, 0),
      };
    },
    remoteFolder: async (place) => {
      remotes += 1;
      const name = `run-${remotes}`;
      if (place === 's3') return inBucket((await bucket()).client, name);
      const { folder: disk, root } =
        place === 'sftp' ? { folder: sshd.folder, root: sshd.folder } : await ftps();
      const remote = onDisk(join(root, name), join(disk, name));
      await remote[Symbol.asyncDispose]();
      await mkdir(join(disk, name));
      if (place === 'ftps') await chown(join(disk, name), DAEMON, DAEMON);
      return remote;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function onDisk(path: string, disk: string): RemoteFolder {
  return {
    path,
    copy: (folder) => copyOnDisk(join(disk, folder)),
    [Symbol.asyncDispose]: () => rm(disk, { recursive: true, force: true }),
  };
}

function inBucket(client: BucketSite['client'], path: string): RemoteFolder {
  return {
    path,
    copy: (folder) => {
      const { tree, sha256 } = outsideOfBucket(client, BUCKET, `${path}/${folder}/`);
      return { names: tree, sha256 };
    },
    [Symbol.asyncDispose]: () => outsideOfBucket(client, BUCKET, `${path}/`).remove(''),
  };
}

interface BenchVsftpd extends FtpsServer {
  readonly passivePorts: readonly [first: number, last: number];
  readonly folder: string;
  readonly root: string;
}

/** Data connections go to the address of the control connection. */
async function farFtps(
  owner: AsyncDisposableStack,
  { passivePorts: [first, last], ...server }: BenchVsftpd,
  roundTripMs: number,
): Promise<FtpsServer> {
  const ports = [server.port, ...Array.from({ length: last - first + 1 }, (_, at) => first + at)];
  const child = startProxy(roundTripMs, ports, OTHER_ADDRESS);
  owner.defer(() => killTree(child));
  await firstNumber(child);
  return { ...server, host: OTHER_ADDRESS };
}

async function startFtps(owner: AsyncDisposableStack): Promise<BenchVsftpd> {
  const certificates = owner.use(await makeCertificates());
  const first = await freePorts(PASSIVE_PORTS);
  const passivePorts = [first, first + PASSIVE_PORTS - 1] as const;
  const certificate = await certificates.server('good');
  const server = owner.use(await startVsftpd({ certificate, passivePorts }));
  const { host, port, user, password, folder, root } = server;
  return { host, port, user, password, folder, root, passivePorts, caFile: certificates.caFile };
}

/** @param address default: any free port of loopback, for one port */
function startProxy(roundTripMs: number, ports: readonly number[], address?: string): ChildProcess {
  const script = join(import.meta.dirname, 'proxy.ts');
  const args = [roundTripMs / 2, ...ports, ...(address === undefined ? [] : [address])].map(String);
  return spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
}

async function firstNumber(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('the proxy has no output');
  for await (const text of createInterface({ input: child.stdout })) return Number(text);
  throw new Error('the proxy ended at once');
}

const PROXY_TEST_BYTES = 512 * 1024 * 1024;

/** Bytes a second that one connection gets through a latency proxy when nobody encrypts: what it can carry at most. */
export async function proxyThroughput(roundTripMs: number): Promise<number> {
  let received = 0;
  const sink = createServer((socket) => {
    socket.on('data', (bytes: Buffer) => {
      received += bytes.length;
      if (received >= PROXY_TEST_BYTES) socket.end('x');
    });
  });
  sink.listen(0, '127.0.0.1');
  await once(sink, 'listening');
  const address = sink.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  const proxy = startProxy(roundTripMs, [address.port]);
  try {
    const socket = connect(await firstNumber(proxy), '127.0.0.1');
    await once(socket, 'connect');
    const piece = Buffer.alloc(256 * 1024);
    const start = performance.now();
    for (let sent = 0; sent < PROXY_TEST_BYTES; sent += piece.length) {
      if (!socket.write(piece)) await once(socket, 'drain');
    }
    await once(socket, 'data');
    socket.destroy();
    return PROXY_TEST_BYTES / ((performance.now() - start) / 1000);
  } finally {
    await killTree(proxy);
    sink.close();
  }
}
