/** A real Redis server on loopback for a test: can be emptied, stopped, and started again on the same port. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { promisify } from 'node:util';
import { freePort, isServed } from './ports.ts';
import { killTree } from './processes.ts';
import { until } from './until.ts';

const run = promisify(execFile);

export interface TestRedis extends AsyncDisposable {
  readonly port: number;
  /** What to put into `REDIS_URL`. */
  readonly url: string;
  /** FLUSHALL. */
  empty(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** `redis-cli` with these arguments. */
  cli(...args: readonly string[]): Promise<string>;
}

/** @param options further arguments of `redis-server`, e.g. `--maxmemory-policy allkeys-lru` */
export async function startRedis(...options: readonly string[]): Promise<TestRedis> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    child = spawn(
      'redis-server',
      [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--appendonly',
        'no',
        '--maxmemory-policy',
        'noeviction',
        ...options,
      ],
      { stdio: 'ignore' },
    );
    await until('redis-server to listen', () => isServed(port));
  };
  const stop = async (): Promise<void> => {
    if (child !== undefined) await killTree(child);
    child = undefined;
  };
  const cli = async (...args: readonly string[]): Promise<string> =>
    (await run('redis-cli', ['-p', String(port), ...args])).stdout;
  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    empty: async () => void (await cli('FLUSHALL')),
    stop,
    start,
    cli,
    [Symbol.asyncDispose]: stop,
  };
}

/** Says what an old Redis would, in RESP2. */
export async function startOldRedis(version: string): Promise<AsyncDisposable & { readonly url: string }> {
  const port = await freePort();
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      for (const [, command] of String(data).matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g)) {
        const info = `# Server\r\nredis_version:${version}\r\nmaxmemory_policy:noeviction\r\n`;
        if (command?.toLowerCase() === 'info') socket.write(`$${info.length}\r\n${info}\r\n`);
        else socket.write(`-ERR unknown command '${command}'\r\n`);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `redis://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
