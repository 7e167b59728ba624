/** The partner's server as a connector uses it: one SFTP connection at a time for each lane, over ssh2. */

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import ssh2 from 'ssh2';
import type { Sshd } from '../sshd.ts';

export interface Listed {
  readonly name: string;
  readonly isFolder: boolean;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
}

/** What SSH says when the far side shows a key that is not trusted. */
export class UntrustedKey extends Error {}

export class Partner implements AsyncDisposable {
  readonly #client: ssh2.Client;
  readonly #closed: Promise<void>;
  readonly #sftp: ssh2.SFTPWrapper;
  /** As in a public key file. */
  readonly hostKey: string;

  /** @param trusted keys as in a public key file; none: any */
  static async connect(server: Sshd, trusted: readonly string[]): Promise<Partner> {
    const client = new ssh2.Client();
    let seen = '';
    let untrusted = false;
    const config: ssh2.ConnectConfig = {
      host: server.host,
      port: server.port,
      username: server.user,
      privateKey: await readFile(server.keyFile),
      hostVerifier: (key: Buffer) => {
        seen = publicKeyOf(key);
        untrusted = trusted.length > 0 && !trusted.some((one) => one.includes(seen));
        return !untrusted;
      },
    };
    const ready = once(client, 'ready');
    client.connect(config);
    await ready.catch((error: unknown) => {
      client.destroy();
      throw untrusted ? new UntrustedKey(seen) : error;
    });
    client.setNoDelay(true);
    client.on('error', () => undefined);
    const sftp = await new Promise<ssh2.SFTPWrapper>((resolve, reject) =>
      client.sftp((error, made) => (error ? reject(error) : resolve(made))),
    );
    return new Partner(client, sftp, seen);
  }

  private constructor(client: ssh2.Client, sftp: ssh2.SFTPWrapper, hostKey: string) {
    this.#client = client;
    this.#closed = new Promise((resolve) => client.once('close', () => resolve()));
    this.#sftp = sftp;
    this.hostKey = hostKey;
  }

  async write(path: string, content: Readable): Promise<void> {
    const stream = this.#sftp.createWriteStream(path);
    // The server has to answer the close as well, before the connection may end.
    const closed = once(stream, 'close');
    closed.catch(() => undefined);
    await pipeline(content, stream);
    await closed;
  }

  async read(path: string): Promise<Buffer> {
    const stream = this.#sftp.createReadStream(path);
    const closed = once(stream, 'close');
    closed.catch(() => undefined);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    await closed;
    return Buffer.concat(chunks);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call((done) => this.#sftp.rename(from, to, done));
  }

  remove(path: string): Promise<void> {
    return this.#call((done) => this.#sftp.unlink(path, done));
  }

  async list(path: string): Promise<readonly Listed[]> {
    const entries = await new Promise<ssh2.FileEntryWithStats[]>((resolve, reject) =>
      this.#sftp.readdir(path, (error, list) => (error ? reject(error) : resolve(list))),
    );
    return entries.map(({ filename, attrs }) => ({
      name: filename,
      isFolder: attrs.isDirectory(),
      size: attrs.size,
      mtime: attrs.mtime,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.end();
    await this.#closed;
  }

  #call(work: (done: (error: Error | null | undefined) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => work((error) => (error ? reject(error) : resolve())));
  }
}

/** `ssh-rsa AAAA…` of a key as it goes over the wire (RFC 4253, section 6.6). */
function publicKeyOf(key: Buffer): string {
  const type = key.subarray(4, 4 + key.readUInt32BE(0)).toString();
  return `${type} ${key.toString('base64')}`;
}
