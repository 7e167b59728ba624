/**
 * TLS as this endpoint wants it: who may vouch for the server, under which name, and how a data connection resumes
 * the session of its control connection.
 *
 * A certificate is verified on every connection, and a resumed session was verified when it was made: Node resumes a
 * session only for the name that it was verified for.
 */

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  DEFAULT_CIPHERS,
  type DetailedPeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { Fault, messageOf } from '../../sync/errors.ts';
import { type Shown, tlsFault } from './connect-faults.ts';
import type { FtpsSettings } from './settings.ts';

/** AES-128 first, as Node has it for TLS 1.2 alone: with SHA-256 in place of SHA-384 each handshake costs less. */
const FIRST_CIPHER = 'TLS_AES_128_GCM_SHA256';
const CIPHERS = [FIRST_CIPHER, ...DEFAULT_CIPHERS.split(':').filter((name) => name !== FIRST_CIPHER)].join(
  ':',
);

export class Trust {
  readonly name: string;
  /** The name that the certificate must hold. */
  readonly expected: string;
  readonly #ca: string | undefined;
  readonly #maxVersion: FtpsSettings['maxTls'];
  /** By the group of the key exchange that is offered first; '' for the usual ones. */
  readonly #contexts = new Map<string, SecureContext>();

  private constructor(name: string, settings: FtpsSettings, ca: string | undefined) {
    this.name = name;
    this.expected = settings.servername ?? settings.host;
    this.#ca = ca;
    this.#maxVersion = settings.maxTls;
  }

  /** @throws Fault `rejected` when a PEM file cannot be read or holds no certificate */
  static async load(name: string, settings: FtpsSettings): Promise<Trust> {
    const files = await Promise.all(settings.ca.map((file) => readPem(name, file)));
    const trust = new Trust(name, settings, files.length === 0 ? undefined : files.join('\n'));
    try {
      trust.#context('');
    } catch (error) {
      throw new Fault('rejected', `${name}: cannot use ${settings.ca.join(', ')}: ${messageOf(error)}`, {
        code: 'CA_UNUSABLE',
        cause: error,
        advice: 'ca must name PEM files with certificates: BEGIN CERTIFICATE, base64, END CERTIFICATE.',
      });
    }
    return trust;
  }

  get ownCa(): boolean {
    return this.#ca !== undefined;
  }

  /**
   * @param remote address of the server
   * @param control the connection whose session is to be resumed; with the group that it agreed on offered first, a
   *   TLS 1.3 handshake takes one round trip less (RFC 8446 section 4.1.4)
   */
  options(remote: string, control?: TLSSocket): ConnectionOptions {
    const byName = isIP(this.expected) === 0;
    const key: object = control?.getEphemeralKeyInfo() ?? {};
    const group = 'name' in key && typeof key.name === 'string' ? key.name : '';
    return {
      secureContext: this.#context(group),
      ...(byName ? { host: this.expected, servername: this.expected } : { host: remote }),
    };
  }

  #context(group: string): SecureContext {
    const known = this.#contexts.get(group);
    if (known !== undefined) return known;
    const groups = [group, 'X25519', 'P-256', 'P-384'].filter((name, at) => at === 0 || name !== group);
    const context = createSecureContext({
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      ...(this.#maxVersion === undefined ? {} : { maxVersion: this.#maxVersion }),
      ...(this.#ca === undefined ? {} : { ca: this.#ca }),
      ...(group === '' ? {} : { ecdhCurve: groups.join(':') }),
    });
    this.#contexts.set(group, context);
    return context;
  }
}

async function readPem(name: string, file: string): Promise<string> {
  try {
    const text = await readFile(file, 'latin1');
    if (holdsCertificates(text)) return text;
  } catch (error) {
    throw new Fault('rejected', `${name}: cannot read ${file}: ${messageOf(error)}`, {
      code: 'CA_UNREADABLE',
      cause: error,
      advice: 'Correct ca in endpoints.yaml, or the permissions of the file.',
    });
  }
  throw new Fault('rejected', `${name}: ${file} holds no certificate, or one that is broken`, {
    code: 'CA_UNUSABLE',
    advice: 'ca must name PEM files with certificates: BEGIN CERTIFICATE, base64, END CERTIFICATE.',
  });
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Node passes over what it cannot read, and would then trust nobody without saying why. */
function holdsCertificates(text: string): boolean {
  try {
    const found = text.match(PEM) ?? [];
    for (const pem of found) new X509Certificate(pem);
    return found.length > 0;
  } catch {
    return false;
  }
}

/** Encrypts a connected socket and verifies the server. Ends when the socket does. @throws Fault */
export function secure(raw: Socket, trust: Trust): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const { name, expected, ownCa } = trust;
  let shown: Shown | undefined;
  const fail = (error: unknown): void => {
    raw.destroy();
    reject(tlsFault(error, { name, of: 'control connection', expected, ownCa, shown }));
  };
  const socket = connect({ socket: raw, ...trust.options(plainAddress(raw)) });
  socket.prependOnceListener('secure', () => {
    shown = shownBy(socket); // before it is verified: afterwards, a bad one cannot be looked at any more
  });
  socket.once('error', fail);
  socket.once('close', () => fail(new Error('the connection was closed')));
  socket.once('secureConnect', () => {
    if (!socket.authorized) return fail(socket.authorizationError);
    socket.removeAllListeners('close');
    resolve(socket);
  });
  return promise;
}

/** An IPv4 address that came over an IPv6 socket, as IPv4. */
export function plainAddress(socket: Socket): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:/i, '');
}

/** The certificate of the server, for people. */
export function shownBy(socket: TLSSocket): Shown | undefined {
  const certificate = socket.getPeerCertificate(true);
  if (Object.keys(certificate).length === 0) return undefined;
  const top = issuerAtTop(certificate);
  return {
    subject: nameIn(certificate.subject),
    issuer: nameIn(certificate.issuer),
    names: (certificate.subjectaltname ?? nameIn(certificate.subject)).replace(/\b(DNS|IP Address):/g, ''),
    validFrom: day(certificate.valid_from),
    validTo: day(certificate.valid_to),
    selfSigned: top === certificate && certificate.fingerprint256 === top.issuerCertificate?.fingerprint256,
  };
}

function issuerAtTop(certificate: DetailedPeerCertificate): DetailedPeerCertificate {
  let top = certificate;
  for (
    let up = top.issuerCertificate;
    up && up.fingerprint256 !== top.fingerprint256;
    up = top.issuerCertificate
  ) {
    top = up;
  }
  return top;
}

function nameIn(subject: DetailedPeerCertificate['subject'] | undefined): string {
  return String(subject?.CN ?? subject?.O ?? 'no name');
}

function day(text: string): string {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toISOString().slice(0, 10);
}
