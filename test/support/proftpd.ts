/**
 * A real ProFTPD with mod_tls and mod_digest on loopback for a test. Its Debian package cannot be installed beside
 * vsftpd's, so it is unpacked into a folder of this checkout, once; users come from a file of the test's own.
 */

import { type ChildProcess, execFile } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from './files.ts';
import { freePort } from './ports.ts';
import { killBelow, killTree } from './processes.ts';
import { DAEMON, type FtpServer, type FtpServerOptions, listen, makeBase } from './vsftpd.ts';

const run = promisify(execFile);
const CACHE = join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'ferry-test');
const PACKAGES = [
  'proftpd-core',
  'proftpd-mod-crypto',
  'libhiredis0.14',
  'libmemcached11',
  'libmemcachedutil2',
  'libhashkit2',
  'libpcre2-posix3',
];

/** The folder that holds ProFTPD; downloads and unpacks it where that was not done yet. */
export async function proftpdFolder(): Promise<string> {
  const folder = join(CACHE, 'proftpd');
  const there = await access(join(folder, 'usr/sbin/proftpd')).then(
    () => true,
    () => false,
  );
  if (there) return folder;
  await mkdir(CACHE, { recursive: true });
  const scratch = await mkdtemp(join(CACHE, 'unpacking-'));
  try {
    const download = () => run('apt-get', ['download', '-qq', ...PACKAGES], { cwd: scratch });
    // Package lists may be missing or old.
    await download().catch(() => run('apt-get', ['update', '-qq']).then(download));
    for (const name of await readdir(scratch)) await run('dpkg', ['-x', name, 'proftpd'], { cwd: scratch });
    await rename(join(scratch, 'proftpd'), folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error; // another process was first
    });
  } catch (error) {
    throw new Error(
      `ProFTPD could not be had: apt-get download ${PACKAGES.join(' ')} must work (run apt-get update)`,
      { cause: error },
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return folder;
}

export async function startProftpd(options: FtpServerOptions): Promise<FtpServer> {
  const program = await proftpdFolder();
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await temporaryFolder('proftpd'));
  await chmod(home.path, 0o755);
  const base = options.base ?? (await makeBase(home.path));
  const [user, password] = ['class', 'secret of a test'];
  const { stdout: hash } = await run('openssl', ['passwd', '-6', password]);
  const passwd = join(home.path, 'passwd');
  await writeFile(passwd, `${user}:${hash.trim()}:${DAEMON}:${DAEMON}::${base}:/bin/sh\n`);
  await chmod(passwd, 0o600);
  const port = await freePort();
  const host = options.host ?? '127.0.0.1';
  const [first, last] = options.passivePorts ?? [40_000, 49_999];
  const newest = options.tls ?? '1.3';
  const config = [
    ...(options.config ?? []), // of two lines about one thing, ProFTPD heeds the first
    ...['ServerName test', 'ServerType standalone', `Port ${port}`, `DefaultAddress ${host}`, 'UseIPv6 off'],
    ...[
      'User nobody',
      'Group nogroup',
      'UseReverseDNS off',
      'DelayEngine off',
      'WtmpLog off',
      'TransferLog none',
    ],
    ...[`PidFile ${join(home.path, 'pid')}`, `ScoreboardFile ${join(home.path, 'scoreboard')}`],
    ...[`SystemLog ${join(home.path, 'log')}`, `ModulePath ${join(program, 'usr/lib/proftpd')}`],
    ...['LoadModule mod_tls.c', 'LoadModule mod_digest.c'],
    ...[`AuthUserFile ${passwd}`, 'AuthOrder mod_auth_file.c', 'AuthPAM off', 'RequireValidShell off'],
    ...['DefaultRoot ~', `PassivePorts ${first} ${last}`, 'AllowOverwrite on', 'AllowStoreRestart on'],
    ...['MaxInstances none', 'TLSEngine on', 'TLSRequired on', 'TLSVerifyClient off', 'TLSRenegotiate none'],
    `TLSProtocol ${newest === '1.3' ? 'TLSv1.2 TLSv1.3' : 'TLSv1.2'}`,
    `TLSECCertificateFile ${options.certificate.certFile}`,
    `TLSECCertificateKeyFile ${options.certificate.keyFile}`,
    `TLSLog ${join(home.path, 'tls.log')}`,
  ];
  const configFile = join(home.path, 'proftpd.conf');
  await writeFile(configFile, `${config.join('\n')}\n`);
  await chmod(configFile, 0o644);
  const env = { ...process.env, LD_LIBRARY_PATH: join(program, 'usr/lib', await libraryFolder(program)) };

  let child: ChildProcess | undefined;
  const stop = async (): Promise<void> => {
    if (child !== undefined) await killTree(child);
    child = undefined;
  };
  const start = async (): Promise<void> => {
    if (child !== undefined) return;
    child = await listen(join(program, 'usr/sbin/proftpd'), ['-n', '-c', configFile], env, host, port);
  };
  undo.defer(stop);
  await start();
  const owned = undo.move();
  return {
    host,
    port,
    user,
    password,
    base,
    folder: join(base, 'files'),
    root: '/files',
    stop,
    start,
    cutConnections: async () => {
      if (child?.pid !== undefined) await killBelow(child.pid);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** `x86_64-linux-gnu`, or what it is on this machine. */
async function libraryFolder(program: string): Promise<string> {
  const names = await readdir(join(program, 'usr/lib'));
  const name = names.find((each) => each.includes('-linux-'));
  if (name === undefined) throw new Error('the unpacked ProFTPD has no libraries');
  return name;
}
