import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { calm, deliver, faultOf } from '../../contract/endpoint/kit.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { hangingPort } from '../../support/hanging-port.ts';
import { freePort } from '../../support/ports.ts';
import { startProftpd } from '../../support/proftpd.ts';
import { generatedSource } from '../../support/source.ts';
import { startTransferFtps } from '../../support/transfer-ftps.ts';
import { within } from '../../support/until.ts';
import { startVsftpd } from '../../support/vsftpd.ts';
import { type AnyServer, entryFor, ftps, startTransfer } from './kit.ts';

let certificates: Certificates;
before(async () => {
  certificates = await makeCertificates();
});
after(() => certificates[Symbol.asyncDispose]());

async function checked(server: AnyServer, more: object = {}) {
  const steps = [];
  for await (const step of ftps(entryFor(server, certificates, more)).probe('/files', calm)) steps.push(step);
  return steps;
}

const ENFORCING = [
  ['vsftpd', startVsftpd],
  ['ProFTPD', startProftpd],
  ['Transfer Family', startTransfer()],
] as const;

for (const [name, start] of ENFORCING) {
  for (const tls of ['1.2', '1.3'] as const) {
    test(`every data connection to ${name} resumes the session, which it insists on (TLS ${tls})`, async () => {
      await using server = await start({ certificate: await certificates.server('good'), tls });
      await using session = await ftps(entryFor(server, certificates)).connect(calm.signal);
      for (let i = 0; i < 20; i += 1) {
        await deliver(session, generatedSource({ sizeBytes: i * 100, seed: `${i}` }), `/files/${i}`);
      }
      let count = 0;
      for await (const _entry of session.list('/files', calm)) count += 1;
      assert.equal(count, 20);
      const verdict = (await checked(server)).find((step) => step.step === 'session reuse');
      assert.match(verdict?.saw ?? '', /resumed; the server insists on it/);
    });
  }
}

describe('ferry check says which mode the server is in', () => {
  test('not by a data port that is closed', async () => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    const steps = [];
    for await (const step of ftps(entryFor(server, certificates)).probe('/files', calm)) {
      steps.push(step);
      if (step.step === 'data') server.trouble.dataPort = await freePort();
    }
    const last = steps.at(-1);
    assert.deepEqual([last?.step, last?.ok], ['session reuse', false]);
    assert.match(last?.saw ?? '', /the login works, but the data connection .* was refused/);
  });

  test('resumed, not insisted on', async () => {
    const certificate = await certificates.server('good');
    await using server = await startVsftpd({ certificate, config: ['require_ssl_reuse=NO'] });
    const verdict = (await checked(server)).find((step) => step.step === 'session reuse');
    assert.match(verdict?.saw ?? '', /resumed; the server does not insist/);
  });

  test('not resumed at all, and not insisted on', async () => {
    for (const tls of ['1.2', '1.3'] as const) {
      const certificate = await certificates.server('good');
      await using server = await startTransferFtps({ certificate, tls, reuse: 'none' });
      const steps = await checked(server);
      const verdict = steps.find((step) => step.step === 'session reuse');
      assert.match(verdict?.saw ?? '', /does not resume/);
      assert.equal(verdict?.warning, true);
      assert.ok(steps.every((step) => step.ok));
    }
  });

  test('insisted on, and not seen: what to do about the 522', async () => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    server.trouble.answers = { MLSD: '522 Data connection must use cached TLS session' };
    const last = (await checked(server)).at(-1);
    assert.equal(last?.step, 'data');
    assert.equal(last.ok, false);
    assert.match(last.advice ?? '', /TlsSessionResumptionMode=ENABLED/);
    assert.match(last.advice ?? '', /maxTls/);
    await using session = await ftps(entryFor(server, certificates)).connect(calm.signal);
    server.trouble.answers = { STOR: '522 Data connection must use cached TLS session' };
    const send = deliver(session, generatedSource({ sizeBytes: 10 }), '/files/file');
    assert.equal((await faultOf(send, 'rejected')).code, 'SESSION_REUSE');
  });
});

describe('the address of a data connection', () => {
  for (const passiveIp of ['0.0.0.0', '192.0.2.1']) {
    test(`is that of the control connection, though PASV says ${passiveIp}`, async () => {
      await using server = await startTransferFtps({
        certificate: await certificates.server('good'),
        passiveIp,
      });
      await using session = await ftps(entryFor(server, certificates)).connect(calm.signal);
      await deliver(session, generatedSource({ sizeBytes: 1000 }), '/files/by-epsv');
      assert.equal(server.commands.includes('PASV'), false, 'EPSV comes first');
      for (const answer of ['502 EPSV not implemented.', '229 Entering Passive Mode (nonsense)']) {
        server.trouble.answers = { EPSV: answer };
        await using other = await ftps(entryFor(server, certificates)).connect(calm.signal);
        await deliver(other, generatedSource({ sizeBytes: 1000, seed: answer }), '/files/by-pasv');
      }
      assert.ok(server.commands.includes('PASV'));
    });
  }
});

describe('a data port that is blocked', () => {
  const blockedBy = async (port: number): Promise<void> => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    server.trouble.dataPort = port;
    const entry = entryFor(server, certificates, { connectTimeout: '4s' });
    await using session = await ftps(entry).connect(calm.signal);
    const send = deliver(session, generatedSource({ sizeBytes: 10 }), '/files/file');
    const fault = await faultOf(within(60_000, 'the fault', send), 'unreachable');
    assert.equal(fault.code, 'DATA_PORT_BLOCKED');
    assert.match(fault.message, new RegExp(`the login works, but the data connection to 127.0.0.1:${port}`));
    assert.match(fault.advice ?? '', /8192-8200/);
    assert.ok(session.broken !== undefined);
    const steps = [];
    for await (const step of ftps(entry).probe('/files', calm)) steps.push(step);
    assert.equal(steps.find((step) => step.step === 'login')?.ok, true);
    assert.deepEqual([steps.at(-1)?.step, steps.at(-1)?.ok], ['data', false]);
  };

  test('by a refusal is not taken for a refused login', async () => {
    await blockedBy(await freePort());
  });

  test('in silence is not waited for for ever', async () => {
    await using hanging = await hangingPort();
    await blockedBy(hanging.port);
  });
});
