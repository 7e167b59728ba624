import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lostFault } from '../../../src/endpoints/ftps/faults.ts';
import { calm, deliver, faultOf, listed } from '../../contract/endpoint/kit.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { assertNoLeftovers, assertTree, sha256Of, sha256OfFile } from '../../support/files.ts';
import { startProftpd } from '../../support/proftpd.ts';
import { generatedSource } from '../../support/source.ts';
import { startTransferFtps } from '../../support/transfer-ftps.ts';
import { until, within } from '../../support/until.ts';
import { startVsftpd } from '../../support/vsftpd.ts';
import { entryFor, ftps, startProxied, startTransfer } from './kit.ts';

let certificates: Certificates;
before(async () => {
  certificates = await makeCertificates();
});
after(() => certificates[Symbol.asyncDispose]());

describe('a final reply that is lost', () => {
  for (const kind of ['aws-transfer', 'generic'] as const) {
    test(`is made up for by asking for the size, without sending again (${kind})`, async () => {
      await using server = await startTransferFtps({ certificate: await certificates.server('good') });
      await using session = await ftps(entryFor(server, certificates, { server: kind })).connect(calm.signal);
      for (const sizeBytes of [1000, 3_000_000]) {
        await using used =
          sizeBytes === 1000
            ? undefined
            : await ftps(entryFor(server, certificates, { server: kind })).connect(calm.signal);
        server.trouble.loseReplies = 1;
        const source = generatedSource({ sizeBytes, seed: `${sizeBytes}` });
        await deliver(used ?? session, source, `/files/${sizeBytes}`);
        assert.equal(await sha256OfFile(`${server.folder}/${sizeBytes}`), source.sha256);
        assert.ok((used ?? session).broken !== undefined, 'the connection is not used again');
      }
      assert.equal(server.commands.filter((command) => command.startsWith('STOR')).length, 2);
      await assertNoLeftovers(server.folder);
    });
  }

  test('of an upload that did not arrive is not made up for', async () => {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    await using session = await ftps(entryFor(server, certificates)).connect(calm.signal);
    server.trouble.loseReplies = 1;
    server.trouble.sizeOff = -1;
    server.trouble.answers = { MLST: '502 Not now.' };
    const send = deliver(session, generatedSource({ sizeBytes: 1000 }), '/files/file');
    await faultOf(within(60_000, 'the fault', send), 'unreachable');
  });

  test('behind a balancer that forgets a silent control connection costs no second sending', async () => {
    await using proxied = await startProxied(startVsftpd, certificates);
    await using session = await ftps(proxied.entry({ timeout: '3s' })).connect(calm.signal);
    proxied.control.setTrouble({ idle: { ms: 1_000, how: 'nothing' } });
    const source = generatedSource({ sizeBytes: 600_000, delayMs: 700, chunkBytes: 100_000 });
    await within(60_000, 'the delivery', deliver(session, source, '/files/file'));
    assert.ok(proxied.control.counts.expired > 0, 'it was forgotten');
    assert.equal(source.opened, 1);
    await assertTree(proxied.server.folder, { file: source.sha256 });
  });
});

test('what OpenSSL says of its source is not for people', () => {
  const said =
    '40ED:error:0A0001BB:SSL routines:tls13_validate_record_header:bad record type:../deps/openssl/x.c:263:\n';
  const error = Object.assign(new Error(said), {
    code: 'ERR_SSL_BAD_RECORD_TYPE',
    reason: 'bad record type',
  });
  const { message, advice } = lostFault('far', error);
  assert.match(message, /^the connection to far was lost: .*\(bad record type\)$/);
  assert.match(String(advice), /pasv_min_port/);
});

describe('a connection that idles out', () => {
  test('at the server is noticed, and the next one works', async () => {
    await using server = await startTransferFtps({
      certificate: await certificates.server('good'),
      idleMs: 2_000,
    });
    const endpoint = ftps(entryFor(server, certificates));
    await using session = await endpoint.connect(calm.signal);
    await until('the server to hang up', () => session.broken !== undefined);
    await faultOf(deliver(session, generatedSource({ sizeBytes: 10 }), '/files/file'), 'unreachable');
    await using next = await endpoint.connect(calm.signal);
    await deliver(next, generatedSource({ sizeBytes: 10 }), '/files/file');
  });

  test('at a balancer between two files ends in bounded time, and the next one works', async () => {
    for (const how of ['rst', 'nothing'] as const) {
      await using proxied = await startProxied(startVsftpd, certificates);
      const endpoint = ftps(proxied.entry({ timeout: '2s' }));
      await using session = await endpoint.connect(calm.signal);
      await deliver(session, generatedSource({ sizeBytes: 10 }), '/files/one');
      proxied.control.setTrouble({ idle: { ms: 150, how } });
      await until('the flow to be forgotten', () => proxied.control.counts.expired > 0);
      const send = deliver(session, generatedSource({ sizeBytes: 10 }), '/files/two');
      await faultOf(within(60_000, 'the fault', send), 'unreachable');
      proxied.control.setTrouble({});
      await using next = await endpoint.connect(calm.signal);
      await deliver(next, generatedSource({ sizeBytes: 10 }), '/files/two');
    }
  });

  test('is closed by us well before, since idleTimeout is known', () => {
    const entry = { host: 'h', user: 'u', password: 'p' };
    assert.equal(ftps(entry).idleMs, 60_000);
    assert.equal(ftps({ ...entry, idleTimeout: '60s' }).idleMs, 20_000);
  });
});

describe('a data connection that stalls', () => {
  for (const [name, start] of [
    ['vsftpd', startVsftpd],
    ['ProFTPD', startProftpd],
  ] as const) {
    test(`in the middle of a file to ${name} ends in bounded time, with nothing torn`, async () => {
      await using proxied = await startProxied(start, certificates);
      const endpoint = ftps(proxied.entry({ timeout: '2s' }));
      await using session = await endpoint.connect(calm.signal);
      proxied.data.setTrouble({ blackHole: { afterBytes: 1_000_000 } });
      const send = deliver(session, generatedSource({ sizeBytes: 20_000_000 }), '/files/file');
      await faultOf(within(60_000, 'the fault', send), 'unreachable');
      assert.ok(session.broken !== undefined);
      assert.equal(await sha256OfFile(`${proxied.server.folder}/file`).catch(() => undefined), undefined);
    });
  }
});

test('a cut at each tenth of a file ends with the right bytes, once', async () => {
  await using proxied = await startProxied(startProftpd, certificates);
  const endpoint = ftps(proxied.entry({ timeout: '5s' }));
  const sizeBytes = 6_000_000;
  for (let tenth = 1; tenth < 10; tenth += 1) {
    const source = generatedSource({ sizeBytes, seed: `${tenth}` });
    let resume: string | undefined;
    const checkpoint = async (note: string): Promise<void> => {
      resume = note;
    };
    const afterBytes = (sizeBytes * tenth) / 10;
    const by = tenth % 2 === 0 ? 'rst' : 'fin';
    proxied.data.setTrouble({ cut: { afterBytes, direction: 'up', by, counting: 'all', times: 1 } });
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      await using session = await endpoint.connect(calm.signal);
      const done = await deliver(session, source, `/files/${tenth}`, { resume, checkpoint }).catch(
        () => undefined,
      );
      if (done !== undefined) break;
      assert.ok(attempt < 4, 'it is delivered in the end');
    }
    assert.equal(await sha256OfFile(`${proxied.server.folder}/${tenth}`), source.sha256);
    await assertNoLeftovers(proxied.server.folder);
  }
});

test('a server that says it can go on with a file, and does not let us, gets it from the beginning', async () => {
  await using proxied = await startProxied(startProftpd, certificates, { config: ['AllowStoreRestart off'] });
  const endpoint = ftps(proxied.entry());
  const source = generatedSource({ sizeBytes: 9_000_000 });
  let resume: string | undefined;
  proxied.data.setTrouble({ cut: { afterBytes: 8_000_000, direction: 'up', by: 'rst', times: 1 } });
  await using first = await endpoint.connect(calm.signal);
  const cut = deliver(first, source, '/files/file', {
    checkpoint: async (note) => {
      resume = note;
    },
  });
  await faultOf(cut, 'unreachable');
  await using second = await endpoint.connect(calm.signal);
  await deliver(second, source, '/files/file', { resume });
  await assertTree(proxied.server.folder, { file: source.sha256 });
  assert.equal(second.capabilities.resume, false, 'it is not asked for that again');
});

describe('an attempt that is given up at Transfer Family', () => {
  test('publishes no part of the file, though the server takes any end for its end', async () => {
    for (const tls of ['1.2', '1.3'] as const) {
      await using server = await startTransfer()({ certificate: await certificates.server('good'), tls });
      const endpoint = ftps(entryFor(server, certificates));
      for (const sizeBytes of [1000, 5_000_000]) {
        await using session = await endpoint.connect(calm.signal);
        const stop = new AbortController();
        const source = generatedSource({
          sizeBytes,
          beforeChunk: (at) => {
            if (at >= sizeBytes / 2 || sizeBytes === 1000) stop.abort();
          },
        });
        await faultOf(deliver(session, source, '/files/file', { signal: stop.signal }), 'aborted');
        await assertTree(server.folder, {});
      }
    }
  });
});

test('an attempt that is given up at Transfer Family while a lot is on its way publishes no part either', async () => {
  await using server = await startTransferFtps({ certificate: await certificates.server('good') });
  const endpoint = ftps(entryFor(server, certificates));
  for (let round = 0; round < 5; round += 1) {
    await using session = await endpoint.connect(calm.signal);
    const stop = new AbortController();
    const send = deliver(session, generatedSource({ sizeBytes: 1_000_000_000 }), '/files/file', {
      signal: stop.signal,
    });
    const timer = setTimeout(() => stop.abort(), 300 + 40 * round);
    await faultOf(within(60_000, 'the fault', send), 'aborted');
    clearTimeout(timer);
    await assertTree(server.folder, {});
  }
});

test('a size that is wrong after all is a failed attempt, and nothing of it stays', async () => {
  for (const kind of ['aws-transfer', 'generic'] as const) {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    await using session = await ftps(entryFor(server, certificates, { server: kind })).connect(calm.signal);
    server.trouble.sizeOff = -1;
    const send = deliver(session, generatedSource({ sizeBytes: 1000 }), '/files/file');
    assert.equal((await faultOf(send, 'transient')).code, 'SIZE_MISMATCH');
    server.trouble.sizeOff = 0;
    await assertTree(server.folder, {});
  }
});

test('what a server does not tell of a name is not taken for a free name', async () => {
  for (const [said, kind] of [
    ['451 Local error in processing.', 'transient'],
    ['550 Permission denied.', 'permanent'],
    ['502 Command SIZE not implemented.', 'permanent'],
  ] as const) {
    await using server = await startTransferFtps({ certificate: await certificates.server('good') });
    await writeFile(join(server.folder, 'file'), 'an older one');
    server.trouble.answers = { FEAT: '211 no features' };
    await using session = await ftps(entryFor(server, certificates, { server: 'generic' })).connect(
      calm.signal,
    );
    server.trouble.answers = { 'SIZE /files/file': said };
    for (const conflict of ['skip', 'fail', 'rename'] as const) {
      const source = generatedSource({ sizeBytes: 1000 });
      const fault = await faultOf(deliver(session, source, '/files/file', { conflict }), kind);
      assert.match(fault.message, /cannot look at/);
    }
    await assertTree(server.folder, { file: sha256Of('an older one') });
  }
});

test('rename: never writes under the final name, and removes what it did not finish', async () => {
  await using server = await startVsftpd({ certificate: await certificates.server('good') });
  await using session = await ftps(entryFor(server, certificates, { rename: 'never' })).connect(calm.signal);
  const source = generatedSource({ sizeBytes: 2_000_000 });
  await deliver(session, source, '/files/file');
  const bad = generatedSource({ sizeBytes: 2_000_000, trouble: { kind: 'fails', atByte: 1_000_000 } });
  await faultOf(deliver(session, bad, '/files/other'), 'transient');
  await assertTree(server.folder, { file: source.sha256 });
});

test('two sessions that want one free name do not overwrite each other', async () => {
  await using server = await startVsftpd({ certificate: await certificates.server('good') });
  const endpoint = ftps(entryFor(server, certificates));
  await using one = await endpoint.connect(calm.signal);
  await using two = await endpoint.connect(calm.signal);
  for (let round = 0; round < 10; round += 1) {
    const receipts = await Promise.all(
      [one, two].map((session, index) =>
        deliver(
          session,
          generatedSource({ sizeBytes: 100, seed: `${round} ${index}` }),
          `/files/${round}.txt`,
          {
            conflict: 'rename',
            token: `${index}`.repeat(16),
          },
        ),
      ),
    );
    assert.equal(new Set(receipts.map((receipt) => receipt.remotePath)).size, 2);
  }
  assert.equal((await listed(one, '/files')).size, 20);
});
