import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { calm, deliver, faultOf } from '../../contract/endpoint/kit.ts';
import { type CertificateKind, type Certificates, makeCertificates } from '../../support/certificates.ts';
import { temporaryFolder } from '../../support/files.ts';
import { generatedSource } from '../../support/source.ts';
import { startTransferFtps } from '../../support/transfer-ftps.ts';
import { within } from '../../support/until.ts';
import { startVsftpd } from '../../support/vsftpd.ts';
import { entryFor, ftps } from './kit.ts';

let certificates: Certificates;
before(async () => {
  certificates = await makeCertificates();
});
after(() => certificates[Symbol.asyncDispose]());

describe('a certificate that does not vouch for the server', () => {
  const bad: readonly [CertificateKind, code: string, said: RegExp, advice: RegExp][] = [
    ['expired', 'CERT_EXPIRED', /has expired on \d{4}-\d\d-\d\d \(localhost/, /Renew/],
    ['self-signed', 'CERT_SELF_SIGNED', /signed by nobody but itself/, /as ca in endpoints.yaml/],
    ['wrong-name', 'CERT_WRONG_NAME', /is for elsewhere.example, not for 127.0.0.1/, /servername/],
  ];
  for (const [kind, code, said, advice] of bad) {
    for (const tls of ['1.2', '1.3'] as const) {
      test(`${kind}, TLS ${tls}: nothing is sent, and it is said why`, async () => {
        await using server = await startTransferFtps({ certificate: await certificates.server(kind), tls });
        const fault = await faultOf(ftps(entryFor(server, certificates)).connect(calm.signal), 'rejected');
        assert.equal(fault.code, code);
        assert.match(fault.message, said);
        assert.match(fault.advice ?? '', advice);
        assert.equal(server.commands[0], 'AUTH TLS');
        assert.equal(server.commands.includes('PASS'), false, 'no password was sent');
        assert.equal(
          server.commands.some((command) => command.startsWith('USER')),
          false,
        );
      });
    }
  }

  test('of an authority that is not among those trusted', async () => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    for (const ca of [certificates.otherCaFile, undefined]) {
      const endpoint = ftps({ ...entryFor(server, certificates), ca: ca ?? [] });
      const fault = await faultOf(endpoint.connect(calm.signal), 'rejected');
      assert.equal(fault.code, 'CERT_UNKNOWN_AUTHORITY');
      assert.match(fault.message, /issued by Ferry test authority/);
      assert.match(fault.advice ?? '', ca === undefined ? /name it as ca/ : /do not hold the authority/);
    }
  });

  test('on a data connection only: no byte of the file is sent', async () => {
    const certificate = await certificates.server('good');
    await using server = await startTransferFtps({ certificate, reuse: 'enabled' });
    server.trouble.dataCertificate = await certificates.server('self-signed');
    await using session = await ftps(entryFor(server, certificates)).connect(calm.signal);
    const send = deliver(session, generatedSource({ sizeBytes: 1000 }), '/files/file');
    const fault = await faultOf(send, 'rejected');
    assert.match(fault.message, /certificate of the data connection/);
    assert.equal(server.stored, 0);
  });
});

describe('what makes a certificate good', () => {
  test('servername, where the certificate holds another name than the host', async () => {
    await using server = await startTransferFtps({ certificate: await certificates.server('wrong-name') });
    const entry = entryFor(server, certificates, { servername: 'elsewhere.example' });
    await using session = await ftps(entry).connect(calm.signal);
    await deliver(session, generatedSource({ sizeBytes: 1000 }), '/files/file');
    assert.equal(server.stored, 1, 'its sessions are resumed under that name too');
  });

  test('itself, where it is named as ca', async () => {
    const certificate = await certificates.server('self-signed');
    await using server = await startTransferFtps({ certificate });
    const entry = entryFor(server, certificates, { ca: [certificates.otherCaFile, certificate.certFile] });
    await using session = await ftps(entry).connect(calm.signal);
    await deliver(session, generatedSource({ sizeBytes: 1000 }), '/files/file');
  });

  test('a host that is a name, and one that is an address', async () => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    for (const host of ['localhost', '127.0.0.1']) {
      await using session = await ftps(entryFor(server, certificates, { host })).connect(calm.signal);
      await deliver(session, generatedSource({ sizeBytes: 10, seed: host }), `/files/${host}`);
    }
  });
});

describe('a file of authorities', () => {
  test('that is missing, or holds no certificate, is named', async () => {
    await using folder = await temporaryFolder();
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    const [missing, empty, broken] = ['missing', 'empty', 'broken'].map((name) => join(folder.path, name));
    assert.ok(missing && empty && broken);
    await writeFile(empty, 'nothing of that kind');
    await writeFile(broken, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    for (const [ca, code] of [
      [missing, 'CA_UNREADABLE'],
      [empty, 'CA_UNUSABLE'],
      [broken, 'CA_UNUSABLE'],
    ] as const) {
      const entry = entryFor(server, certificates, { ca });
      const fault = await faultOf(ftps(entry).connect(calm.signal), 'rejected');
      assert.equal(fault.code, code);
      assert.ok(fault.message.includes(ca), fault.message);
    }
  });
});

describe('TLS itself', () => {
  test('refused by the server: it is not logged in without', async () => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    for (const answer of ['502 Command not implemented.', '534 Policy forbids TLS.', '431 No certificate.']) {
      server.trouble.answers = { AUTH: answer };
      const fault = await faultOf(ftps(entryFor(server, certificates)).connect(calm.signal), 'rejected');
      assert.equal(fault.code, 'TLS_REFUSED');
      assert.ok(fault.message.includes(answer), fault.message);
    }
    assert.deepEqual(new Set(server.commands), new Set(['AUTH TLS', 'QUIT']));
  });

  test('switched off at a real server is told in words', async () => {
    const certificate = await certificates.server('good');
    await using server = await startVsftpd({ certificate, config: ['ssl_enable=NO'] });
    const fault = await faultOf(ftps(entryFor(server, certificates)).connect(calm.signal), 'rejected');
    assert.equal(fault.code, 'TLS_REFUSED');
    assert.match(fault.advice ?? '', /ssl_enable=YES/);
  });

  test('refused for data connections only: no file is sent in the clear', async () => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    server.trouble.answers = { PROT: '536 Not supported.' };
    const fault = await faultOf(ftps(entryFor(server, certificates)).connect(calm.signal), 'rejected');
    assert.equal(fault.code, 'PROTECTION_REFUSED');
  });

  test('from the first byte works, and is told from the other kind in both directions', async () => {
    const certificate = await certificates.server('good');
    await using explicit = await startTransferFtps({ certificate });
    await using implicit = await startTransferFtps({ certificate, implicit: true });
    await using session = await ftps(entryFor(implicit, certificates, { implicit: true })).connect(
      calm.signal,
    );
    await deliver(session, generatedSource({ sizeBytes: 1000 }), '/files/file');
    assert.equal(implicit.commands.includes('AUTH TLS'), false);

    const short = { connectTimeout: '1s' };
    const asImplicit = ftps(entryFor(explicit, certificates, { implicit: true, ...short }));
    assert.equal((await faultOf(asImplicit.connect(calm.signal), 'rejected')).code, 'NOT_TLS');
    implicit.trouble.greeting = '';
    const asExplicit = ftps(entryFor(implicit, certificates, short));
    const fault = await faultOf(
      within(20_000, 'the connect', asExplicit.connect(calm.signal)),
      'unreachable',
    );
    assert.match(fault.advice ?? '', /implicit: true/);
  });

  test('is held to the version that maxTls names', async () => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    for (const [maxTls, protocol] of [
      [1.2, /TLSv1\.2/],
      ['1.3', /TLSv1\.3/],
    ] as const) {
      const steps = [];
      const endpoint = ftps(entryFor(server, certificates, { maxTls }));
      for await (const step of endpoint.probe('/files', calm)) steps.push(step);
      assert.match(steps.find((step) => step.step === 'tls')?.saw ?? '', protocol);
      assert.ok(steps.every((step) => step.ok));
    }
  });
});
