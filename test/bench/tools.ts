/** The tools that are measured, each as the one command that a person would give for sending a folder. */

import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { stringify } from 'yaml';
import type { Command } from './command.ts';
import type { JumpWay, Server } from './site.ts';

export interface Errand {
  /** A local folder; it is to arrive in `remote` under its own name. */
  readonly source: string;
  /** An existing, empty folder at the server. */
  readonly remote: string;
  readonly server: Server;
  /** The same server, with two jump hosts on the way: the line is the one to the first of them. */
  jumps(): Promise<JumpWay>;
  /** An empty folder for whatever the tool keeps. */
  readonly scratch: string;
}

export interface Tool {
  readonly name: string;
  command(errand: Errand): Promise<Command>;
  /** @throws Error when what the command printed shows that it did not do the errand */
  check?(stdout: string, files: number): void;
}

const ROOT = join(import.meta.dirname, '..', '..');
/** What npm's scripts run, without npm. */
export const FERRY = ['-r', join(ROOT, 'src/install/ferry.cjs'), join(ROOT, 'src/cli/main.ts')] as const;

function sshOptions(server: Server): string[] {
  return [
    '-F',
    'none',
    '-i',
    server.keyFile,
    '-o',
    'BatchMode=yes',
    '-o',
    `UserKnownHostsFile=${server.knownHosts}`,
  ];
}

const sftp: Tool = {
  name: 'sftp -r',
  command: async ({ source, remote, server, scratch }) => {
    const batch = join(scratch, 'batch');
    await writeFile(batch, `put -r ${source} ${remote}/${basename(source)}\n`);
    return {
      argv: [
        'sftp',
        '-q',
        '-b',
        batch,
        ...sshOptions(server),
        '-P',
        `${server.port}`,
        `${server.user}@${server.host}`,
      ],
    };
  },
};

const scp: Tool = {
  name: 'scp -r',
  command: async ({ source, remote, server }) => ({
    argv: [
      'scp',
      '-q',
      '-r',
      ...sshOptions(server),
      '-P',
      `${server.port}`,
      source,
      `${server.user}@${server.host}:${remote}/`,
    ],
  }),
};

const lftp: Tool = {
  name: 'lftp -P 10',
  command: async ({ source, remote, server }) => {
    const ssh = ['ssh', '-a', '-x', ...sshOptions(server)].join(' ');
    const script = [
      `set sftp:connect-program "${ssh}"`,
      'set net:max-retries 1',
      `open -p ${server.port} -u ${server.user}, sftp://${server.host}`,
      `mirror -R -P 10 ${source} ${remote}/${basename(source)}`,
      'bye',
    ].join('; ');
    return { argv: ['lftp', '--norc', '-c', script] };
  },
};

const rclone: Tool = {
  name: 'rclone 16',
  command: async ({ source, remote, server, scratch }) => {
    const config = join(scratch, 'rclone.conf');
    const entries = {
      type: 'sftp',
      host: server.host,
      port: server.port,
      user: server.user,
      key_file: server.keyFile,
      known_hosts_file: server.knownHosts,
      disable_hashcheck: true,
    };
    await writeFile(
      config,
      ['[far]', ...Object.entries(entries).map(([key, value]) => `${key} = ${value}`), ''].join('\n'),
    );
    return {
      argv: [
        'rclone',
        '--config',
        config,
        'copy',
        '--transfers',
        '16',
        source,
        `far:${remote}/${basename(source)}`,
      ],
    };
  },
};

/** `ferry run` with a new data folder each time: its ledger and queue are made and ended within the measured time. */
function ferry(
  name: string,
  env: (scratch: string) => NodeJS.ProcessEnv,
  endpointsOf: (errand: Errand) => Promise<object> = async ({ server }) => ({ far: entryOf(server) }),
): Tool {
  return {
    name,
    command: async (errand) => {
      await writeFerryJob(errand.scratch, await endpointsOf(errand), {
        from: errand.source,
        to: { endpoint: 'far', path: join(errand.remote, basename(errand.source)) },
        when: {},
        settle: '0s',
      });
      return ferryCommand(errand.scratch, ['run', 'bench', '--json'], env(errand.scratch));
    },
    check: (stdout, files) => {
      const last: unknown = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
      const delivered =
        typeof last === 'object' && last !== null && 'delivered' in last ? last.delivered : undefined;
      if (delivered !== files)
        throw new Error(`ferry delivered ${String(delivered)} of ${files}: ${stdout.slice(-1_000)}`);
    },
  };
}

function entryOf({ host, port, user, keyFile, fingerprint }: Server): object {
  return { type: 'sftp', host, port, user, key: keyFile, hostKey: [fingerprint] };
}

async function writeFerryJob(
  folder: string,
  endpoints: object,
  job: Readonly<Record<string, unknown>>,
): Promise<void> {
  const jobs = join(folder, 'jobs');
  await mkdir(jobs, { recursive: true });
  await writeFile(join(jobs, 'endpoints.yaml'), stringify(endpoints));
  await writeFile(join(jobs, 'bench.yaml'), stringify(job));
}

export function ferryCommand(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Command {
  return {
    argv: [process.execPath, ...FERRY, ...args],
    cwd: folder,
    env: {
      ...process.env,
      REDIS_URL: '',
      FERRY_JOBS: join(folder, 'jobs'),
      FERRY_DATA: join(folder, 'data'),
      FERRY_HTTP: 'off',
      FERRY_LOG: 'warn',
      ...env,
    },
  };
}

/** Ferry on a Redis that it finds on the PATH and starts for itself. */
export const FERRY_TOOL = ferry('ferry', () => ({}));
/** Ferry where no Redis is to be found. */
export const FERRY_BARE_TOOL = ferry('ferry, no Redis', (scratch) => ({ PATH: join(scratch, 'nothing') }));

/** Ferry through two jump hosts. */
export const FERRY_JUMPS_TOOL = ferry(
  'ferry, 2 jump hosts',
  () => ({}),
  async ({ jumps }) => {
    const { outer, inner, server } = await jumps();
    return {
      far: { ...entryOf(server), via: ['outer', 'inner'] },
      inner: entryOf(inner),
      outer: entryOf(outer),
    };
  },
);

export const PEERS: readonly Tool[] = [sftp, scp, lftp, rclone];
