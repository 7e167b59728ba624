/** Starts the sandbox's server in a thread, and stops it. */

import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { Fault, messageOf } from '../../sync/errors.ts';
import { hostKeyIn } from './hostkey.ts';

const START_MS = 20_000;

export interface SandboxServer {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly hostKeyFingerprint: string;
  /** Set when its thread has ended by itself. */
  readonly ended: boolean;
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** Absolute; made when missing. */
  readonly folder: string;
  readonly keyFile: string;
  /** 0: any free one. */
  readonly port: number;
  /** Undefined: a random one. */
  readonly password: string | undefined;
}

const Message = z.union([z.object({ port: z.number() }), z.object({ error: z.string() })]);

/** @throws Fault `rejected` when it cannot start */
export async function startServer(options: ServerOptions): Promise<SandboxServer> {
  const user = 'ferry';
  const password = options.password ?? randomBytes(24).toString('base64url');
  try {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const key = await hostKeyIn(options.keyFile);
    const given = { folder: options.folder, hostKey: key.private, user, password };
    const { worker, port } = await listen(given, options.port);
    let ended = false;
    worker.once('exit', () => {
      ended = true;
    });
    return {
      port,
      user,
      password,
      hostKeyFingerprint: key.fingerprint,
      get ended() {
        return ended;
      },
      stop: async () => {
        await worker.terminate();
      },
    };
  } catch (error) {
    throw new Fault('rejected', `the sandbox server cannot start: ${messageOf(error)}`, {
      cause: error,
      advice: `Ferry must be able to write in ${options.folder} and to listen on 127.0.0.1.`,
    });
  }
}

async function listen(
  given: Readonly<Record<string, string>>,
  wanted: number,
): Promise<{ readonly worker: Worker; readonly port: number }> {
  const file = import.meta.url.endsWith('.ts') ? './server-worker.ts' : './server-worker.js';
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: { ...given, port: wanted },
    name: 'ferry-sandbox',
  });
  worker.unref();
  try {
    const answer = await firstMessage(worker);
    if ('port' in answer) return { worker, port: answer.port };
    // Another process of ours serves there: this one serves the same files on another port.
    if (answer.error !== 'EADDRINUSE' || wanted === 0) throw new Error(answer.error);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  await worker.terminate();
  return await listen(given, 0);
}

async function firstMessage(worker: Worker): Promise<z.output<typeof Message>> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${START_MS / 1000} s`)), START_MS);
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error('its thread ended')));
  try {
    return Message.parse(await promise);
  } finally {
    clearTimeout(timer);
    worker.off('error', reject);
    worker.on('error', () => undefined); // `ended` tells
  }
}
