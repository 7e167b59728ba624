/** Files that go in parts: proofs, faults in the middle, going on after a cut, and uploads that nobody needs any more. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createLocal } from '../../../src/endpoints/local/endpoint.ts';
import { partBytesFor } from '../../../src/endpoints/s3/uploads.ts';
import { faultOf } from '../../contract/endpoint/kit.ts';
import { contentOf, sha256Of, temporaryFolder } from '../../support/files.ts';
import { Refusal } from '../../support/s3-double/refusal.ts';
import { type GeneratedOptions, generatedSource } from '../../support/source.ts';
import { Checkpoints, calm, type DoubleSetup, doubleSetup, MIB, send } from './double-kit.ts';

/** Four parts of 5 MiB and a short one. */
const SIZE = 20 * MIB + 12_345;
const large = (more: Partial<GeneratedOptions> = {}) => generatedSource({ sizeBytes: SIZE, ...more });
const broken = new Refusal(500, 'InternalError', 'We encountered an internal error. Please try again.');
const tired = new Refusal(503, 'SlowDown', 'Please reduce your request rate.');

function assertWhole(setup: DoubleSetup, key: string, sha256: string): void {
  assert.equal(sha256Of(setup.double.store.get(key).body), sha256);
  assert.equal(setup.double.store.uploads.size, 0, 'no upload is left');
}

function partsSent(setup: DoubleSetup): number {
  return setup.asked().filter((operation) => operation === 'UploadPart').length;
}

describe('a large file into S3', () => {
  test('goes in parts that S3 verifies, and needs no look at it afterwards', async () => {
    await using setup = await doubleSetup();
    const source = large();
    const progress: number[] = [];
    const receipt = await send(setup.session, source, 'a.bin', { progress: (bytes) => progress.push(bytes) });
    assert.equal(receipt.verified, 'checksum');
    assert.equal(receipt.sha256, source.sha256);
    assertWhole(setup, 'a.bin', source.sha256);
    assert.equal(progress.at(-1), SIZE);
    const asked = setup.asked();
    assert.deepEqual(
      [asked[0], asked.at(-1), asked.length],
      ['CreateMultipartUpload', 'CompleteMultipartUpload', 7],
    );
    assert.equal(source.opened, 1, 'the source was read once');
    assert.equal(source.bytesRead, SIZE);
  });

  test('has its SHA-256 beside it when it lies on this host', async () => {
    await using setup = await doubleSetup();
    await using folder = await temporaryFolder();
    const content = contentOf('near', 0, SIZE);
    await writeFile(join(folder.path, 'a.bin'), content);
    const local = createLocal({ path: folder.path }, { name: 'local' });
    await using from = await local.connect(calm.signal);
    const entry = (await from.stat('a.bin', calm)) ?? assert.fail();
    const receipt = await send(setup.session, from.source('a.bin', entry.version), 'a.bin');
    const { headers } = setup.double.store.get('a.bin');
    assert.equal(headers['x-amz-meta-sha256'], sha256Of(content));
    assert.equal(Number(headers['x-amz-meta-mtime']) * 1000, entry.version.mtimeMs);
    assert.equal(receipt.sha256, sha256Of(content));
  });

  test('is not delivered when its content changed between two readings', async () => {
    await using setup = await doubleSetup();
    let reading = 0;
    const { open, ...source } = large();
    const changing = {
      ...source,
      near: true,
      open: async (signal: AbortSignal) => {
        const reader = await open(signal);
        return {
          ...reader,
          recheck: async () => undefined,
          read: async function* (start: number, end: number, readSignal: AbortSignal) {
            reading += 1;
            for await (const chunk of reader.read(start, end, readSignal)) {
              yield reading === 1 ? chunk : Buffer.from(chunk.map((byte) => byte ^ 1));
            }
          },
          [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
        };
      },
    };
    await faultOf(send(setup.session, changing, 'a.bin'), 'changed');
    assert.equal(setup.double.store.objects.size, 0);
    assert.equal(setup.double.store.uploads.size, 0);
  });

  test('is proved by its ETag at other servers, or by its size, or by reading it back', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    assert.equal((await send(setup.session, large(), 'a.bin')).verified, 'size');
    assert.equal(setup.asked().at(-1), 'HeadObject');
    assert.equal((await send(setup.session, large(), 'b.bin', { verify: 'checksum' })).verified, 'checksum');
    assert.equal(setup.asked().at(-1), 'CompleteMultipartUpload');
    setup.double.store.kms = true;
    assert.equal((await send(setup.session, large(), 'c.bin', { verify: 'checksum' })).verified, 'checksum');
    assert.equal(setup.asked().at(-1), 'GetObject');
    assert.ok(!setup.double.requests.some(({ headers }) => headers['x-amz-checksum-sha256'] !== undefined));
  });

  test('leaves nothing when the source changed meanwhile', async () => {
    for (const trouble of [
      { kind: 'grows' },
      { kind: 'vanishes' },
      { kind: 'shrinks', atByte: 12 * MIB },
    ] as const) {
      await using setup = await doubleSetup();
      await faultOf(send(setup.session, large({ trouble }), 'a.bin'), 'changed', 'vanished');
      assert.equal(setup.double.store.objects.size, 0);
      assert.equal(setup.double.store.uploads.size, 0, 'the upload was aborted');
    }
  });

  test('never has more parts than S3 takes', () => {
    assert.equal(partBytesFor(SIZE, 8 * MIB), 8 * MIB);
    assert.equal(partBytesFor(78 * 1024 * MIB, 8 * MIB), 8 * MIB);
    for (const sizeBytes of [79 * 1024 * MIB, 5 * 1024 ** 2 * MIB, 50 * 1024 ** 2 * MIB]) {
      const partBytes = partBytesFor(sizeBytes, 8 * MIB);
      assert.ok(sizeBytes / partBytes <= 10_000, `${sizeBytes}`);
      assert.equal(partBytes % MIB, 0);
      assert.ok(sizeBytes / partBytes > 8_000, 'and not many fewer');
    }
  });
});

describe('trouble in the middle of an upload', () => {
  test('is survived when it is brief: a 500, a 503, a cut connection, each in another part', async () => {
    await using setup = await doubleSetup();
    setup.double.fail('UploadPart', { refuse: broken });
    setup.double.fail('UploadPart', { refuse: tired }, { skip: 1 });
    setup.double.fail('UploadPart', { cutAfterBytes: MIB }, { skip: 2 });
    setup.double.fail('CompleteMultipartUpload', { refuse: broken });
    const source = large();
    await send(setup.session, source, 'a.bin');
    assertWhole(setup, 'a.bin', source.sha256);
    assert.equal(setup.session.broken, undefined);
  });

  const troubles = {
    InternalError: { refuse: broken },
    SLOW_DOWN: { refuse: tired },
    ECONNRESET: { cutAfterBytes: MIB },
  } as const;
  for (const [code, trouble] of Object.entries(troubles)) {
    test(`is the endpoint's when it lasts, and the next attempt sends what is missing: ${code}`, async () => {
      await using setup = await doubleSetup();
      setup.double.fail('UploadPart', trouble, { skip: 2, times: 100 });
      const checkpoints = new Checkpoints();
      const first = large();
      const fault = await faultOf(
        send(setup.session, first, 'a.bin', { checkpoint: checkpoints.keep }),
        'unreachable',
      );
      assert.match(fault.code ?? '', new RegExp(code === 'ECONNRESET' ? 'ECONNRESET|EPIPE' : code));
      assert.equal(
        setup.session.broken !== undefined,
        code === 'ECONNRESET',
        'an answer is no broken connection',
      );
      assert.equal(setup.double.store.objects.size, 0);
      assert.equal(setup.double.store.uploads.size, 1);
      assert.ok(Buffer.byteLength(checkpoints.last ?? '') < 1000);
      assert.ok(new Set(checkpoints.all).size === checkpoints.all.length, 'each note tells of progress');

      await using next = await doubleSetupAgain(setup);
      const had = setup.double.store.uploads.values().next().value?.parts.size ?? 0;
      assert.ok(had >= 2);
      const before = partsSent(setup);
      const source = large();
      const receipt = await send(next.session, source, 'a.bin', {
        resume: checkpoints.last,
        verify: 'checksum',
      });
      assert.equal(receipt.sha256, source.sha256, 'of the whole file, though only a part was sent');
      assert.equal(receipt.verified, 'checksum');
      assertWhole(setup, 'a.bin', source.sha256);
      assert.equal(partsSent(setup) - before, 5 - had);
    });
  }

  test('costs a part that arrived damaged nothing but a new try', async () => {
    await using setup = await doubleSetup();
    setup.double.fail('UploadPart', { damage: true }, { skip: 1 });
    const checkpoints = new Checkpoints();
    const fault = await faultOf(
      send(setup.session, large(), 'a.bin', { checkpoint: checkpoints.keep }),
      'transient',
    );
    assert.equal(fault.code, 'CHECKSUM_MISMATCH');
    const source = large();
    await send(setup.session, source, 'a.bin', { resume: checkpoints.last });
    assertWhole(setup, 'a.bin', source.sha256);
  });

  test('may lie with whoever is asked to stop: the parts stay for the next attempt', async () => {
    await using setup = await doubleSetup();
    const stop = new AbortController();
    const checkpoints = new Checkpoints();
    const source = large({
      beforeChunk: (at) => {
        if (at > 18 * MIB) stop.abort();
      },
      delayMs: 2,
    });
    const sending = send(setup.session, source, 'a.bin', {
      signal: stop.signal,
      checkpoint: checkpoints.keep,
    });
    await faultOf(sending, 'aborted');
    assert.equal(source.openNow, 0);
    assert.equal(setup.double.store.uploads.size, 1);
    await setup.session.discard('a.bin', '0'.repeat(16), checkpoints.last, calm);
    assert.equal(setup.double.store.uploads.size, 0);
  });
});

describe('going on with an upload', () => {
  /** An upload that stopped after some parts, and its note. */
  async function interrupted(setup: DoubleSetup, more: Partial<GeneratedOptions> = {}): Promise<string> {
    const checkpoints = new Checkpoints();
    const trouble = { kind: 'fails', atByte: 16 * MIB } as const;
    const source = large({ trouble, ...more });
    await faultOf(send(setup.session, source, 'a.bin', { checkpoint: checkpoints.keep }), 'transient');
    assert.ok((setup.double.store.uploads.values().next().value?.parts.size ?? 0) >= 1);
    return checkpoints.last ?? assert.fail();
  }

  test('trusts no part that is not the same as the source', async () => {
    for (const as of ['aws', 'other'] as const) {
      await using setup = await doubleSetup({ as });
      const resume = await interrupted(setup);
      const [upload] = setup.double.store.uploads.values();
      assert.ok(upload);
      const sha256 = as === 'aws' ? Buffer.from(sha256Of('x'), 'hex').toString('base64') : undefined;
      setup.double.store.putPart(upload, 1, Buffer.alloc(5 * MIB), sha256);
      const source = large();
      await send(setup.session, source, 'a.bin', { resume, verify: 'checksum' });
      assertWhole(setup, 'a.bin', source.sha256);
    }
  });

  test('begins anew for another version, and aborts what is there of the old', async () => {
    await using setup = await doubleSetup();
    const resume = await interrupted(setup);
    const source = large({ seed: 'newer', mtimeMs: 1_710_000_000_000 });
    await send(setup.session, source, 'a.bin', { resume });
    assertWhole(setup, 'a.bin', source.sha256);
  });

  test('begins anew when the upload is gone', async () => {
    await using setup = await doubleSetup();
    const resume = await interrupted(setup);
    setup.double.store.uploads.clear();
    const source = large();
    await send(setup.session, source, 'a.bin', { resume });
    assertWhole(setup, 'a.bin', source.sha256);
  });

  test('begins anew when S3 cannot put its parts together', async () => {
    await using setup = await doubleSetup();
    const refuse = new Refusal(400, 'InvalidPart', 'One or more of the specified parts could not be found.');
    setup.double.fail('CompleteMultipartUpload', { refuse });
    const checkpoints = new Checkpoints();
    await faultOf(send(setup.session, large(), 'a.bin', { checkpoint: checkpoints.keep }), 'transient');
    assert.equal(setup.double.store.uploads.size, 0);
    const parts = partsSent(setup);
    await send(setup.session, large(), 'a.bin', { resume: checkpoints.last });
    assert.equal(partsSent(setup), 2 * parts);
    assertWhole(setup, 'a.bin', large().sha256);
  });

  test('begins anew where it may not list the parts', async () => {
    await using setup = await doubleSetup();
    const resume = await interrupted(setup);
    setup.double.denied.add('s3:ListMultipartUploadParts');
    const source = large();
    await send(setup.session, source, 'a.bin', { resume });
    assertWhole(setup, 'a.bin', source.sha256);
  });

  test('takes no notice of a note that it does not know', async () => {
    await using setup = await doubleSetup();
    for (const resume of ['', '{}', '{"s3":2}', 'not JSON', '{"sftp":1,"contiguous":5}']) {
      const source = large({ seed: resume });
      await send(setup.session, source, 'a.bin', { resume });
      assertWhole(setup, 'a.bin', source.sha256);
      await setup.session.discard('a.bin', '0'.repeat(16), resume, calm);
    }
  });

  test('finds an upload whose id was never written down, and aborts it', async () => {
    await using setup = await doubleSetup();
    const checkpoints = new Checkpoints();
    const dies = async (note: string): Promise<void> => {
      await checkpoints.keep(note);
      if (note.includes('uploadId')) throw new Error('the process died here');
    };
    await faultOf(send(setup.session, large(), 'a.bin', { checkpoint: dies }), 'transient');
    const [intent] = checkpoints.all;
    assert.equal(setup.double.store.uploads.size, 1);

    await using next = await doubleSetupAgain(setup);
    const source = large();
    await send(next.session, source, 'a.bin', { resume: intent });
    assertWhole(setup, 'a.bin', source.sha256);
  });

  test('leaves uploads alone that may be somebody else’s', async () => {
    await using setup = await doubleSetup();
    const checkpoints = new Checkpoints();
    setup.double.fail('CreateMultipartUpload', { refuse: tired }, { times: 9 });
    await faultOf(send(setup.session, large(), 'a.bin', { checkpoint: checkpoints.keep }), 'unreachable');
    const start = (key: string, startedMs: number) =>
      setup.double.store.start({ key, startedMs, algorithm: undefined, headers: {} });
    start('a.bin.other', Date.now());
    start('a.bin', Date.now() - 3_600_000);
    await setup.session.discard('a.bin', '0'.repeat(16), checkpoints.last, calm);
    assert.equal(setup.double.store.uploads.size, 2, 'another key, another time');
    start('a.bin', Date.now());
    start('a.bin', Date.now());
    await setup.session.discard('a.bin', '0'.repeat(16), checkpoints.last, calm);
    assert.equal(setup.double.store.uploads.size, 4, 'nobody knows which of two it is');
  });

  test('says so once where it may not abort', async () => {
    await using setup = await doubleSetup();
    const resume = await interrupted(setup);
    setup.double.denied.add('s3:AbortMultipartUpload');
    for (const _try of [1, 2]) await setup.session.discard('a.bin', '0'.repeat(16), resume, calm);
    assert.equal(setup.warnings.length, 1);
    assert.match(setup.warnings[0] ?? '', /s3:AbortMultipartUpload/);
  });
});

describe('the end of an upload', () => {
  test('is recognised when its answer was lost', async () => {
    for (const as of ['aws', 'other'] as const) {
      for (const conflict of ['replace', 'fail'] as const) {
        await using setup = await doubleSetup({ as });
        setup.double.fail('CompleteMultipartUpload', { loseAnswer: true });
        const source = large();
        const receipt = await send(setup.session, source, 'a.bin', { conflict });
        assert.equal(receipt.remotePath, 'a.bin');
        assertWhole(setup, 'a.bin', source.sha256);
      }
    }
  });

  test('is recognised by the next attempt when its answer never came, and nothing is sent twice', async () => {
    for (const as of ['aws', 'other'] as const) {
      await using setup = await doubleSetup({ as });
      setup.double.fail('CompleteMultipartUpload', { loseAnswer: true });
      setup.double.fail('CompleteMultipartUpload', { cutAfterBytes: 0 }, { times: 9 });
      const checkpoints = new Checkpoints();
      const keep = { checkpoint: checkpoints.keep };
      await faultOf(send(setup.session, large(), 'a.bin', keep), 'unreachable');
      const parts = partsSent(setup);
      await using again = await doubleSetupAgain(setup);
      const receipt = await send(again.session, large(), 'a.bin', { resume: checkpoints.last });
      assert.equal(receipt.sha256, large().sha256);
      assert.equal(receipt.verified, as === 'aws' ? 'checksum' : 'size');
      assert.equal(partsSent(setup), parts);
      assertWhole(setup, 'a.bin', large().sha256);
    }
  });

  test('is not taken for done when something else lies there, or the upload is still under way', async () => {
    await using setup = await doubleSetup();
    setup.double.fail('CompleteMultipartUpload', { cutAfterBytes: 0 }, { times: 9 });
    const checkpoints = new Checkpoints();
    await faultOf(send(setup.session, large(), 'a.bin', { checkpoint: checkpoints.keep }), 'unreachable');
    const parts = partsSent(setup);
    occupy(setup);
    await using again = await doubleSetupAgain(setup);
    await send(again.session, large(), 'a.bin', { resume: checkpoints.last });
    assert.equal(partsSent(setup), parts);
    assertWhole(setup, 'a.bin', large().sha256);
  });

  test('does not replace what has taken the name meanwhile', async () => {
    for (const as of ['aws', 'other'] as const) {
      for (const [conflict, kind] of [
        ['fail', 'permanent'],
        ['skip', 'skipped'],
      ] as const) {
        await using setup = await doubleSetup({ as });
        const source = large({ beforeChunk: (at) => (at > 0 ? occupy(setup) : undefined) });
        await faultOf(send(setup.session, source, 'a.bin', { conflict }), kind);
        assert.equal(setup.double.store.get('a.bin').body.toString(), 'other');
        assert.equal(setup.double.store.uploads.size, 0);
      }
      await using setup = await doubleSetup({ as });
      const source = large({ beforeChunk: (at) => (at > 0 ? occupy(setup) : undefined) });
      const receipt = await send(setup.session, source, 'a.bin', { conflict: 'rename' });
      assert.equal(receipt.remotePath, 'a (1).bin');
      assertWhole(setup, 'a (1).bin', source.sha256);
      assert.equal(setup.double.store.get('a.bin').body.toString(), 'other');
    }
  });

  test('is asked for again when another conditional write was under way', async () => {
    await using setup = await doubleSetup();
    const conflict = new Refusal(
      409,
      'ConditionalRequestConflict',
      'A conflicting conditional operation is under way',
    );
    setup.double.fail('CompleteMultipartUpload', { refuse: conflict }, { times: 2 });
    const source = large();
    await send(setup.session, source, 'a.bin', { conflict: 'fail' });
    assertWhole(setup, 'a.bin', source.sha256);
  });

  test('knows its own content under the name, and sends nothing', async () => {
    await using setup = await doubleSetup();
    await send(setup.session, large(), 'a.bin');
    const before = partsSent(setup);
    const again = await send(setup.session, large(), 'a.bin', { conflict: 'fail' });
    assert.equal(again.alreadyThere, true);
    assert.equal(again.sha256, large().sha256);
    assert.equal(partsSent(setup), before);
  });

  function occupy(setup: DoubleSetup): void {
    const object = { body: Buffer.from('other'), checksums: {}, headers: {}, modifiedMs: Date.now() };
    setup.double.store.put('a.bin', object);
  }
});

/** A new session with the same double, as after a restart; its troubles are over. */
async function doubleSetupAgain(setup: DoubleSetup) {
  setup.double.recover();
  const session = await setup.again();
  return { session, [Symbol.asyncDispose]: async () => undefined };
}
