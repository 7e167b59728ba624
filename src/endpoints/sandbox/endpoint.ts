/**
 * An SFTP server of our own on loopback, so that trying Ferry needs no account anywhere: started on first use, and
 * used through the ordinary SFTP endpoint with its host key pinned. Its files are plain files in a folder.
 */

import { join } from 'node:path';
import { throwIfAborted } from '../../sync/errors.ts';
import type { FilePath } from '../../sync/names.ts';
import {
  type Capabilities,
  type Endpoint,
  type EndpointContext,
  type ProbeOptions,
  type ProbeStep,
  SERVER_CLOCK_SKEW_MS,
  type Session,
} from '../endpoint.ts';
import { type SandboxServer, startServer } from './server.ts';
import type { SandboxSettings } from './settings.ts';

/** Makes an SFTP endpoint from what endpoints.yaml would say. */
export type OpenSftp = (
  entry: Readonly<Record<string, unknown>>,
  context: EndpointContext,
) => Promise<Endpoint>;

const CONNECTIONS = 4;
/** Of the SFTP endpoint with this server, before there is a session to ask. */
const EXPECTED: Capabilities = {
  atomicRename: true,
  commitsAtClose: false,
  filesInFlight: 64,
  resume: true,
  positionalWrites: true,
  checksum: 'read-back',
  setsMtime: true,
  asynchronous: false,
  byteNames: true,
  clockSkewMs: SERVER_CLOCK_SKEW_MS,
};

interface Running {
  readonly server: SandboxServer;
  readonly sftp: Endpoint;
}

export function createSandbox(
  settings: SandboxSettings,
  context: EndpointContext,
  openSftp: OpenSftp,
): Endpoint {
  const home = join(context.dataFolder, 'sandbox', encodeURIComponent(context.name));
  const folder = settings.path ?? join(home, 'files');
  let running: Promise<Running> | undefined;
  let last: Running | undefined;

  const start = async (): Promise<Running> => {
    const server = await startServer({
      folder,
      keyFile: join(home, 'host_key'),
      port: settings.port ?? 0,
      password: settings.password,
    });
    const entry = {
      host: '127.0.0.1',
      port: server.port,
      user: server.user,
      password: server.password,
      hostKey: [server.hostKeyFingerprint],
      connections: CONNECTIONS,
      filesInFlight: EXPECTED.filesInFlight,
    };
    return { server, sftp: await openSftp(entry, context) };
  };
  const started = (): Promise<Running> => {
    if (last?.server.ended) {
      last = undefined;
      running = undefined;
    }
    running ??= start().then(
      (made) => {
        last = made;
        return made;
      },
      (error: unknown) => {
        running = undefined;
        throw error;
      },
    );
    return running;
  };
  const stop = async (): Promise<void> => {
    const stopping = running;
    running = undefined;
    const made = await stopping?.catch(() => undefined);
    await made?.sftp.close?.();
    await made?.server.stop();
  };

  return {
    name: context.name,
    kind: 'sandbox',
    capabilities: EXPECTED,
    address: `sandbox ${folder}`,
    connections: CONNECTIONS,
    idleMs: 60_000,
    connect: async (signal: AbortSignal): Promise<Session> => {
      throwIfAborted(signal);
      const { sftp } = await started();
      return await sftp.connect(signal);
    },
    probe: (path, options) => probe(started, folder, path, options),
    close: stop,
  };
}

async function* probe(
  started: () => Promise<Running>,
  folder: string,
  path: FilePath,
  options: ProbeOptions,
): AsyncGenerator<ProbeStep> {
  let running: Running;
  try {
    running = await started();
  } catch (error) {
    yield { step: 'server', ok: false, saw: error instanceof Error ? error.message : String(error) };
    return;
  }
  yield {
    step: 'server',
    ok: true,
    saw: `our own, on 127.0.0.1:${running.server.port}; its files are in ${folder}`,
  };
  yield* running.sftp.probe(path, options);
}
