/**
 * A real vsftpd on loopback for a test, with TLS, insisting on session reuse. Logins are vsftpd's anonymous ones with
 * a list of passwords, so that no account of the system is needed; they work as the user `daemon`, in a folder that
 * they cannot leave. Needs root, as vsftpd does.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from './certificates.ts';
import { temporaryFolder } from './files.ts';
import { freePort, isServed } from './ports.ts';
import { killBelow, killTree } from './processes.ts';
import { until } from './until.ts';

/** Debian's `daemon`: not root, and its home exists, which vsftpd wants. */
export const DAEMON = 1;

export type TlsVersion = '1.2' | '1.3';

export interface FtpServerOptions {
  readonly certificate: Certificate;
  /** The newest that the server speaks; default 1.3. */
  readonly tls?: TlsVersion;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: a wide range. */
  readonly passivePorts?: readonly [first: number, last: number];
  /** `base` of another server, to serve the same files; default: a new folder, removed at the end. */
  readonly base?: string;
  /** Lines of its configuration, after those of its own. */
  readonly config?: readonly string[];
}

export interface FtpServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** The folder that a login sees as `/`; it may write only below `root`. */
  readonly base: string;
  readonly root: '/files';
  /** `root`, on this disk. */
  readonly folder: string;
  /** Kills the processes of all connections and keeps the listener. */
  cutConnections(): Promise<void>;
  /** Kills the listener and every connection. Can be started again. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startVsftpd(options: FtpServerOptions): Promise<FtpServer> {
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await temporaryFolder('vsftpd'));
  await chmod(home.path, 0o755);
  const base = options.base ?? (await makeBase(home.path));
  const password = 'secret of a test';
  await writeFile(join(home.path, 'passwords'), `${password}\n`);
  const port = await freePort();
  const host = options.host ?? '127.0.0.1';
  const [first, last] = options.passivePorts ?? [20_000, 29_999];
  const config = [
    ...['listen=YES', 'background=NO', `listen_address=${host}`, `listen_port=${port}`],
    ...['anonymous_enable=YES', 'local_enable=NO', 'ftp_username=daemon', `anon_root=${base}`],
    ...['secure_email_list_enable=YES', `email_password_file=${join(home.path, 'passwords')}`],
    ...['write_enable=YES', 'anon_upload_enable=YES', 'anon_mkdir_write_enable=YES'],
    ...['anon_other_write_enable=YES', 'anon_world_readable_only=NO', 'anon_umask=022'],
    ...['ssl_enable=YES', 'allow_anon_ssl=YES', 'force_anon_logins_ssl=YES', 'force_anon_data_ssl=YES'],
    ...['require_ssl_reuse=YES', 'ssl_ciphers=HIGH', 'strict_ssl_read_eof=YES', 'seccomp_sandbox=NO'],
    ...[
      `rsa_cert_file=${options.certificate.certFile}`,
      `rsa_private_key_file=${options.certificate.keyFile}`,
    ],
    ...[`pasv_min_port=${first}`, `pasv_max_port=${last}`, 'xferlog_enable=NO', 'use_localtime=NO'],
    ...(options.config ?? []),
  ];
  const configFile = join(home.path, 'vsftpd.conf');
  await writeFile(configFile, `${config.join('\n')}\n`);
  const env = { ...process.env, ...(await openSslFor(home.path, options.tls)) };

  let child: ChildProcess | undefined;
  const stop = async (): Promise<void> => {
    if (child !== undefined) await killTree(child);
    child = undefined;
  };
  const start = async (): Promise<void> => {
    if (child !== undefined) return;
    child = await listen('vsftpd', [configFile], env, host, port);
  };
  undo.defer(stop);
  await start();
  const owned = undo.move();
  return {
    host,
    port,
    user: 'ftp',
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

/** What a login sees: a folder that is not its own, as vsftpd wants it, and one below that is. */
export async function makeBase(home: string): Promise<string> {
  const files = join(home, 'base', 'files');
  await mkdir(files, { recursive: true });
  await chmod(join(home, 'base'), 0o755);
  await chown(files, DAEMON, DAEMON);
  return join(home, 'base');
}

/** vsftpd has no setting for TLS 1.3: OpenSSL's own configuration says what is the newest version. */
async function openSslFor(folder: string, newest: TlsVersion = '1.3'): Promise<NodeJS.ProcessEnv> {
  const file = join(folder, 'openssl.cnf');
  const lines = [
    'openssl_conf = all',
    ...['[all]', 'ssl_conf = modules', '[modules]', 'system_default = tls'],
    ...['[tls]', 'MinProtocol = TLSv1.2', `MaxProtocol = TLSv${newest}`],
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return { OPENSSL_CONF: file };
}

/** Starts a server and waits until it accepts connections. @throws Error with its own words when it does not */
export async function listen(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  host: string,
  port: number,
): Promise<ChildProcess> {
  const child = spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  let failed: unknown;
  child.once('error', (error) => {
    failed = error;
  });
  try {
    await until(`${program} to listen`, async () => {
      if (failed !== undefined || child.exitCode !== null)
        throw new Error(`${program} did not start: ${said}`, { cause: failed });
      return await isServed(port, host);
    });
  } catch (error) {
    await killTree(child);
    throw error;
  }
  return child;
}
