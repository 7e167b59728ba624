/** Certificates for TLS servers of tests, made with openssl: an authority, and what it (or nobody) vouches for. */

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from './files.ts';

const run = promisify(execFile);
const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export type CertificateKind = 'good' | 'expired' | 'wrong-name' | 'self-signed';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

export interface Certificates extends AsyncDisposable {
  /** Of the authority: what a client is to trust. */
  readonly caFile: string;
  /** Of another authority, which has vouched for nothing. */
  readonly otherCaFile: string;
  /** Files that everybody may read, in a folder that lives as long as this. */
  server(kind: CertificateKind): Promise<Certificate>;
}

/** `good` holds localhost, 127.0.0.1 and 127.0.0.2. */
export async function makeCertificates(): Promise<Certificates> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await temporaryFolder('certificates'));
  const at = (name: string): string => join(folder.path, name);
  const authority = async (name: string): Promise<void> => {
    const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)];
    await run('openssl', [
      'req',
      '-x509',
      ...CURVE,
      ...files,
      '-days',
      '30',
      '-subj',
      `/CN=Ferry test ${name}`,
    ]);
  };
  await Promise.all([authority('authority'), authority('stranger')]);
  const made = new Map<CertificateKind, Promise<Certificate>>();
  const make = async (kind: CertificateKind): Promise<Certificate> => {
    const [certFile, keyFile] = [at(`${kind}.pem`), at(`${kind}.key`)];
    const names = kind === 'wrong-name' ? 'DNS:elsewhere.example' : 'DNS:localhost,IP:127.0.0.1,IP:127.0.0.2';
    const subject = ['-subj', `/CN=${kind === 'wrong-name' ? 'elsewhere.example' : 'localhost'}`];
    if (kind === 'self-signed') {
      const extension = ['-addext', `subjectAltName=${names}`];
      await run('openssl', [
        'req',
        '-x509',
        ...CURVE,
        '-keyout',
        keyFile,
        '-out',
        certFile,
        ...subject,
        ...extension,
      ]);
    } else {
      const request = at(`${kind}.csr`);
      await run('openssl', ['req', ...CURVE, '-keyout', keyFile, '-out', request, ...subject]);
      await writeFile(at(`${kind}.ext`), `subjectAltName=${names}\n`);
      const issuer = [
        '-CA',
        at('authority.pem'),
        '-CAkey',
        at('authority.key'),
        '-set_serial',
        `0x${serial(kind)}`,
      ];
      const days = ['-days', kind === 'expired' ? '-1' : '30', '-extfile', at(`${kind}.ext`)];
      await run('openssl', ['x509', '-req', '-in', request, '-out', certFile, ...issuer, ...days]);
    }
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
    return { certFile, keyFile, cert, key };
  };
  const owned = undo.move();
  return {
    caFile: at('authority.pem'),
    otherCaFile: at('stranger.pem'),
    server: (kind) => {
      const known = made.get(kind) ?? make(kind);
      made.set(kind, known);
      return known;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function serial(kind: CertificateKind): string {
  return Buffer.from(kind).toString('hex');
}
