/**
 * A small FTPS server that behaves as AWS Transfer Family does in front of S3, as far as it is known: session reuse
 * enforced by 522, EPSV and PASV with a `PassiveIp` that may be 0.0.0.0, neither APPE nor REST, a rename that replaces
 * nothing, files that appear when they are complete, an idle limit. And it can be told to go wrong.
 */

import { once } from 'node:events';
import { chmod, mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Certificate } from './certificates.ts';
import { temporaryFolder } from './files.ts';
import { contextOf, portOf, type Shared } from './transfer-ftps-data.ts';
import { Session } from './transfer-ftps-session.ts';
import { Store } from './transfer-ftps-store.ts';
import type { TlsVersion } from './vsftpd.ts';

export interface TransferOptions {
  readonly certificate: Certificate;
  /** The newest that the server speaks; default 1.3. */
  readonly tls?: TlsVersion;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default `enforced`, as there. `none`: no session can be resumed at all. */
  readonly reuse?: 'enforced' | 'enabled' | 'none';
  /** What PASV names; default 0.0.0.0. */
  readonly passiveIp?: string;
  /** Default: any free port. */
  readonly passivePort?: number;
  /** Default: no limit. */
  readonly idleMs?: number;
  readonly implicit?: boolean;
  /** Of another server, to serve the same files. */
  readonly base?: string;
}

/** What goes wrong; can be changed while the server runs. */
export interface TransferTrouble {
  /** Instead of the greeting; '' for none at all. */
  greeting?: string;
  /** Answers to commands, by their first word or by the whole line. */
  answers?: Readonly<Record<string, string>>;
  /** After this command was answered, nothing is heard of the connection any more. */
  silentAfter?: string;
  /** Of commands that come together, all but the first are lost. */
  losesCommands?: boolean;
  /** Data connections show another certificate. */
  dataCertificate?: Certificate;
  /** Named in place of the port where it waits for data connections. */
  dataPort?: number;
  /** When the next so many uploads are complete, the control connection ends before it says so. */
  loseReplies?: number;
  /** Sizes are told wrong by so much. */
  sizeOff?: number;
}

export interface TransferServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly base: string;
  readonly root: '/files';
  readonly folder: string;
  readonly trouble: TransferTrouble;
  /** Every command that came, without passwords. */
  readonly commands: readonly string[];
  /** Uploads that were told of as complete. */
  readonly stored: number;
}

export async function startTransferFtps(options: TransferOptions): Promise<TransferServer> {
  await using undo = new AsyncDisposableStack();
  const home = undo.use(await temporaryFolder('transfer'));
  await chmod(home.path, 0o755);
  const base = options.base ?? join(home.path, 'base');
  const uploads = join(base, '..', `uploads-${process.pid}`);
  for (const folder of [join(base, 'files'), uploads]) await mkdir(folder, { recursive: true });
  const shared: Shared = {
    options,
    host: options.host ?? '127.0.0.1',
    user: 'class',
    password: 'secret of a test',
    store: new Store(base, uploads),
    context: contextOf(options, options.certificate),
    trouble: {},
    commands: [],
    stored: 0,
  };
  const sessions = new Set<Session>();
  const server = createServer({ noDelay: true }, (socket) => {
    const session = new Session(shared, socket, () => sessions.delete(session));
    sessions.add(session);
    void session.run();
  });
  server.listen(0, shared.host);
  await once(server, 'listening');
  undo.defer(async () => {
    server.close();
    for (const session of sessions) session.end();
    await once(server, 'close');
  });
  const owned = undo.move();
  return {
    host: shared.host,
    port: portOf(server),
    user: shared.user,
    password: shared.password,
    base,
    root: '/files',
    folder: join(base, 'files'),
    trouble: shared.trouble,
    commands: shared.commands,
    get stored() {
      return shared.stored;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
