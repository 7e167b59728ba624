// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so
/** FTPS as a person uses it: through endpoints.yaml and the command line, on vsftpd and on a double of Transfer Family. */

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { entryFor, startTransfer } from '../endpoints/ftps/kit.ts';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { type Ended, type Home, makeHome } from '../support/ferry.ts';
import { assertTree, contentOf, sha256Of } from '../support/files.ts';
import { startTransferFtps } from '../support/transfer-ftps.ts';
import { until } from '../support/until.ts';
import { startVsftpd } from '../support/vsftpd.ts';

let certificates: Certificates;
before(async () => {
  certificates = await makeCertificates();
});
after(() => certificates[Symbol.asyncDispose]());

/** With a job `send` into a folder of its own; the password comes from a file beside endpoints.yaml. */
async function homeFor(server: Parameters<typeof entryFor>[0], more: object = {}): Promise<Home> {
  const home = await makeHome();
  await writeFile(join(home.path, 'password'), `${server.password}\n`, { mode: 0o600 });
  const entry = entryFor(server, certificates, { password: '${file:./password}', ...more });
  await home.endpoints({ far: { type: 'ftps', ...entry } });
  await home.job('send', {
    from: './outbox',
    to: { endpoint: 'far', path: '/files/inbox' },
    settle: '0s',
    when: {},
  });
  return home;
}

function stepOf(check: Ended, step: string): Readonly<Record<string, unknown>> {
  const line = check.lines().find((each) => each.step === step);
  assert.ok(line, `no step ${step} in ${check.stdout}`);
  return line;
}

const SERVERS = [
  ['vsftpd', startVsftpd],
  ['Transfer Family', startTransfer()],
] as const;

for (const [name, start] of SERVERS) {
  for (const tls of ['1.2', '1.3'] as const) {
    test(`ferry run delivers to ${name}, and ferry check says how (TLS ${tls})`, async () => {
      process.umask(0);
      await using server = await start({ certificate: await certificates.server('good'), tls });
      await using home = await homeFor(server);
      const big = contentOf('big', 0, 3_000_000);
      await mkdir(join(home.outbox, 'a', 'b'), { recursive: true });
      await writeFile(join(home.outbox, 'a', 'b', 'big é.bin'), big);
      await writeFile(join(home.outbox, 'empty'), '');

      const check = await home.ferry(['check', 'far', '--json']);
      assert.equal(check.code, 0, check.stdout);
      assert.match(String(stepOf(check, 'tls').saw), new RegExp(`TLSv${tls.replace('.', '\\.')}`));
      assert.match(String(stepOf(check, 'session reuse').saw), /resumed; the server insists on it/);
      const how =
        name === 'vsftpd'
          ? /temporary name, then rename; resumes/
          : /AWS Transfer Family.*straight to the final name.*does not resume/;
      assert.match(String(stepOf(check, 'capabilities').saw), how);

      const run = await home.ferry(['run', 'send', '--json']);
      assert.equal(run.code, 0, run.stderr);
      assert.equal(run.lines()[0]?.delivered, 2);
      await assertTree(join(server.folder, 'inbox'), { 'a/b/big é.bin': sha256Of(big), empty: sha256Of('') });

      await writeFile(join(home.outbox, 'empty'), 'not any more');
      const again = await home.ferry(['run', 'send', '--json']);
      assert.equal(again.lines()[0]?.delivered, 1, 'what is there already is not sent again');
      assert.equal(await readFile(join(server.folder, 'inbox', 'empty'), 'utf8'), 'not any more');

      const history = await home.ferry(['history', '--json']);
      const row = history.lines().find((each) => String(each.path).endsWith('.bin'));
      assert.equal(row?.sha256, sha256Of(big));
      assert.equal(row.remotePath, '/files/inbox/a/b/big é.bin');
      for (const said of [check, run, again, history]) {
        assert.equal(`${said.stdout}${said.stderr}`.includes(server.password), false, 'no secret is told');
      }
    });
  }
}

describe('ferry check tells apart', () => {
  const told = async (
    more: object,
    trouble: object,
    step: string,
    saw: RegExp,
    advice: RegExp,
  ): Promise<void> => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    Object.assign(server.trouble, trouble);
    await using home = await homeFor(server, { connectTimeout: '5s', ...more });
    const check = await home.ferry(['check', 'far', '--json']);
    assert.equal(check.code, 3, check.stdout);
    const last = check.lines().at(-1);
    assert.deepEqual([last?.step, last?.ok], [step, false], check.stdout);
    assert.match(String(last?.saw), saw);
    assert.match(String(last?.advice), advice);
  };

  test('a 522: what it means, and both ways out', async () => {
    const answers = { MLSD: '522 Data connection must use cached TLS session' };
    const both = /maxTls: "1\.2".*aws transfer update-server .*TlsSessionResumptionMode=ENABLED/s;
    await told({}, { answers }, 'data', /insists that data connections resume.*522/, both);
  });

  test('a login that is refused', async () => {
    await told({ password: 'wrong' }, {}, 'login', /refused to log class in: 530/, /identity provider/);
  });

  test('a login that works, and data ports that are closed', async () => {
    const trouble = { dataPort: 1 };
    await told({}, trouble, 'data', /the login works, but the data connection .*:1 was refused/, /8192-8200/);
  });

  test('a server that refuses TLS', async () => {
    const answers = { AUTH: '502 Command not implemented.' };
    await told({}, { answers }, 'tls', /refuses TLS: 502/, /never logs in without TLS/);
  });

  for (const [kind, saw, advice] of [
    ['expired', /has expired on/, /Renew/],
    ['self-signed', /signed by nobody but itself/, /as ca in endpoints\.yaml/],
    ['wrong-name', /is for elsewhere\.example, not for 127\.0\.0\.1/, /servername/],
  ] as const) {
    test(`a certificate that is bad: ${kind}`, async () => {
      await using server = await startTransferFtps({ certificate: await certificates.server(kind) });
      await using home = await homeFor(server);
      const check = await home.ferry(['check', 'far', '--json']);
      assert.equal(check.code, 3, check.stdout);
      const last = check.lines().at(-1);
      assert.equal(last?.step, 'tls');
      assert.match(String(last?.saw), saw);
      assert.match(String(last?.advice), advice);
      const run = await home.ferry(['run', 'send']);
      assert.equal(run.code, 0, 'nothing was due');
    });
  }

  test('a server that takes one connection, as endpoints.yaml says', async () => {
    const certificate = await certificates.server('good');
    await using server = await startVsftpd({ certificate, config: ['max_per_ip=1'] });
    await using home = await homeFor(server, { connections: 1 });
    await until('a check that is well', async () => {
      const check = await home.ferry(['check', 'far', '--json']);
      // Who looked whether the server had started may still count as a client.
      if (stepOf(check, 'greeting').ok !== true) return false;
      assert.equal(check.code, 0, check.stdout);
      assert.match(String(stepOf(check, 'session reuse').saw), /^resumed; .*second connection/);
      return true;
    });
  });

  test('the modes of session reuse', async () => {
    for (const [reuse, saw] of [
      ['enabled', /resumed; the server does not insist/],
      ['none', /does not resume TLS sessions/],
    ] as const) {
      await using server = await startTransferFtps({ certificate: await certificates.server('good'), reuse });
      await using home = await homeFor(server);
      const check = await home.ferry(['check', 'far', '--json']);
      assert.equal(check.code, 0, check.stdout);
      const verdict = stepOf(check, 'session reuse');
      assert.match(String(verdict.saw), saw);
      assert.match(String(verdict.advice), /TlsSessionResumptionMode=/);
    }
  });
});

test('ferry run says why nothing could be sent, and delivers once it can', async () => {
  await using server = await startTransferFtps({ certificate: await certificates.server('good') });
  await using home = await homeFor(server);
  await writeFile(join(home.outbox, 'file'), 'content');
  server.trouble.answers = { STOR: '522 Data connection must use cached TLS session' };
  const refused = await home.ferry(['run', 'send', '--json']);
  assert.equal(refused.code, 3, refused.stderr);
  assert.match(refused.stderr, /insists that data connections resume the TLS session/);
  await assertTree(server.folder, {});
  server.trouble.answers = {};
  await home.ferry(['resume', 'far']);
  const run = await home.ferry(['run', 'send', '--json']);
  assert.equal(run.code, 0, run.stderr);
  await assertTree(join(server.folder, 'inbox'), { file: sha256Of('content') });
});
