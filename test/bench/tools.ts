/** The tools that are measured, each as the one command that a person would give for sending a folder. */

import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { stringify } from 'yaml';
import type { Command } from './command.ts';
import type { SftpServer, Site } from './site.ts';

export interface Errand {
  /** A local folder; it is to arrive in `remote` under its own name. */
  readonly source: string;
  /** An existing, empty folder at the server, by its path there. */
  readonly remote: string;
  /** Where the servers are. */
  readonly site: Site;
  readonly roundTripMs: number;
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

function sshOptions(server: SftpServer): string[] {
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
  command: async ({ source, remote, site, roundTripMs, scratch }) => {
    const server = await site.sftp(roundTripMs);
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
  command: async ({ source, remote, site, roundTripMs }) => {
    const server = await site.sftp(roundTripMs);
    const target = `${server.user}@${server.host}:${remote}/`;
    return { argv: ['scp', '-q', '-r', ...sshOptions(server), '-P', `${server.port}`, source, target] };
  },
};

const lftp: Tool = {
  name: 'lftp -P 10',
  command: async ({ source, remote, site, roundTripMs }) => {
    const server = await site.sftp(roundTripMs);
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
  command: async ({ source, remote, site, roundTripMs, scratch }) => {
    const server = await site.sftp(roundTripMs);
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

export interface FerryOptions {
  readonly name: string;
  /** What stands in endpoints.yaml; the job sends to `far`. */
  endpoints(errand: Errand): Promise<object>;
  env?(errand: Errand): NodeJS.ProcessEnv | Promise<NodeJS.ProcessEnv>;
}

/** `ferry run` with a new data folder each time: its ledger and queue are made and ended within the measured time. */
export function ferry({ name, endpoints, env }: FerryOptions): Tool {
  return {
    name,
    command: async (errand) => {
      await writeFerryJob(errand.scratch, await endpoints(errand), {
        from: errand.source,
        to: { endpoint: 'far', path: join(errand.remote, basename(errand.source)) },
        when: {},
        settle: '0s',
      });
      return ferryCommand(errand.scratch, ['run', 'bench', '--json'], await env?.(errand));
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

async function writeFerryJob(folder: string, endpoints: object, job: object): Promise<void> {
  const jobs = join(folder, 'jobs');
  await mkdir(jobs, { recursive: true });
  await writeFile(join(jobs, 'endpoints.yaml'), stringify(endpoints));
  await writeFile(join(jobs, 'bench.yaml'), stringify(job));
}

function ferryCommand(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Command {
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

function entryOf({ host, port, user, keyFile, fingerprint }: SftpServer): object {
  return { type: 'sftp', host, port, user, key: keyFile, hostKey: [fingerprint] };
}

const straight = async ({ site, roundTripMs }: Errand): Promise<object> => ({
  far: entryOf(await site.sftp(roundTripMs)),
});

/** Ferry on a Redis that it finds on the PATH and starts for itself. */
export const FERRY_TOOL = ferry({ name: 'ferry', endpoints: straight });
/** Ferry where no Redis is to be found. */
export const FERRY_BARE_TOOL = ferry({
  name: 'ferry, no Redis',
  endpoints: straight,
  env: ({ scratch }) => ({ PATH: join(scratch, 'nothing') }),
});

/** Ferry through two jump hosts: the line is the one to the first of them. */
export const FERRY_JUMPS_TOOL = ferry({
  name: 'ferry, 2 jump hosts',
  endpoints: async ({ site, roundTripMs }) => {
    const { outer, inner, server } = await site.jumps(roundTripMs);
    return {
      far: { ...entryOf(server), via: ['outer', 'inner'] },
      inner: entryOf(inner),
      outer: entryOf(outer),
    };
  },
});

export const PEERS: readonly Tool[] = [sftp, scp, lftp, rclone];
