/** A websocket as the bytes that it carries, in binary messages of at most 65,000 bytes (as the AWS CLI sends them). */

import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { RawData, WebSocket } from 'ws';
import { codeOf, Fault, messageOf } from '../../sync/errors.ts';
import { abortFault } from '../road.ts';
import { awsFault } from './faults.ts';

export interface TunnelOptions {
  /** With the signature: it must stand in no message. */
  readonly url: string;
  readonly servername: string;
  /** For messages. */
  readonly name: string;
  readonly endpoint: string;
  readonly instance: string;
  readonly longestMs: number;
  readonly signal: AbortSignal;
}

const MOST_FRAME_BYTES = 65_000;
const MOST_BODY_BYTES = 4_096;
/** RFC 6455, section 7.4.1. */
const NORMAL = 1000;
/** How long a closing handshake may take, before the tunnel is given up without it. */
const LONGEST_CLOSE_MS = 2_000;

/** @param socket connected to the endpoint, before TLS; it is destroyed when this fails. @throws Fault */
export async function tunnelOver(socket: Duplex, options: TunnelOptions): Promise<Duplex> {
  const { WebSocket } = await import('ws');
  const { url, servername, signal } = options;
  return await new Promise((resolve, reject) => {
    const ws = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: 16 * 1024 * 1024,
      createConnection: () => connect({ socket, servername, ALPNProtocols: ['http/1.1'] }),
    });
    const fail = (fault: Fault): void => {
      signal.removeEventListener('abort', onAbort);
      ws.removeAllListeners();
      ws.on('error', () => undefined);
      ws.terminate();
      socket.destroy();
      reject(fault);
    };
    const onAbort = (): void => fail(abortFault(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) return onAbort();
    ws.once('unexpected-response', (_request, response: IncomingMessage) => {
      void refusal(response, options).then(fail);
    });
    ws.once('error', (error) => fail(broken(error, options)));
    ws.once('open', () => {
      signal.removeEventListener('abort', onAbort);
      ws.removeAllListeners('error');
      resolve(new Tunnel(ws, socket, options));
    });
  });
}

class Tunnel extends Duplex {
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #sinceMs = performance.now();
  #spoke = false;
  #ending: NodeJS.Timeout | undefined;

  constructor(ws: WebSocket, socket: Duplex, options: TunnelOptions) {
    super({ allowHalfOpen: false });
    this.#ws = ws;
    this.#socket = socket;
    ws.binaryType = 'nodebuffer';
    ws.on('message', (data: RawData) => {
      this.#spoke = true;
      if (!this.push(bytesOf(data))) ws.pause();
    });
    ws.on('error', (error) => this.destroy(broken(error, options)));
    ws.on('close', (code, reason) => this.#closed(code, String(reason), options));
  }

  override _read(): void {
    if (this.#ws.isPaused) this.#ws.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: () => void): void {
    this.#ws.close(NORMAL);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#ending);
    this.#ws.terminate();
    this.#socket.destroy();
    done(error);
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    for (let at = 0; at < bytes.length; at += MOST_FRAME_BYTES) {
      const piece = bytes.subarray(at, at + MOST_FRAME_BYTES);
      const last = at + MOST_FRAME_BYTES >= bytes.length;
      this.#ws.send(piece, { binary: true }, (error) => {
        if (error) this.#endSoon();
        else if (last) done();
      });
    }
    if (bytes.length === 0) done();
  }

  /** A send that fails knows not why: the close that is on its way does, and ends this tunnel with it. */
  #endSoon(): void {
    this.#ending ??= setTimeout(() => this.#ws.terminate(), LONGEST_CLOSE_MS);
  }

  #closed(code: number, reason: string, { name, instance, longestMs }: TunnelOptions): void {
    if (this.destroyed) return;
    const ageMs = performance.now() - this.#sinceMs;
    const said = reason === '' ? '' : `: ${reason}`;
    if (ageMs >= longestMs - 1_000) {
      this.destroy(
        new Fault('unreachable', `${name} was closed after ${Math.round(ageMs / 1000)} s${said}`, {
          code: 'TUNNEL_EXPIRED',
          means: 'A tunnel lives for an hour at most, or less where a policy or the settings say so.',
          advice: 'Nothing: what was under way goes on in a new tunnel.',
        }),
      );
    } else if (this.#spoke && code === NORMAL) this.push(null);
    else {
      this.destroy(
        new Fault('unreachable', `${name} was closed (${code}${said})`, {
          code: 'TUNNEL_CLOSED',
          ...(this.#spoke
            ? { advice: 'The endpoint or the network ended it; it is opened again by itself.' }
            : {
                means: 'The endpoint could not connect to the instance.',
                advice: `The security group of ${instance} must let the endpoint's in on that port, that of the endpoint must let it out, and sshd must run there.`,
              }),
        }),
      );
    }
  }
}

function bytesOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

/** What the endpoint answered instead of opening a tunnel. Never rejects. */
async function refusal(response: IncomingMessage, { endpoint }: TunnelOptions): Promise<Fault> {
  let body = '';
  try {
    for await (const chunk of response) {
      body += String(chunk);
      if (body.length > MOST_BODY_BYTES) break;
    }
  } catch {
    // What came of it is enough.
  }
  const status = response.statusCode ?? 0;
  const field = (names: string): string | undefined =>
    new RegExp(`"(?:${names})"\\s*:\\s*"([^"]*)"`, 'i').exec(body)?.[1];
  const code = field('ErrorCode|code|__type')?.replace(/^.*#/, '') ?? '';
  const message = field('message|Message') ?? `HTTP ${status} ${response.statusMessage ?? ''}`.trim();
  return awsFault(
    { code, message, status },
    { doing: `open a tunnel through ${endpoint}`, action: 'ec2-instance-connect:OpenTunnel' },
  );
}

function broken(error: unknown, { name }: TunnelOptions): Fault {
  const code = codeOf(error) ?? '';
  const untrusted = /CERT|SELF_SIGNED|ISSUER|ALTNAME|UNABLE_TO_VERIFY/.test(code);
  return new Fault(untrusted ? 'rejected' : 'unreachable', `${name} broke: ${messageOf(error)}`, {
    code: untrusted ? 'TUNNEL_CERTIFICATE' : 'TUNNEL_LOST',
    cause: error,
    advice: untrusted
      ? 'Something on the way answers in place of AWS (TLS inspection): name its authority in NODE_EXTRA_CA_CERTS.'
      : 'The network or the endpoint ended it; it is opened again by itself.',
  });
}
