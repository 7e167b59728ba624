/** FTPS endpoints with the servers of the tests, straight or through fault proxies. */

import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { valuesFor } from '../../../src/config/values.ts';
import { createFtps, type FtpsEndpoint } from '../../../src/endpoints/ftps/endpoint.ts';
import { ftpsSettings } from '../../../src/endpoints/ftps/settings.ts';
import { calm } from '../../contract/endpoint/kit.ts';
import { type ContractSetup, cutBy, outsideOf } from '../../contract/endpoint.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { freePorts } from '../../support/ports.ts';
import { mountTmpfs } from '../../support/tmpfs.ts';
import { startTransferFtps, type TransferOptions } from '../../support/transfer-ftps.ts';
import type { FtpServer, FtpServerOptions } from '../../support/vsftpd.ts';

export interface FtpsOptions {
  readonly name?: string;
  readonly warn?: (message: string) => void;
}

/** An endpoint made as from endpoints.yaml. */
export function ftps(entry: object, options: FtpsOptions = {}): FtpsEndpoint {
  const parsed = ftpsSettings(valuesFor('/', '/root')).parse(entry);
  return createFtps(parsed, {
    name: options.name ?? 'server',
    dataFolder: '/nonexistent',
    env: {},
    other: (name) => Promise.reject(new Error(`there is no ${name}`)),
    warn: options.warn ?? (() => undefined),
  });
}

/** The entry that leads to a server. */
export function entryFor(
  server: Pick<FtpServer, 'host' | 'port' | 'user' | 'password'>,
  certificates: Certificates,
  more: object = {},
): object {
  const { host, port, user, password } = server;
  return { host, port, user, password, ca: certificates.caFile, ...more };
}

/** What all servers of the tests have in common. */
export type AnyServer = Pick<FtpServer, 'host' | 'port' | 'user' | 'password' | 'base' | 'root' | 'folder'> &
  AsyncDisposable;
export type StartServer = (options: FtpServerOptions) => Promise<AnyServer>;

/** The double of Transfer Family, started as the real servers are. */
export const startTransfer = (more: Partial<TransferOptions> = {}): StartServer => {
  return ({ certificate, tls, host, base, passivePorts }) =>
    startTransferFtps({
      certificate,
      ...(tls === undefined ? {} : { tls }),
      ...(host === undefined ? {} : { host }),
      ...(base === undefined ? {} : { base }),
      ...(passivePorts === undefined ? {} : { passivePort: passivePorts[0] }),
      ...more,
    });
};

/** A server whose connections, control and data, all go through proxies. It has one data connection at a time. */
export interface Proxied extends AsyncDisposable {
  readonly server: AnyServer;
  readonly control: FaultProxy;
  readonly data: FaultProxy;
  /** The entry that leads there. */
  entry(more?: object): object;
}

/** The server lives on 127.0.0.2, and names a data port on which a proxy waits at 127.0.0.1. */
export async function startProxied(
  start: StartServer,
  certificates: Certificates,
  options: Partial<FtpServerOptions> = {},
): Promise<Proxied> {
  await using undo = new AsyncDisposableStack();
  const certificate = await certificates.server('good');
  const host = '127.0.0.2';
  const port = await freePorts(2);
  undo.use(await taken(host, port + 1)); // ProFTPD wants a range: this leaves it one port
  const server = undo.use(await start({ certificate, host, passivePorts: [port, port + 1], ...options }));
  const control = undo.use(await startFaultProxy({ host: server.host, port: server.port }));
  const data = undo.use(await startFaultProxy({ host: server.host, port, listen: port }));
  const owned = undo.move();
  return {
    server,
    control,
    data,
    entry: (more = {}) => entryFor(server, certificates, { host: control.host, port: control.port, ...more }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What the contract suite needs, on a server of this kind. `endless`: its disk cannot be full. */
export async function contractSetup(
  start: StartServer,
  options: Partial<FtpServerOptions>,
  entry: object = {},
  more: Partial<ContractSetup> & { readonly endless?: boolean } = {},
): Promise<ContractSetup> {
  process.umask(0); // what the tests make beside the server, its user may change
  await using undo = new AsyncDisposableStack();
  const certificates = undo.use(await makeCertificates());
  const certificate = await certificates.server('good');
  const server = undo.use(await start({ certificate, ...options }));
  const outside = outsideOf(server.folder);
  for (const folder of ['base', 'small', 'closed']) await outside.mkdir(folder);
  undo.use(await mountTmpfs(4 * 1024 * 1024, join(server.folder, 'small')));
  await chmod(join(server.folder, 'small'), 0o777);
  const closed = undo.use(await mountTmpfs(1024 * 1024, join(server.folder, 'closed')));
  await closed.readOnly(true);
  const proxied = undo.use(await startProxied(start, certificates, { ...options, base: server.base }));
  const endpoint = ftps(entryFor(server, certificates, entry));
  for await (const _step of endpoint.probe(server.root, calm)); // so that it knows what the server can do
  const owned = undo.move();
  return {
    endpoint,
    folder: `${server.root}/base`,
    outside: outside.below('base'),
    refusesName: (name) => /[\r\n]/.test(name),
    largeBytes: 200e6,
    ...(more.endless === true
      ? {}
      : { full: { folder: `${server.root}/small`, outside: outside.below('small') } }),
    forbidden: `${server.root}/closed`,
    cut: cutBy(proxied.data, ftps(proxied.entry(entry))),
    ...more,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Makes sure that nobody else can listen there. */
async function taken(host: string, port: number): Promise<AsyncDisposable> {
  const server = createServer().listen(port, host);
  await once(server, 'listening');
  return {
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
