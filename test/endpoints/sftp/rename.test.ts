/** Final names on servers that cannot replace in one step, that rename nothing, or that say so only when asked. */

import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Fault } from '../../../src/sync/errors.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { assertNoLeftovers, sha256OfFile } from '../../support/files.ts';
import { generatedSource } from '../../support/source.ts';
import { startSshd } from '../../support/sshd.ts';
import { calm, entryFor, rejection, sendOptions, sftp } from './kit.ts';

const TOKEN = 'feedfacecafebeef';

describe('a server without posix-rename', () => {
  test('gets new files by a plain rename, and old ones replaced without a moment of half a file', async () => {
    await using sshd = await startSshd({ config: ['ForceCommand internal-sftp -P posix-rename'] });
    const at = (name: string): string => join(sshd.folder, name);
    await using session = await sftp(entryFor(sshd, { rename: 'auto' })).connect(calm.signal);
    assert.equal(session.capabilities.atomicRename, false);
    for (const sizeBytes of [100, 2_000_000]) {
      const path = `${sshd.folder}/file-${sizeBytes}`;
      for (const seed of ['first', 'second', 'third']) {
        const source = generatedSource({ sizeBytes, seed });
        await session.send(source, path, sendOptions({ token: TOKEN }));
        assert.equal(await sha256OfFile(at(`file-${sizeBytes}`)), source.sha256);
        await assertNoLeftovers(sshd.folder);
      }
    }
    await mkdir(at('folder'));
    const fault = await rejection(
      session.send(generatedSource({ sizeBytes: 10 }), `${sshd.folder}/folder`, sendOptions()),
    );
    assert.equal(fault.code, 'EISDIR');
  });

  test('gets back what a crash had left aside', async () => {
    await using sshd = await startSshd({ config: ['ForceCommand internal-sftp -P posix-rename'] });
    const at = (name: string): string => join(sshd.folder, name);
    await using session = await sftp(entryFor(sshd)).connect(calm.signal);
    await writeFile(at(`.ferry-${TOKEN}.old`), 'old'); // moved aside, and then it crashed
    await writeFile(at(`.ferry-${TOKEN}.part`), 'new, perhaps');
    await session.discard(`${sshd.folder}/file`, TOKEN, undefined, calm);
    assert.deepEqual(await readdir(sshd.folder), ['file']);
    assert.equal(await readFile(at('file'), 'utf8'), 'old');

    await rename(at('file'), at(`.ferry-${TOKEN}.old`));
    await writeFile(at('file'), 'newer'); // the crash came after the rename
    await session.discard(`${sshd.folder}/file`, TOKEN, undefined, calm);
    assert.deepEqual(await readdir(sshd.folder), ['file']);
    assert.equal(await readFile(at('file'), 'utf8'), 'newer');
  });
});

describe('a server that renames nothing', () => {
  test('is found out, a person is told once, and files get there all the same', async () => {
    await using sshd = await startSshd({ config: ['ForceCommand internal-sftp -P posix-rename,rename'] });
    const warnings: string[] = [];
    const endpoint = sftp(entryFor(sshd), { warn: (text) => warnings.push(text) });
    await using session = await endpoint.connect(calm.signal);
    for (const [n, conflict] of (['replace', 'fail', 'skip', 'rename', 'replace'] as const).entries()) {
      const source = generatedSource({ sizeBytes: n === 4 ? 3_000_000 : 100, seed: `${n}` });
      const path = `${sshd.folder}/deep/${n}`;
      await session.send(source, path, sendOptions({ conflict, token: TOKEN }));
      assert.equal(await sha256OfFile(path), source.sha256);
    }
    await assertNoLeftovers(sshd.folder);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /renamed/);
    assert.deepEqual(
      [session.capabilities.atomicRename, session.capabilities.resume, session.capabilities.positionalWrites],
      [false, false, false],
    );
  });

  for (const conflict of ['replace', 'fail', 'skip', 'rename'] as const) {
    test(`keeps no part of a file that was cut, and nobody else’s is touched: ${conflict}`, async () => {
      await using sshd = await startSshd({ config: ['ForceCommand internal-sftp -P posix-rename,rename'] });
      await using proxy = await startFaultProxy({ port: sshd.port });
      const endpoint = sftp(entryFor(sshd, { port: proxy.port, rename: 'never' }));
      const source = generatedSource({ sizeBytes: 9_000_000, seed: conflict });
      const path = join(sshd.folder, 'file.bin');
      let note: string | undefined;
      const checkpoint = async (text: string): Promise<void> => {
        note = text;
      };
      const send = async (): Promise<void> => {
        await using session = await endpoint.connect(calm.signal);
        await session.send(source, path, sendOptions({ conflict, token: TOKEN, resume: note, checkpoint }));
      };
      proxy.setTrouble({ cut: { afterBytes: 5_000_000, direction: 'up', by: 'rst', times: 1 } });
      assert.equal((await rejection(send())).kind, 'unreachable');
      const torn = (await stat(path)).size;
      assert.ok(torn > 0 && torn < 9_000_000, 'a part lies there');
      await send();
      assert.equal(await sha256OfFile(path), source.sha256);
      assert.deepEqual(await readdir(sshd.folder), ['file.bin']);

      if (conflict === 'replace') return;
      // What lies there is not the beginning of this file, whatever the note says.
      await writeFile(path, 'somebody else’s');
      const again = await send().then(
        () => undefined,
        (error: Fault) => error.kind,
      );
      assert.equal(again, { fail: 'permanent', skip: 'skipped', rename: undefined }[conflict]);
      assert.equal(await readFile(path, 'utf8'), 'somebody else’s');
    });
  }

  test('is told from a file that may not be replaced', async () => {
    await using sshd = await startSshd();
    // Of a folder, whoever may rename in it at all: root is stopped by nothing less.
    await using session = await sftp(entryFor(sshd)).connect(calm.signal);
    await mkdir(join(sshd.folder, 'taken/inside'), { recursive: true });
    const fault = await rejection(
      session.send(generatedSource({ sizeBytes: 10 }), 'taken', sendOptions({ token: TOKEN })),
    );
    assert.deepEqual([fault.kind, fault.code], ['permanent', 'EISDIR']);
    assert.equal(session.capabilities.atomicRename, true, 'nothing was concluded from it');
    await assertNoLeftovers(sshd.folder);
  });
});

describe('Transfer Family', () => {
  test('is written to directly, in order, and nothing is asked of it that it refuses', async () => {
    await using sshd = await startSshd({
      // What it does not offer, OpenSSH here refuses.
      config: ['ForceCommand internal-sftp -P posix-rename,rename,setstat,fsetstat,fsync,hardlink,symlink'],
    });
    const warnings: string[] = [];
    const entry = entryFor(sshd, { server: 'aws-transfer' });
    const endpoint = sftp(entry, { warn: (text) => warnings.push(text) });
    await using session = await endpoint.connect(calm.signal);
    const { atomicRename, commitsAtClose, resume, positionalWrites, setsMtime } = session.capabilities;
    assert.deepEqual(
      [atomicRename, commitsAtClose, resume, positionalWrites, setsMtime],
      [false, true, false, false, false],
    );
    for (const sizeBytes of [0, 100, 3_000_000]) {
      for (const verify of ['size', 'checksum'] as const) {
        const source = generatedSource({ sizeBytes, seed: verify });
        const path = `${sshd.folder}/in/file-${sizeBytes}`;
        await session.send(source, path, sendOptions({ verify, token: TOKEN, mode: 0o600 }));
        assert.equal(await sha256OfFile(path), source.sha256);
      }
    }
    const grows = generatedSource({ sizeBytes: 3_000_000, trouble: { kind: 'grows' } });
    const path = `${sshd.folder}/in/grows`;
    assert.equal((await rejection(session.send(grows, path, sendOptions()))).kind, 'changed');
    assert.ok(!(await readdir(`${sshd.folder}/in`)).includes('grows'), 'a void attempt leaves nothing');
    await assertNoLeftovers(sshd.folder);
  });
});

describe('a folder that may not be written', () => {
  test('is named, with what to do', async () => {
    await using sshd = await startSshd({ config: ['ForceCommand internal-sftp -R'] });
    await using session = await sftp(entryFor(sshd)).connect(calm.signal);
    await chmod(sshd.folder, 0o755);
    const fault = await rejection(
      session.send(generatedSource({ sizeBytes: 10 }), `${sshd.folder}/x`, sendOptions()),
    );
    assert.deepEqual([fault.kind, fault.code], ['permanent', 'EACCES']);
    assert.match(fault.message, /server: cannot write .*\/x: permission denied/);
    assert.ok(fault.advice);
  });
});
