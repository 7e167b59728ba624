/** SFTP endpoints with a real OpenSSH server, straight or through the fault proxy. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { valuesFor } from '../../../src/config/values.ts';
import type { Endpoint, EndpointContext } from '../../../src/endpoints/endpoint.ts';
import { createSftp, type SftpEndpoint } from '../../../src/endpoints/sftp/endpoint.ts';
import { settings } from '../../../src/endpoints/sftp/settings.ts';
import { Fault } from '../../../src/sync/errors.ts';
import { type ContractSetup, outsideOf } from '../../contract/endpoint.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { type Sshd, type SshdOptions, startSshd } from '../../support/sshd.ts';
import { mountTmpfs } from '../../support/tmpfs.ts';

export const calm = { signal: new AbortController().signal };

/** The fault that a call ends with. */
export async function rejection(call: Promise<unknown>): Promise<Fault> {
  const fault = await call.then(
    () => assert.fail('expected a fault'),
    (error: unknown) => error,
  );
  if (!(fault instanceof Fault)) assert.fail(`expected a Fault, got ${fault}`);
  return fault;
}

export { options as sendOptions } from '../../contract/endpoint/kit.ts';

export interface SftpOptions {
  readonly name?: string;
  readonly warn?: (message: string) => void;
  readonly other?: EndpointContext['other'];
  readonly env?: EndpointContext['env'];
}

/** An endpoint made as from endpoints.yaml. */
export function sftp(entry: object, options: SftpOptions = {}): SftpEndpoint {
  const parsed = settings(valuesFor('/', '/root')).parse(entry);
  return createSftp(parsed, {
    name: options.name ?? 'server',
    dataFolder: '/nonexistent',
    env: options.env ?? {},
    other: options.other ?? ((name) => Promise.reject(new Error(`there is no ${name}`))),
    warn: options.warn ?? (() => undefined),
  });
}

/** Named endpoints that know each other, as those of one configuration do. */
export function configured(entries: Readonly<Record<string, object>>) {
  const made = new Map<string, Endpoint>();
  const endpoint = (name: string) => {
    const entry = entries[name];
    assert.ok(entry, name);
    const created = sftp(entry, { name, other, env: { PATH: process.env.PATH } });
    made.set(name, created);
    return created;
  };
  const other = async (name: string): Promise<Endpoint> => made.get(name) ?? endpoint(name);
  return endpoint;
}

/** The entry that leads to a server, by key and pinned host key. */
export function entryFor(sshd: Sshd, more: object = {}): object {
  return {
    host: sshd.host,
    port: sshd.port,
    user: sshd.user,
    key: sshd.keyFile,
    hostKey: sshd.hostKeys.map((key) => key.fingerprint),
    ...more,
  };
}

/** What the contract suite needs, on a server with this configuration. */
export async function contractSetup(server: SshdOptions, entry: object = {}): Promise<ContractSetup> {
  await using undo = new AsyncDisposableStack();
  const sshd = undo.use(
    await startSshd({ ...server, config: ['MaxStartups 100', ...(server.config ?? [])] }),
  );
  const outside = outsideOf(sshd.folder);
  for (const folder of ['base', 'small', 'closed']) await outside.mkdir(folder);
  undo.use(await mountTmpfs(4 * 1024 * 1024, join(sshd.folder, 'small')));
  const closed = undo.use(await mountTmpfs(1024 * 1024, join(sshd.folder, 'closed')));
  await closed.readOnly(true);
  const proxy = undo.use(await startFaultProxy({ port: sshd.port }));
  const owned = undo.move();
  return {
    endpoint: sftp(entryFor(sshd, entry)),
    folder: `${sshd.folder}/base`,
    outside: outside.below('base'),
    modes: true,
    full: { folder: `${sshd.folder}/small`, outside: outside.below('small') },
    forbidden: `${sshd.folder}/closed`,
    cut: {
      endpoint: sftp(entryFor(sshd, { port: proxy.port, ...entry })),
      afterBytes: (bytes) =>
        proxy.setTrouble({
          cut: { afterBytes: bytes, direction: 'up', by: 'rst', counting: 'all', times: 1 },
        }),
      sentBytes: () => proxy.counts.bytesUp,
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
