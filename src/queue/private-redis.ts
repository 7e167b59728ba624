/**
 * A Redis of our own: `redis-server` or `valkey-server` from the PATH, on a Unix socket that only we can open, with nothing
 * on disk. It lives no longer than this process, however that ends, and is started again when it dies.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault, messageOf, throwIfAborted } from '../sync/errors.ts';
import type { Backend } from './backend.ts';
import { openRedis, type RedisBackendOptions } from './redis.ts';

export interface PrivateRedisOptions {
  /** The server's program. */
  readonly program: string;
  /** Where the socket goes, if its path is not too long for one. */
  readonly folder: string;
  readonly report: (message: string, ok: boolean) => void;
  readonly signal: AbortSignal;
}

export interface PrivateRedis {
  readonly socket: string;
  close(): Promise<void>;
}

const PROGRAMS = ['redis-server', 'valkey-server'];
const PREFIX = 'redis-';
const SOCKET = 's';
/** `sun_path` has room for 104 bytes on macOS and 108 on Linux, the final zero included. */
const MAX_SOCKET_BYTES = 100;
const START_MS = 10_000;
const STOP_MS = 2_000;
const LAST_WORDS_MS = 1_000;
const MAX_RESTART_MS = 5_000;
/** A folder without a socket that is older than this is nobody's. */
const STALE_MS = 60_000;

/**
 * Runs the server, and kills it and removes its folder when the other end of descriptor 3 is closed: the kernel does that
 * when we die, whatever we die of. Arguments: the folder, then the server and its arguments.
 */
const GUARD = `
exec 3<&0 </dev/null
folder=$1; shift
"$@" 3<&- & server=$!
exec >/dev/null 2>&1
(while read -r _ <&3; do :; done; kill -9 $server) & guard=$!
wait $server; code=$?
kill -9 $guard
rm -rf -- "$folder"
exit $code`;

/** The program to run, or undefined where there is none. */
export async function findRedisServer(pathEnv: string | undefined): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined;
  const folders = (pathEnv ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const name of PROGRAMS)
    for (const folder of folders) {
      const file = join(folder, name);
      if (await canRun(file)) return file;
    }
  return undefined;
}

/** @throws Fault `unreachable` when it does not start */
export async function openPrivateRedis(
  options: Omit<RedisBackendOptions, 'kind' | 'at' | 'ended' | 'folderId'> & PrivateRedisOptions,
): Promise<Backend> {
  const server = await startPrivateRedis(options);
  const ended = (): Promise<void> => server.close();
  return openRedis({
    ...options,
    kind: 'private-redis',
    at: { path: server.socket },
    folderId: 'ours',
    ended,
  });
}

/** @throws Fault `unreachable` when it does not start */
export async function startPrivateRedis(options: PrivateRedisOptions): Promise<PrivateRedis> {
  await removeStale(options.folder);
  const server = new Server(options);
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

class Server implements PrivateRedis {
  readonly #options: PrivateRedisOptions;
  #folder = '';
  #child: ChildProcess | undefined;
  #closing = false;
  #failures = 0;

  constructor(options: PrivateRedisOptions) {
    this.#options = options;
  }

  get socket(): string {
    return join(this.#folder, SOCKET);
  }

  async start(): Promise<void> {
    this.#folder = await makeFolder(this.#options.folder);
    await this.#spawn();
  }

  async close(): Promise<void> {
    this.#closing = true;
    const child = this.#child;
    // The guard does the rest.
    child?.stdin?.destroy();
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const late = AbortSignal.timeout(STOP_MS);
      await once(child, 'exit', { signal: late }).catch(() => child.kill('SIGKILL'));
    }
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true });
  }

  async #spawn(): Promise<void> {
    const { program, signal } = this.#options;
    throwIfAborted(signal);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    // A session of its own: Ctrl-C at a terminal is for us, and we still need it while we finish.
    const child = spawn(
      '/bin/sh',
      ['-c', GUARD, 'ferry-queue', this.#folder, program, ...this.#arguments()],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
        cwd: '/',
      },
    );
    this.#child = child;
    child.stdin.on('error', () => undefined);
    let said = '';
    for (const output of [child.stdout, child.stderr])
      output.setEncoding('utf8').on('data', (text: string) => {
        said = `${said}${text}`.slice(-2_000);
      });
    child.on('error', (error) => {
      said += messageOf(error);
    });
    // What it said last may be read after its end; but something may hold its pipes open.
    const exit = once(child, 'exit').then(() => sleep(LAST_WORDS_MS, undefined, { ref: false }));
    const silent = Promise.race([once(child, 'close'), exit]).catch(() => undefined); // 'error', which is in `said`
    await this.#listening(child, () => said, silent);
    this.#failures = 0;
    child.once('exit', () => {
      // Had only the guard died, its server would still be there.
      child.stdin.destroy();
      void silent.then(() => this.#died(lastLine(said)));
    });
  }

  async #listening(child: ChildProcess, said: () => string, silent: Promise<unknown>): Promise<void> {
    const deadline = Date.now() + START_MS;
    for (;;) {
      throwIfAborted(this.#options.signal);
      if (await answers(this.socket)) return;
      const ended = child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
      if (ended) await silent;
      if (ended || Date.now() > deadline)
        throw new Fault('unreachable', `${this.#options.program} did not start: ${lastLine(said())}`, {
          code: 'REDIS_START',
          advice: 'Run it by hand to see why, set REDIS_URL, or take it from the PATH.',
        });
      await sleep(10);
    }
  }

  async #died(reason: string): Promise<void> {
    const { program, report } = this.#options;
    while (!this.#closing) {
      report(`${program} ended (${reason}); starting it again`, false);
      await sleep(Math.min(MAX_RESTART_MS, 100 * 2 ** this.#failures), undefined, { ref: false });
      this.#failures += 1;
      if (this.#closing) return;
      try {
        return await this.#spawn();
      } catch (error) {
        reason = messageOf(error);
      }
    }
  }

  /** It may forget: the ledger is the record. */
  #arguments(): readonly string[] {
    return [
      ...['--port', '0', '--unixsocket', this.socket, '--unixsocketperm', '700'],
      ...['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'],
      ...['--daemonize', 'no', '--dir', this.#folder, '--logfile', '', '--loglevel', 'warning'],
    ];
  }
}

async function makeFolder(folder: string): Promise<string> {
  const room = Buffer.byteLength(join(folder, `${PREFIX}XXXXXX`, SOCKET)) <= MAX_SOCKET_BYTES;
  const parent = room ? folder : tmpdir();
  await mkdir(parent, { recursive: true, mode: 0o700 });
  return mkdtemp(join(parent, room ? PREFIX : 'ferry-redis-'));
}

/** What a guard could not remove: the machine went down, or the guard was killed. */
async function removeStale(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  for (const name of names.filter((each) => each.startsWith(PREFIX))) {
    const folder = join(parent, name);
    const state = await stat(join(folder, SOCKET)).catch(() => undefined);
    const made = await stat(folder).catch(() => undefined);
    const starting = state === undefined && made !== undefined && Date.now() - made.ctimeMs < STALE_MS;
    // Alive is what answers: a process id says nothing across containers.
    if (starting || (await answers(join(folder, SOCKET)))) continue;
    await rm(folder, { recursive: true, force: true });
  }
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function canRun(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() || 'it said nothing';
}
