/** Real proxies on loopback for a test: microsocks (SOCKS5) and tinyproxy (HTTP CONNECT), with a login where asked. */

import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from './files.ts';
import { freePort, isServed } from './ports.ts';
import { killTree } from './processes.ts';
import { until } from './until.ts';

export interface TestProxy extends AsyncDisposable {
  readonly port: number;
  /** What it has logged so far. */
  log(): string;
}

export interface ProxyLogin {
  readonly user: string;
  readonly password: string;
}

export async function startSocksProxy(login?: ProxyLogin): Promise<TestProxy> {
  const port = await freePort();
  const who = login === undefined ? [] : ['-u', login.user, '-P', login.password];
  return await serve('microsocks', ['-i', '127.0.0.1', '-p', `${port}`, ...who], port);
}

export interface HttpProxyOptions {
  readonly login?: ProxyLogin;
  /** Ports that CONNECT may lead to; default all. */
  readonly ports?: readonly number[];
}

export async function startHttpProxy({ login, ports = [] }: HttpProxyOptions = {}): Promise<TestProxy> {
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await temporaryFolder('tinyproxy'));
  const port = await freePort();
  const config = [
    ...[`Port ${port}`, 'Listen 127.0.0.1', 'Timeout 600', 'LogLevel Connect', 'MaxClients 100'],
    ...(login === undefined ? [] : [`BasicAuth ${login.user} ${login.password}`]),
    ...ports.map((each) => `ConnectPort ${each}`),
  ];
  const file = join(home.path, 'tinyproxy.conf');
  await writeFile(file, `${config.join('\n')}\n`);
  const proxy = undo.use(await serve('tinyproxy', ['-d', '-c', file], port));
  const owned = undo.move();
  return { ...proxy, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function serve(program: string, args: readonly string[], port: number): Promise<TestProxy> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  }
  await started(program, child, port, () => log);
  return { port, log: () => log, [Symbol.asyncDispose]: () => killTree(child) };
}

async function started(program: string, child: ChildProcess, port: number, log: () => string): Promise<void> {
  let failure: unknown;
  child.once('error', (error) => {
    failure = error;
  });
  try {
    await until(`${program} to listen`, () => {
      if (failure !== undefined || child.exitCode !== null)
        throw new Error(`${program} did not start: ${log()}`, { cause: failure });
      return isServed(port);
    });
  } catch (error) {
    await killTree(child);
    throw error;
  }
}
