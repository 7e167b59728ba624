#!/usr/bin/env node
/**
 * The command line: reads the environment, handles signals, exits. Nothing else in Ferry does any of these.
 * Each command lives in a file of its own and is loaded when it is called.
 */

import { enableCompileCache } from 'node:module';
import { homedir, hostname } from 'node:os';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Command, CommanderError } from 'commander';
import type { Cli, Settings } from './cli.ts';
import { EXIT } from './cli.ts';
import { addCommands } from './commands.ts';

enableCompileCache();

function settingsFrom(env: NodeJS.ProcessEnv): Settings {
  return {
    jobsFolder: resolve(env.FERRY_JOBS || './jobs'),
    dataFolder: resolve(env.FERRY_DATA || './.ferry'),
    redisUrl: env.REDIS_URL || undefined,
    http: env.FERRY_HTTP || '127.0.0.1:8080',
    httpToken: env.FERRY_HTTP_TOKEN || undefined,
    site: env.FERRY_SITE || hostname(),
    logLevel: env.FERRY_LOG || 'info',
    home: homedir(),
    env,
  };
}

function colourful(env: NodeJS.ProcessEnv, isTTY: boolean): boolean {
  return isTTY && !env.NO_COLOR && env.TERM !== 'dumb';
}

async function ask(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}

/** One Ctrl-C at a terminal reaches us from there and, a moment later, from npm, which passes it on. */
const SAME_STOP_MS = 500;

/** Fires at the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  let firstMs = 0;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) {
        if (performance.now() - firstMs > SAME_STOP_MS) process.exit(EXIT.interrupted);
        return;
      }
      firstMs = performance.now();
      process.stderr.write('ferry: stopping; what is on its way gets its time (again to stop at once)\n');
      stop.abort(name);
    });
  }
  return stop.signal;
}

async function main(): Promise<number> {
  const cli: Cli = {
    settings: settingsFrom(process.env),
    stdout: process.stdout,
    stderr: process.stderr,
    color: colourful(process.env, process.stdout.isTTY === true),
    colorErr: colourful(process.env, process.stderr.isTTY === true),
    signal: stopSignal(),
    now: Date.now,
    ask,
  };
  let code: number = EXIT.ok;
  const program = new Command();
  addCommands(program, cli, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    throw error;
  }
  return code;
}

/** Set once something that was to be read by someone could not be written. */
let unwritten: NodeJS.ErrnoException | undefined;

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that went away (`ferry history | head`) is no error of ours.
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  unwritten ??= error;
});
// A disk that is full where the log goes stops no delivery.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') throw error;
});

/** @returns the code to exit with: output that is cut short must not be taken for all of it */
function afterOutput(code: number): number {
  if (unwritten === undefined || code !== EXIT.ok) return code;
  process.stderr.write(`ferry: the output could not be written: ${unwritten.message}\n`);
  return EXIT.failed;
}

// What may still hold the event loop (a keep-alive, a pooled socket) must not keep a finished command alive.
const code = await main();
process.stdout.write('', (error?: NodeJS.ErrnoException | null) => {
  if (error?.code !== 'EPIPE') unwritten ??= error ?? undefined;
  const last = afterOutput(code);
  process.stderr.write('', () => process.exit(last));
});
