/** Ferry as a person runs it: a jobs folder, a data folder, and the command line as a child process. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { temporaryFolder } from './files.ts';
import { freePort } from './ports.ts';
import type { Sshd } from './sshd.ts';
import { until } from './until.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** What lets root ignore permissions is taken away; the user stays. */
const WITHOUT_PRIVILEGE =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--'] : [];

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Each line of stdout, parsed. @throws SyntaxError when one is no JSON: `--json` promises that */
  lines(): readonly Record<string, unknown>[];
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** All that it has printed so far, both streams. */
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

export interface Home extends AsyncDisposable {
  /** Holds `jobs/`, `outbox/` and the data folder. */
  readonly path: string;
  readonly outbox: string;
  readonly dataFolder: string;
  /** Where `start` serves. */
  readonly http: string;
  endpoints(entries: Readonly<Record<string, unknown>>): Promise<void>;
  job(name: string, job: Readonly<Record<string, unknown>>): Promise<void>;
  /** Starts a command and does not wait. */
  start(args: readonly string[], env?: Readonly<Record<string, string>>): Running;
  /** Runs a command to its end. */
  ferry(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>;
  /** `ferry start`, once it says that it is ready. */
  worker(env?: Readonly<Record<string, string>>, args?: readonly string[]): Promise<Running>;
}

/** The entry of endpoints.yaml for a test server; with the port of a proxy before it where one is given. */
export function endpointOf(
  server: Sshd,
  changes: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    type: 'sftp',
    host: server.host,
    port: server.port,
    user: server.user,
    key: server.keyFile,
    hostKey: server.hostKeys.map((key) => key.fingerprint),
    ...changes,
  };
}

export interface HomeOptions {
  /** File permissions hold for it even where the tests run as root. */
  readonly unprivileged?: boolean;
  /** The host that it runs on: what its command lines begin with, to run in a network namespace. */
  readonly within?: readonly string[];
}

export async function makeHome(options: HomeOptions = {}): Promise<Home> {
  const folder = await temporaryFolder('home');
  const { path } = folder;
  const outbox = join(path, 'outbox');
  const dataFolder = join(path, 'data');
  await mkdir(join(path, 'jobs'));
  await mkdir(outbox);
  const http = `127.0.0.1:${await freePort()}`;
  const running = new Set<Running>();

  const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Running => {
    const before = [...(options.within ?? []), ...(options.unprivileged === true ? WITHOUT_PRIVILEGE : [])];
    const one = launch(before, path, args, {
      ...inherited(),
      FERRY_JOBS: join(path, 'jobs'),
      FERRY_DATA: dataFolder,
      FERRY_HTTP: http,
      ...env,
    });
    running.add(one);
    void one.ended.then(() => running.delete(one));
    return one;
  };

  return {
    path,
    outbox,
    dataFolder,
    http,
    endpoints: (entries) => writeFile(join(path, 'jobs', 'endpoints.yaml'), stringify(entries)),
    job: (name, job) => writeFile(join(path, 'jobs', `${name}.yaml`), stringify(job)),
    start,
    ferry: (args, env) => start(args, env).ended,
    worker: async (env, args = []) => {
      const worker = start(['start', ...args], env);
      await until('the worker to be ready', async () => {
        if (worker.child.exitCode !== null) throw new Error(`the worker ended: ${worker.output()}`);
        // The loopback of another network is not ours.
        return options.within === undefined
          ? await isReady(http)
          : worker.output().includes('"event":"started"');
      });
      return worker;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...running].map((one) => one.stop('SIGKILL')));
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function isReady(http: string): Promise<boolean> {
  try {
    return (await fetch(`http://${http}/healthz`)).ok;
  } catch {
    return false;
  }
}

/** What a person's shell would give; nothing of Ferry's own. */
function inherited(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(FERRY_|REDIS_URL|AWS_|NODE_TEST|NODE_OPTIONS|FORCE_COLOR)/.test(name))
      kept[name] = value;
  }
  return kept;
}

function launch(
  before: readonly string[],
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Running {
  const [command = process.execPath, ...rest] = [...before, process.execPath, MAIN, ...args];
  const child = spawn(command, rest, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({
        code,
        signal,
        stdout,
        stderr,
        lines: () =>
          stdout
            .split('\n')
            .filter(Boolean)
            .map((text) => JSON.parse(text)),
      });
    });
  });
  return {
    child,
    ended,
    output: () => stdout + stderr,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
  };
}
