/** Large files: helpers, resuming only what is proved, and several hosts behind one name. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Receipt, SendOptions } from '../../../src/endpoints/endpoint.ts';
import type { SftpEndpoint } from '../../../src/endpoints/sftp/endpoint.ts';
import type { SftpSession } from '../../../src/endpoints/sftp/session.ts';
import { assertNoLeftovers, contentOf, sha256OfFile } from '../../support/files.ts';
import { type GeneratedSource, generatedSource } from '../../support/source.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { calm, entryFor, rejection, sendOptions, sftp } from './kit.ts';

const SIZE = 24_000_000;
const TOKEN = 'feedfacecafebeef';
const TEMP = `.ferry-${TOKEN}.part`;

async function sessionsOf(endpoint: SftpEndpoint, count: number, open: AsyncDisposableStack) {
  const sessions: SftpSession[] = [];
  for (let n = 0; n < count; n += 1) sessions.push(open.use(await endpoint.connect(calm.signal)));
  const [first, ...helpers] = sessions;
  assert.ok(first !== undefined);
  return { first, helpers };
}

async function receiptOf(sending: ReturnType<SftpSession['send']>): Promise<Receipt> {
  const result = await sending;
  assert.ok(result.state === 'done');
  return result.receipt;
}

describe('a large file', () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd({ config: ['MaxStartups 100'] });
  });
  after(() => sshd[Symbol.asyncDispose]());
  const at = (name: string): string => join(sshd.folder, name);

  test('is sent over several sessions, and each byte is hashed on the way', async () => {
    await using stack = new AsyncDisposableStack();
    const { first, helpers } = await sessionsOf(sftp(entryFor(sshd)), 4, stack);
    const source = generatedSource({ sizeBytes: SIZE, mtimeMs: 1_600_000_000_000 });
    const confirmed: number[] = [];
    const receipt = await receiptOf(
      first.send(source, 'helped', sendOptions({ helpers, progress: (bytes) => confirmed.push(bytes) })),
    );
    assert.equal(receipt.sha256, source.sha256);
    assert.equal(await sha256OfFile(at('helped')), source.sha256);
    assert.equal((await stat(at('helped'))).mtimeMs, 1_600_000_000_000);
    assert.equal(confirmed.at(-1), SIZE);
    assert.deepEqual(
      confirmed,
      confirmed.toSorted((a, b) => a - b),
    );
    await assertNoLeftovers(sshd.folder);
  });

  test('keeps the time at which it was written, where times are not preserved', async () => {
    await using stack = new AsyncDisposableStack();
    const { first, helpers } = await sessionsOf(sftp(entryFor(sshd)), 2, stack);
    const source = generatedSource({ sizeBytes: SIZE });
    await first.send(source, 'now', sendOptions({ helpers, preserveMtime: false }));
    const { mtimeMs, atimeMs } = await stat(at('now'));
    for (const ms of [mtimeMs, atimeMs]) assert.ok(Math.abs(ms - Date.now()) < 60_000, `${ms}`);
  });

  test('is sent from a source that gives pieces of odd sizes', async () => {
    await using stack = new AsyncDisposableStack();
    const { first, helpers } = await sessionsOf(sftp(entryFor(sshd)), 3, stack);
    const source = generatedSource({ sizeBytes: 5_000_001, chunkBytes: 10_007 });
    await first.send(source, 'odd', sendOptions({ helpers }));
    assert.equal(await sha256OfFile(at('odd')), source.sha256);
  });

  test('goes to servers that take small packets only', async () => {
    await using session = await sftp(entryFor(sshd, { server: 'generic' })).connect(calm.signal);
    const source = generatedSource({ sizeBytes: 3_000_000, seed: 'generic' });
    await session.send(source, 'generic', sendOptions());
    assert.equal(await sha256OfFile(at('generic')), source.sha256);
    assert.equal(session.capabilities.positionalWrites, false);
  });

  test('is put on the disk before it counts, where asked', async () => {
    await using session = await sftp(entryFor(sshd, { sync: true })).connect(calm.signal);
    for (const sizeBytes of [100, 3_000_000]) {
      const source = generatedSource({ sizeBytes });
      await session.send(source, `sync ${sizeBytes}`, sendOptions());
      assert.equal(await sha256OfFile(at(`sync ${sizeBytes}`)), source.sha256);
    }
  });

  /** A temporary as a cut leaves it, and the note of it. */
  async function interrupted(source: GeneratedSource, session: SftpSession): Promise<string> {
    let note: string | undefined;
    const stop = new AbortController();
    const paused = generatedSource({
      sizeBytes: source.version.sizeBytes,
      seed: source.path.replace('.bin', ''),
      beforeChunk: (offset) => {
        if (offset > SIZE * 0.7) stop.abort();
      },
    });
    const checkpoint: SendOptions['checkpoint'] = async (text) => {
      note = text;
    };
    const send = session.send(
      paused,
      'resumed',
      sendOptions({ signal: stop.signal, token: TOKEN, checkpoint }),
    );
    assert.equal((await rejection(send)).kind, 'aborted');
    assert.ok((await stat(at(TEMP))).size > SIZE / 2, 'the part is kept');
    assert.ok(note !== undefined);
    return note;
  }

  const resumes = async (
    session: SftpSession,
    source: GeneratedSource,
    note: string | undefined,
  ): Promise<number> => {
    let least = SIZE;
    const progress = (bytes: number): void => {
      least = Math.min(least, bytes);
    };
    const options = sendOptions({ token: TOKEN, resume: note, progress });
    const receipt = await receiptOf(session.send(source, 'resumed', options));
    assert.equal(receipt.sha256, source.sha256);
    assert.equal(await sha256OfFile(at('resumed')), source.sha256);
    await assertNoLeftovers(sshd.folder);
    return least;
  };

  test('goes on where it was cut, when that is proved to be the same', async () => {
    await using session = await sftp(entryFor(sshd)).connect(calm.signal);
    const source = generatedSource({ sizeBytes: SIZE, seed: 'same' });
    const from = await resumes(session, source, await interrupted(source, session));
    assert.ok(from > SIZE / 2, `it went on at ${from}`);
  });

  test('starts again when the part there is not the same by one bit', async () => {
    await using session = await sftp(entryFor(sshd)).connect(calm.signal);
    const source = generatedSource({ sizeBytes: SIZE, seed: 'bit' });
    const note = await interrupted(source, session);
    const file = await open(at(TEMP), 'r+');
    const [byte = 0] = contentOf('bit', 5_000_000, 5_000_001);
    await file.write(Buffer.of(byte ^ 1), 0, 1, 5_000_000);
    await file.close();
    assert.equal(await resumes(session, source, note), 0);
  });

  test('starts again in a new file when nobody says that the part is of this version', async () => {
    await using session = await sftp(entryFor(sshd)).connect(calm.signal);
    const source = generatedSource({ sizeBytes: SIZE, seed: 'unknown' });
    await interrupted(source, session);
    const old = await open(at(TEMP), 'r+'); // as a late write of the old attempt would have it
    assert.equal(await resumes(session, source, undefined), 0);
    await old.write(Buffer.from('late'), 0, 4, 1000);
    await old.close();
    assert.equal(await sha256OfFile(at('resumed')), source.sha256, 'it does not reach the new file');
  });

  test('starts again when the part is longer than the file, or a folder', async () => {
    await using session = await sftp(entryFor(sshd)).connect(calm.signal);
    const source = generatedSource({ sizeBytes: SIZE, seed: 'longer' });
    const note = await interrupted(source, session);
    await writeFile(at(TEMP), contentOf('longer', 0, SIZE + 1));
    assert.equal(await resumes(session, source, note), 0);
    assert.equal(await resumes(session, source, 'a note of something else'), 0);
  });
});

describe('several hosts behind one name', () => {
  test('never mix one file over two disks, and a person is told', async () => {
    await using one = await startSshd();
    await using two = await startSshd({
      hostKeyFiles: one.hostKeys.map((key) => key.file),
      authorized: [await readFile(`${one.keyFile}.pub`, 'utf8')],
    });
    await using balancer = await roundRobin([one.port, two.port]);
    const warnings: string[] = [];
    const endpoint = sftp(entryFor(one, { port: balancer.port }), { warn: (text) => warnings.push(text) });
    await using stack = new AsyncDisposableStack();
    const { first, helpers } = await sessionsOf(endpoint, 4, stack);
    // On the other host lies a part of an earlier attempt, under the same name.
    const source = generatedSource({ sizeBytes: SIZE });
    await writeFile(join(two.folder, TEMP), contentOf('seed', 0, 10_000_000));
    await first.send(source, 'file.bin', sendOptions({ helpers, token: TOKEN }));
    assert.equal(await sha256OfFile(join(one.folder, 'file.bin')), source.sha256);
    assert.match(warnings.join('\n'), /different disks/);
  });

  test('with host keys of their own are all shown, and pinned all', async () => {
    await using one = await startSshd();
    await using two = await startSshd({ authorized: [await readFile(`${one.keyFile}.pub`, 'utf8')] });
    await using balancer = await roundRobin([one.port, two.port]);
    const entry = entryFor(one, { port: balancer.port });
    const shown = await sftp(entry).hostKeys(calm);
    assert.deepEqual(
      new Map(shown.map((key) => [key.fingerprint, key.pinned])),
      new Map([
        [one.hostKeyFingerprint, true],
        [two.hostKeyFingerprint, false],
      ]),
    );
    const both = sftp({ ...entry, hostKey: [one.hostKeyFingerprint, two.hostKeyFingerprint] });
    const steps = await Array.fromAsync(both.probe('', calm));
    assert.ok(steps.every((step) => step.ok));
    assert.ok(steps.some((step) => step.warning && /several hosts/.test(step.saw)));
  });
});

/** A load balancer: one connection to each in turn. */
async function roundRobin(ports: readonly number[]): Promise<{ readonly port: number } & AsyncDisposable> {
  let count = 0;
  const server = createServer((client) => {
    const port = ports[count % ports.length] ?? 0;
    count += 1;
    const target = connect(port, '127.0.0.1');
    client.pipe(target).pipe(client);
    for (const socket of [client, target]) {
      socket.on('error', () => undefined);
      socket.once('close', () => {
        client.destroy();
        target.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    port: address.port,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
