/** One connection, file upon file: the next begins while the rename of the one before is on its way. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Session } from '../../../src/endpoints/endpoint.ts';
import { calm, deliver, faultOf } from '../../contract/endpoint/kit.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { assertNoLeftovers, sha256OfFile, treeOf } from '../../support/files.ts';
import { freePorts } from '../../support/ports.ts';
import { startProftpd } from '../../support/proftpd.ts';
import { generatedSource } from '../../support/source.ts';
import { until } from '../../support/until.ts';
import { startVsftpd } from '../../support/vsftpd.ts';
import { type AnyServer, entryFor, ftps, startTransfer } from './kit.ts';

const COUNT = 150;
/** Every so many is refused: a folder has its name. */
const EVERY = 10;

let certificates: Certificates;
before(async () => {
  certificates = await makeCertificates();
});
after(() => certificates[Symbol.asyncDispose]());

const isTaken = (n: number): boolean => n % EVERY === EVERY - 1;
const sourceOf = (n: number) => generatedSource({ sizeBytes: (n * 997) % 70_000, seed: `${n}` });
const nameOf = (n: number): string => `file-${n}`;
const tokenOf = (n: number): string => n.toString(16).padStart(16, '0');

/** Sends them all, each begun as soon as the one before lets it. Resolves to how many were begun before the one before was done. */
async function sendAll(server: AnyServer): Promise<number> {
  for (let n = 0; n < COUNT; n += 1) if (isTaken(n)) await mkdir(join(server.folder, nameOf(n)));
  const endpoint = ftps(entryFor(server, certificates));
  // Who looked whether the server had started may still count as a client.
  await using session = await until('a place', () => endpoint.connect(calm.signal).catch(() => undefined));
  const all: Promise<unknown>[] = [];
  let early = 0;
  for (let n = 0; n < COUNT; n += 1) {
    const freed = Promise.withResolvers<void>();
    let done = false;
    const token = tokenOf(n);
    const sent = deliver(session, sourceOf(n), `/files/${nameOf(n)}`, { token, freed: freed.resolve });
    const ended = isTaken(n) ? faultOf(sent, 'permanent') : sent;
    all.push(
      ended.finally(() => {
        done = true;
      }),
    );
    await Promise.race([freed.promise, ended]);
    if (!done) early += 1;
  }
  await Promise.all(all);
  assert.equal(session.broken, undefined);
  return early;
}

for (const [name, start, overlaps] of [
  ['vsftpd', startVsftpd, true],
  ['ProFTPD', startProftpd, true],
  ['Transfer Family', startTransfer(), false],
] as const) {
  test(`${COUNT} files on one connection to ${name} arrive whole, those whose name is taken are refused`, async () => {
    await using server = await start({ certificate: await certificates.server('good') });
    const early = await sendAll(server);
    assert.equal(early > COUNT / 2, overlaps, `${early} were begun early`);
    for (let n = 0; n < COUNT; n += 1) {
      if (!isTaken(n))
        assert.equal(await sha256OfFile(join(server.folder, nameOf(n))), sourceOf(n).sha256, nameOf(n));
    }
    assert.equal((await treeOf(server.folder)).length, COUNT);
    await assertNoLeftovers(server.folder);
  });
}

for (const [name, start, config] of [
  ['vsftpd', startVsftpd, ['max_per_ip=1']],
  ['ProFTPD', startProftpd, ['MaxClientsPerHost 1']],
] as const) {
  test(`where ${name} takes one connection, a rename that is refused asks for no second one`, async () => {
    await using server = await start({ certificate: await certificates.server('good'), config });
    await sendAll(server);
    await assertNoLeftovers(server.folder);
  });
}

for (const [name, start] of [
  ['vsftpd', startVsftpd],
  ['ProFTPD', startProftpd],
] as const) {
  test(`paths that fill a buffer of ${name} are sent as others are`, async () => {
    await using server = await start({ certificate: await certificates.server('good') });
    await using session = await ftps(entryFor(server, certificates, { timeout: '5s' })).connect(calm.signal);
    const folder = `files${`/${'long'.repeat(50)}`.repeat(14)}`;
    const all = [1, 2, 3].map(async (n) => {
      await deliver(session, sourceOf(n), `/${folder}/${nameOf(n)}`, { token: tokenOf(n) });
      assert.equal(await sha256OfFile(join(server.base, folder, nameOf(n))), sourceOf(n).sha256);
    });
    await Promise.all(all);
  });
}

test('a session that is closed for being idle lets the last rename end', async () => {
  await using server = await startVsftpd({ certificate: await certificates.server('good') });
  const session = await ftps(entryFor(server, certificates)).connect(calm.signal);
  const freed = Promise.withResolvers<void>();
  const sent = deliver(session, sourceOf(1), '/files/one', { token: tokenOf(1), freed: freed.resolve });
  await freed.promise;
  await Promise.all([session[Symbol.asyncDispose](), sent]);
  assert.equal(await sha256OfFile(join(server.folder, 'one')), sourceOf(1).sha256);
});

test('vsftpd is asked for the next port ahead where files wait, and holds none for a session that rests', async () => {
  const port = await freePorts(1);
  const certificate = await certificates.server('good');
  await using server = await startVsftpd({ certificate, passivePorts: [port, port] });
  const endpoint = ftps(entryFor(server, certificates));
  await using busy = await endpoint.connect(calm.signal);
  const { control } = busy.connection;
  const ask = control.ask.bind(control);
  let ports = 0;
  control.ask = (command, limitMs) => {
    if (command === 'EPSV') ports += 1;
    return ask(command, limitMs);
  };
  const send = (session: Session, n: number, waiting: number) =>
    deliver(session, sourceOf(n), `/files/${nameOf(n)}`, { token: tokenOf(n), awaited: () => waiting > 0 });
  await send(busy, 1, 2);
  await send(busy, 2, 1);
  assert.equal(ports, 3, 'one for each, and one ahead');
  await send(busy, 3, 0);
  assert.equal(ports, 3, 'which the last one took');
  await using other = await endpoint.connect(calm.signal);
  await send(other, 4, 0);
  assert.equal((await treeOf(server.folder)).length, 4);
});
