/**
 * A small FTPS server that behaves as AWS Transfer Family does in front of S3, as far as it is known: session reuse
 * enforced by 522, EPSV and PASV with a `PassiveIp` that may be 0.0.0.0, neither APPE nor REST, a rename that replaces
 * nothing, files that appear when they are complete, an idle limit. And it can be told to go wrong.
 */

import { constants } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { createServer, type Server, Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Certificate } from './certificates.ts';
import { temporaryFolder } from './files.ts';
import { factsOf, Store, timeOf } from './transfer-ftps-store.ts';
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

interface Shared {
  readonly options: TransferOptions;
  readonly host: string;
  readonly user: string;
  readonly password: string;
  readonly store: Store;
  readonly context: SecureContext;
  readonly trouble: TransferTrouble;
  readonly commands: string[];
  stored: number;
}

function contextOf(options: TransferOptions, { cert, key }: Certificate): SecureContext {
  return createSecureContext({
    cert,
    key,
    minVersion: 'TLSv1.2',
    maxVersion: `TLSv${options.tls ?? '1.3'}`,
    secureOptions: options.reuse === 'none' ? constants.SSL_OP_NO_TICKET : 0,
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

class Session {
  readonly #shared: Shared;
  readonly #raw: Socket;
  readonly #ended: () => void;
  #socket: Socket;
  #rest = '';
  #work: Promise<void> = Promise.resolve();
  #passive: Server | undefined;
  #incoming: Promise<Socket> | undefined;
  #sockets = new Set<Socket>();
  #current = '/';
  #renaming: string | undefined;
  #loggedIn = false;
  #protected = false;
  #silent = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(shared: Shared, raw: Socket, ended: () => void) {
    this.#shared = shared;
    this.#raw = raw;
    this.#socket = raw;
    this.#ended = ended;
  }

  async run(): Promise<void> {
    this.#raw.on('error', () => undefined);
    this.#raw.once('close', () => this.end());
    if (this.#shared.options.implicit === true) this.#secure();
    this.#listen();
    const greeting = this.#shared.trouble.greeting ?? '220 Service ready for new user.';
    if (greeting !== '') this.#say(greeting);
  }

  end(): void {
    clearTimeout(this.#idle);
    this.#passive?.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#socket.destroy();
    this.#raw.destroy();
    this.#ended();
  }

  #listen(): void {
    this.#socket.on('data', (bytes: Buffer) => this.#take(bytes.toString('latin1')));
    this.#socket.on('error', () => undefined);
  }

  #secure(): void {
    this.#raw.removeAllListeners('data');
    const { context } = this.#shared;
    this.#socket = new TLSSocket(this.#raw, { isServer: true, secureContext: context });
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\r\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      this.#work = this.#work.then(async () => {
        clearTimeout(this.#idle);
        if (!this.#silent) await this.#do(line).catch((error: Error) => this.#say(`550 ${error.message}`));
        const { idleMs } = this.#shared.options;
        if (idleMs === undefined) return;
        this.#idle = setTimeout(() => {
          this.#say('421 Idle for too long.');
          this.end();
        }, idleMs);
      });
    }
  }

  #say(text: string): void {
    if (!this.#silent && this.#socket.writable) this.#socket.write(`${text}\r\n`, 'latin1');
  }

  async #do(line: string): Promise<void> {
    const space = line.indexOf(' ');
    const command = (space < 0 ? line : line.slice(0, space)).toUpperCase();
    const argument = space < 0 ? '' : line.slice(space + 1);
    const { trouble, commands } = this.#shared;
    commands.push(command === 'PASS' ? 'PASS' : line);
    const answer = trouble.answers?.[line] ?? trouble.answers?.[command];
    if (answer !== undefined) this.#say(answer);
    else if (!this.#loggedIn && !OPEN.has(command)) this.#say('530 Please log in.');
    else await this.#obey(command, argument);
    if (trouble.silentAfter === command) this.#silent = true;
  }

  async #obey(command: string, argument: string): Promise<void> {
    const { store, user, password, trouble } = this.#shared;
    const path = (): string => store.resolve(this.#current, argument);
    switch (command) {
      case 'AUTH':
        this.#say('234 Command AUTH okay; starting TLS connection.');
        if (trouble.silentAfter === 'AUTH') return;
        this.#secure();
        return this.#listen();
      case 'USER':
        return this.#say('331 User name okay, need password.');
      case 'PASS':
        this.#loggedIn = argument === password;
        return this.#say(
          this.#loggedIn ? `230 User ${user} logged in, proceed.` : '530 Authentication failed.',
        );
      case 'PBSZ':
        return this.#say('200 Command PBSZ okay.');
      case 'PROT':
        this.#protected = argument === 'P';
        return this.#say(this.#protected ? '200 Command PROT okay.' : '534 PROT C is not supported.');
      case 'SYST':
        return this.#say('215 UNIX Type: Apache FtpServer');
      case 'TYPE':
        return this.#say(argument === 'I' ? '200 Command TYPE okay.' : '504 Only binary.');
      case 'OPTS':
        return this.#say('200 Command OPTS okay.');
      case 'FEAT':
        return this.#say(`211-Extensions supported\r\n ${FEATURES.join('\r\n ')}\r\n211 End`);
      case 'PWD':
        return this.#say(`257 "${this.#current.replaceAll('"', '""')}" is current directory.`);
      case 'CWD': {
        if ((await store.look(path()))?.isDirectory() !== true) return this.#say('550 No such directory.');
        this.#current = path();
        return this.#say('250 Directory changed.');
      }
      case 'EPSV':
        return this.#say(`229 Entering Passive Mode (|||${await this.#listenForData()}|)`);
      case 'PASV': {
        const port = await this.#listenForData();
        const host = (this.#shared.options.passiveIp ?? '0.0.0.0').replaceAll('.', ',');
        return this.#say(`227 Entering Passive Mode (${host},${port >> 8},${port & 255})`);
      }
      case 'MKD':
        await store.makeFolder(path());
        return this.#say(`257 "${argument}" created.`);
      case 'RMD':
        await store.removeFolder(path());
        return this.#say('250 Removed.');
      case 'DELE':
        await store.remove(path());
        return this.#say('250 Deleted.');
      case 'SIZE': {
        const stats = await store.look(path());
        return this.#say(
          stats?.isFile() ? `213 ${stats.size + (trouble.sizeOff ?? 0)}` : '550 No such file.',
        );
      }
      case 'MDTM': {
        const stats = await store.look(path());
        return this.#say(stats === undefined ? '550 No such file.' : `213 ${timeOf(stats)}`);
      }
      case 'MFMT':
        return this.#say('550 The time of an object cannot be set.');
      case 'MLST': {
        const stats = await store.look(path());
        if (stats === undefined) return this.#say('550 No such file or directory.');
        return this.#say(`250- Listing ${argument}\r\n ${factsOf(stats)} ${argument}\r\n250 End`);
      }
      case 'RNFR':
        this.#renaming = path();
        if ((await store.look(path())) === undefined) return this.#say('550 No such file.');
        return this.#say('350 Requested file action pending further information.');
      case 'RNTO':
        if (this.#renaming === undefined) return this.#say('503 Say RNFR first.');
        await store.rename(this.#renaming, path());
        return this.#say('250 Renamed.');
      case 'MLSD':
      case 'RETR':
      case 'STOR':
        return await this.#transfer(command, path());
      case 'NOOP':
        return this.#say('200 Command NOOP okay.');
      case 'QUIT':
        this.#say('221 Goodbye.');
        return void this.#socket.end();
      default:
        return this.#say(`502 Command ${command} not implemented.`);
    }
  }

  async #listenForData(): Promise<number> {
    this.#passive?.close();
    const server = createServer({ pauseOnConnect: true, noDelay: true });
    this.#passive = server;
    this.#incoming = once(server, 'connection').then(([socket]) => {
      server.close();
      if (socket instanceof Socket) return socket;
      throw new Error('no socket came');
    });
    this.#incoming.catch(() => undefined);
    server.listen(this.#shared.options.passivePort ?? 0, this.#shared.host);
    await once(server, 'listening');
    return this.#shared.trouble.dataPort ?? portOf(server);
  }

  async #transfer(command: 'MLSD' | 'RETR' | 'STOR', path: string): Promise<void> {
    const { store, options } = this.#shared;
    if (!this.#protected) return this.#say('534 Say PROT P first.');
    const incoming = this.#incoming;
    this.#incoming = undefined;
    if (incoming === undefined) return this.#say('425 Say EPSV or PASV first.');
    const stats = await store.look(path);
    if (command === 'RETR' && stats?.isFile() !== true) return this.#say('550 No such file.');
    if (command === 'MLSD' && stats?.isDirectory() !== true) return this.#say('550 No such directory.');
    const upload = command === 'STOR' ? await store.write(path) : undefined;
    this.#say('150 File status okay; about to open data connection.');
    const data = await this.#secureData(await incoming);
    if (data === undefined) {
      await upload?.drop();
      return this.#say('425 Data connection could not be secured.');
    }
    if ((options.reuse ?? 'enforced') === 'enforced' && !data.isSessionReused()) {
      data.destroy();
      await upload?.drop();
      return this.#say('522 Data connection must use cached TLS session');
    }
    try {
      if (upload !== undefined) await pipeline(data, upload.stream, { end: true });
      else if (command === 'RETR') await pipeline(createReadStream(store.disk(path)), data);
      else data.end((await store.facts(path)).map((line) => `${line}\r\n`).join(''), 'latin1');
      if (upload === undefined && !data.closed) await once(data, 'close');
    } catch {
      data.destroy();
      await upload?.drop();
      return this.#say('426 Data connection error.');
    }
    await upload?.commit();
    if (upload !== undefined) this.#shared.stored += 1;
    this.#finish(command);
  }

  #finish(command: string): void {
    const { trouble } = this.#shared;
    if (command === 'STOR' && (trouble.loseReplies ?? 0) > 0) {
      trouble.loseReplies = (trouble.loseReplies ?? 0) - 1;
      this.end();
    } else this.#say('226 Transfer complete.');
  }

  async #secureData(raw: Socket): Promise<TLSSocket | undefined> {
    const { context, options, trouble } = this.#shared;
    const secureContext =
      trouble.dataCertificate === undefined ? context : contextOf(options, trouble.dataCertificate);
    const data = new TLSSocket(raw, { isServer: true, secureContext });
    // Node tells of a broken record only so, on a socket that belongs to no tls.Server.
    data.on('_tlsError', (error: Error) => data.destroy(error));
    this.#sockets.add(data);
    data.once('close', () => this.#sockets.delete(data));
    raw.on('error', () => undefined);
    raw.resume();
    try {
      await once(data, 'secure');
    } catch {
      return undefined;
    } finally {
      data.on('error', () => undefined);
    }
    return data;
  }
}

const OPEN = new Set(['AUTH', 'USER', 'PASS', 'PBSZ', 'PROT', 'FEAT', 'SYST', 'OPTS', 'NOOP', 'QUIT']);
const FEATURES = [
  'SIZE',
  'MDTM',
  'MFMT',
  'MLST Size*;Modify*;Type*;',
  'EPSV',
  'PASV',
  'TVFS',
  'UTF8',
  'LANG en',
  'PBSZ',
  'PROT',
  'AUTH TLS',
];
