/** One control connection of `transfer-ftps.ts`: commands in, replies out, one after another. */

import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { TLSSocket } from 'node:tls';
import { DataChannel, type Shared } from './transfer-ftps-data.ts';
import { factsOf, timeOf } from './transfer-ftps-store.ts';

/** What may be said before a login. */
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

export class Session {
  readonly #shared: Shared;
  readonly #raw: Socket;
  readonly #ended: () => void;
  #socket: Socket;
  #rest = '';
  #work: Promise<void> = Promise.resolve();
  readonly #data: DataChannel;
  #current = '/';
  #renaming: string | undefined;
  #loggedIn = false;
  #protected = false;
  #silent = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(shared: Shared, raw: Socket, ended: () => void) {
    this.#shared = shared;
    this.#data = new DataChannel(shared);
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
    this.#data.end();
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
    if (this.#shared.trouble.losesCommands === true) lines.splice(1);
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
        return this.#say(`229 Entering Passive Mode (|||${await this.#data.offer()}|)`);
      case 'PASV': {
        const port = await this.#data.offer();
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

  async #transfer(command: 'MLSD' | 'RETR' | 'STOR', path: string): Promise<void> {
    const { store, options } = this.#shared;
    if (!this.#protected) return this.#say('534 Say PROT P first.');
    const incoming = this.#data.incoming();
    if (incoming === undefined) return this.#say('425 Say EPSV or PASV first.');
    const stats = await store.look(path);
    if (command === 'RETR' && stats?.isFile() !== true) return this.#say('550 No such file.');
    if (command === 'MLSD' && stats?.isDirectory() !== true) return this.#say('550 No such directory.');
    const upload = command === 'STOR' ? await store.write(path) : undefined;
    this.#say('150 File status okay; about to open data connection.');
    const data = await this.#data.secure(await incoming);
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
}
