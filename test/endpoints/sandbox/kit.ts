/** A sandbox endpoint in a temporary data folder. */

import { join } from 'node:path';
import type { Endpoint, EndpointContext } from '../../../src/endpoints/endpoint.ts';
import { kinds } from '../../../src/endpoints/index.ts';
import { type Outside, outsideOf } from '../../contract/endpoint.ts';
import { temporaryFolder } from '../../support/files.ts';

export interface SandboxSetup extends AsyncDisposable {
  readonly dataFolder: string;
  /** Where its files lie. */
  readonly files: string;
  readonly endpoint: Endpoint;
  readonly outside: Outside;
}

export function contextFor(dataFolder: string, name = 'try-out'): EndpointContext {
  return {
    name,
    dataFolder,
    env: {},
    other: (wanted) => Promise.reject(new Error(`there is no ${wanted}`)),
    warn: () => undefined,
  };
}

export async function openSandbox(
  dataFolder: string,
  settings: object = {},
  name?: string,
): Promise<Endpoint> {
  const { sandbox } = kinds;
  if (sandbox === undefined) throw new Error('there is no sandbox');
  return await sandbox.create(settings, contextFor(dataFolder, name));
}

export async function sandboxSetup(): Promise<SandboxSetup> {
  await using undo = new AsyncDisposableStack();
  const data = undo.use(await temporaryFolder('sandbox'));
  const endpoint = await openSandbox(data.path);
  undo.defer(async () => endpoint.close?.());
  const files = join(data.path, 'sandbox', 'try-out', 'files');
  const owned = undo.move();
  return {
    dataFolder: data.path,
    files,
    endpoint,
    outside: outsideOf(files),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
