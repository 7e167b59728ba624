/**
 * A real OpenSSH server on loopback for a test: own host keys, one authorized client key, the current user.
 * It can be stopped, cut off from its clients and started again on the same port.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from './files.ts';
import { freePort } from './ports.ts';
import { descendantsOf, killBelow, killTree } from './processes.ts';
import { until } from './until.ts';

const run = promisify(execFile);

export type KeyType = 'ed25519' | 'rsa' | 'ecdsa';

export interface SshdOptions {
  /** Default: only ed25519. */
  readonly hostKeys?: readonly KeyType[];
  /** Host keys made by `makeKey` (paths of private keys) to use instead, e.g. those of another server. */
  readonly hostKeyFiles?: readonly string[];
  /** Lines of sshd_config; they come first, and sshd takes the first value it sees. */
  readonly config?: readonly string[];
  /** What `Subsystem sftp` runs; default `internal-sftp -d <folder>`; false for no SFTP at all. */
  readonly sftp?: string | false;
  /** The folder that is served (where a login starts); default a new temporary one, removed at the end. */
  readonly folder?: string;
  /** Public keys (lines of authorized_keys) that may log in besides `keyFile`. */
  readonly authorized?: readonly string[];
  /** Default: a free one. */
  readonly port?: number;
  /** The address that it listens on; default loopback. */
  readonly host?: string;
  /** The host that it runs on: what its command line begins with, to run in a network namespace. */
  readonly within?: readonly string[];
}

export interface HostKey {
  /** As in a key file: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`. */
  readonly type: string;
  /** Base64, as in known_hosts. */
  readonly key: string;
  /** `SHA256:…` as ssh-keygen prints it. */
  readonly fingerprint: string;
  /** Its private key. */
  readonly file: string;
}

export interface Sshd extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** OpenSSH private key (ed25519, no passphrase) that may log in. */
  readonly keyFile: string;
  readonly hostKeys: readonly HostKey[];
  /** Of the first host key. */
  readonly hostKeyFingerprint: string;
  readonly folder: string;
  /** What sshd has logged so far (LogLevel VERBOSE). */
  log(): string;
  /** Kills the listener and every connection. Can be started again. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Kills the processes of all connections and keeps the listener: clients see their connection end. */
  cutConnections(): Promise<void>;
}

/** Makes a key pair with ssh-keygen; resolves to the private key's path (the public one is beside it, `.pub`). */
export async function makeKey(file: string, type: KeyType = 'ed25519', passphrase = ''): Promise<string> {
  const size = type === 'rsa' ? ['-b', '2048'] : [];
  await run('ssh-keygen', ['-q', '-t', type, ...size, '-N', passphrase, '-C', 'ferry-test', '-f', file]);
  return file;
}

/** Reads the public half of a key made by `makeKey`. */
export async function hostKeyOf(file: string): Promise<HostKey> {
  const [type = '', key = ''] = (await readFile(`${file}.pub`, 'utf8')).split(' ');
  const digest = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64');
  return { type, key, fingerprint: `SHA256:${digest.replace(/=+$/, '')}`, file };
}

/** Starts one and waits until it accepts connections. @throws Error with sshd's own words when it does not */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await temporaryFolder('sshd'));
  await chmod(home.path, 0o755);
  const folder = options.folder ?? join(home.path, 'files');
  await mkdir(folder, { recursive: true });
  await mkdir('/run/sshd', { recursive: true }).catch(() => undefined); // sshd insists on it when run as root

  const keyFile = await makeKey(join(home.path, 'client'));
  const ownKeys = (options.hostKeys ?? ['ed25519']).map((type) =>
    makeKey(join(home.path, `host_${type}`), type),
  );
  const hostKeys = await Promise.all((options.hostKeyFiles ?? (await Promise.all(ownKeys))).map(hostKeyOf));
  const [firstKey] = hostKeys;
  if (firstKey === undefined) throw new Error('an sshd needs a host key');

  const authorized = [await readFile(`${keyFile}.pub`, 'utf8'), ...(options.authorized ?? [])];
  await writeFile(
    join(home.path, 'authorized_keys'),
    `${authorized.map((line) => line.trim()).join('\n')}\n`,
  );
  const port = options.port ?? (await freePort());
  const host = options.host ?? '127.0.0.1';
  const within = options.within ?? [];
  const sftp = options.sftp ?? `internal-sftp -d ${folder}`;
  const config = [
    ...(options.config ?? []),
    `Port ${port}`,
    `ListenAddress ${host}`,
    ...hostKeys.map((key) => `HostKey ${key.file}`),
    `AuthorizedKeysFile ${join(home.path, 'authorized_keys')}`,
    `PidFile ${join(home.path, 'pid')}`,
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin yes',
    'UseDNS no',
    'PrintMotd no',
    'LogLevel VERBOSE',
    ...(sftp === false ? [] : [`Subsystem sftp ${sftp}`]),
  ];
  const configFile = join(home.path, 'sshd_config');
  await writeFile(configFile, `${config.join('\n')}\n`);

  let child: ChildProcess | undefined;
  let log = '';
  const stop = async (): Promise<void> => {
    if (child !== undefined) await killTree(child);
    child = undefined;
  };
  const start = async (): Promise<void> => {
    if (child !== undefined) return;
    child = await listen(configFile, within, `${host} port ${port}`, (text) => {
      log += text;
    });
  };
  undo.defer(stop);
  await start();
  const owned = undo.move();
  return {
    host,
    port,
    user: userInfo().username,
    keyFile,
    hostKeys,
    hostKeyFingerprint: firstKey.fingerprint,
    folder,
    log: () => log,
    stop,
    start,
    cutConnections: async () => {
      if (child?.pid === undefined) return;
      // What takes it into its namespace stays above it.
      const [below] = within.length === 0 ? [] : await descendantsOf(child.pid);
      await killBelow(below ?? child.pid);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function listen(
  configFile: string,
  within: readonly string[],
  where: string,
  onLog: (text: string) => void,
): Promise<ChildProcess> {
  const [program = '', ...args] = [...within, '/usr/sbin/sshd', '-D', '-e', '-f', configFile];
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    onLog(text);
  });
  let failed: unknown;
  child.once('error', (error) => {
    failed = error;
  });
  try {
    await until('sshd to listen', () => {
      if (failed !== undefined || child.exitCode !== null)
        throw new Error(`sshd did not start: ${said}`, { cause: failed });
      return said.includes(`Server listening on ${where}`);
    });
  } catch (error) {
    await killTree(child);
    throw error;
  }
  return child;
}
