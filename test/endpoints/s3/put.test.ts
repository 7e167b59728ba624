/** Files that go in one request: what is sent along, what proves that it arrived, and names that are taken. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { faultOf } from '../../contract/endpoint/kit.ts';
import { sha256Of } from '../../support/files.ts';
import { Refusal } from '../../support/s3-double/refusal.ts';
import { generatedSource } from '../../support/source.ts';
import { doubleSetup, send } from './double-kit.ts';

const small = (seed = 'seed') => generatedSource({ sizeBytes: 5000, seed, mtimeMs: 1_700_000_000_250 });

describe('a small file into S3', () => {
  test('goes in one request, with a checksum that S3 verifies, its time and its SHA-256', async () => {
    await using setup = await doubleSetup();
    const source = small();
    const receipt = await send(setup.session, source, '/in/a b.txt');
    assert.deepEqual(setup.asked(), ['PutObject']);
    const { headers } = setup.double.requests.at(-1) ?? assert.fail();
    assert.equal(headers['x-amz-content-sha256'], source.sha256, 'the signature covers the content');
    assert.equal(headers['x-amz-checksum-sha256'], Buffer.from(source.sha256, 'hex').toString('base64'));
    const stored = setup.double.store.get('in/a b.txt');
    assert.equal(sha256Of(stored.body), source.sha256);
    assert.equal(stored.headers['x-amz-meta-sha256'], source.sha256);
    assert.equal(stored.headers['x-amz-meta-mtime'], '1700000000.25');
    assert.deepEqual(receipt, {
      remotePath: '/in/a b.txt',
      sizeBytes: 5000,
      sha256: source.sha256,
      verified: 'checksum',
      reference: stored.etag.slice(1, -1),
    });
  });

  test('is stored as the settings say, below the prefix', async () => {
    const entry = { prefix: '/daily', storageClass: 'STANDARD_IA', sseKmsKeyId: 'alias/files' };
    await using setup = await doubleSetup({ entry });
    setup.double.store.versions = true;
    setup.double.store.kms = true;
    const receipt = await send(setup.session, small(), 'a.txt', { preserveMtime: false });
    const { headers, versionId } = setup.double.store.get('daily/a.txt');
    assert.equal(headers['x-amz-storage-class'], 'STANDARD_IA');
    assert.equal(headers['x-amz-server-side-encryption'], 'aws:kms');
    assert.equal(headers['x-amz-server-side-encryption-aws-kms-key-id'], 'alias/files');
    assert.equal(headers['x-amz-meta-mtime'], undefined);
    assert.equal(receipt.reference, versionId, 'a version names it best');
    assert.equal(
      receipt.verified,
      'checksum',
      'with KMS the ETag shows nothing, but S3 has verified the checksum',
    );
    assert.deepEqual(setup.asked(), ['PutObject']);
  });

  test('carries no checksum header to other servers, and their ETag proves it', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    const receipt = await send(setup.session, small(), 'a.txt', { verify: 'checksum' });
    const { headers } = setup.double.requests.at(-1) ?? assert.fail();
    assert.equal(headers['x-amz-checksum-sha256'], undefined);
    assert.equal(headers['x-amz-content-sha256'], small().sha256);
    assert.equal(headers['x-amz-sdk-checksum-algorithm'], undefined);
    assert.equal(headers['content-length'], '5000', 'as it is, and not in chunks');
    assert.equal(receipt.verified, 'checksum');
    assert.deepEqual(setup.asked(), ['PutObject']);
  });

  test('carries what the settings say, whatever the server is', async () => {
    await using other = await doubleSetup({ as: 'other', entry: { checksums: 'when_supported' } });
    await send(other.session, small(), 'a.txt');
    assert.notEqual(other.double.requests.at(-1)?.headers['x-amz-checksum-sha256'], undefined);
    await using aws = await doubleSetup({ entry: { checksums: 'when_required' } });
    await send(aws.session, small(), 'a.txt');
    assert.equal(aws.double.requests.at(-1)?.headers['x-amz-checksum-sha256'], undefined);
  });

  test('is looked at where the ETag proves nothing, and read back where a checksum was asked for', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    setup.double.store.kms = true;
    assert.equal((await send(setup.session, small(), 'a.txt')).verified, 'size');
    assert.deepEqual(setup.asked(), ['PutObject', 'HeadObject']);
    assert.equal((await send(setup.session, small(), 'b.txt', { verify: 'checksum' })).verified, 'checksum');
    assert.deepEqual(setup.asked().slice(2), ['PutObject', 'HeadObject', 'GetObject']);
  });

  test('is sent again when somebody takes it away, or replaces it, before it was read back', async () => {
    for (const refusal of [
      new Refusal(404, 'NoSuchKey', 'The specified key does not exist.'),
      new Refusal(412, 'PreconditionFailed', 'At least one of the pre-conditions …'),
    ]) {
      await using setup = await doubleSetup({ as: 'other' });
      setup.double.store.kms = true;
      setup.double.fail('GetObject', { refuse: refusal });
      await faultOf(send(setup.session, small(), 'a.txt', { verify: 'checksum' }), 'transient');
    }
  });

  test('is refused when it changes on its way', async () => {
    for (const as of ['aws', 'other'] as const) {
      await using setup = await doubleSetup({ as });
      setup.double.fail('PutObject', { damage: true }, { times: 2 });
      const fault = await faultOf(send(setup.session, small(), 'a.txt'), 'transient');
      assert.equal(fault.code, 'CHECKSUM_MISMATCH');
      assert.equal(setup.double.store.objects.size, 0);
      await send(setup.session, small(), 'a.txt');
    }
  });

  test('does not count as delivered when the server has stored something else, which is removed', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    const trailer = (body: Buffer): Buffer => Buffer.concat([body, Buffer.alloc(80)]);
    setup.double.fail('PutObject', { store: trailer });
    const longer = await faultOf(send(setup.session, small(), 'a.txt'), 'transient');
    assert.equal(longer.code, 'SIZE_MISMATCH');
    assert.match(longer.message, /5080 of 5000 bytes/);
    assert.match(longer.advice ?? '', /checksums: when_required/);
    assert.equal(setup.double.store.objects.size, 0);

    setup.double.fail('PutObject', { store: (body) => Buffer.alloc(body.length) });
    const other = await faultOf(send(setup.session, small(), 'a.txt', { verify: 'checksum' }), 'transient');
    assert.match(other.message, /other content/);
    assert.equal(setup.double.store.objects.size, 0);
  });

  test('is tried again at once after a single 500, a single 503 and a single cut', async () => {
    await using setup = await doubleSetup();
    setup.double.fail('PutObject', {
      refuse: new Refusal(500, 'InternalError', 'We encountered an internal error.'),
    });
    await send(setup.session, small(), 'a.txt');
    setup.double.fail('PutObject', {
      refuse: new Refusal(503, 'SlowDown', 'Please reduce your request rate.'),
    });
    await send(setup.session, small(), 'b.txt');
    setup.double.fail('PutObject', { cutAfterBytes: 100 });
    await send(setup.session, small(), 'c.txt');
    assert.equal(setup.double.store.objects.size, 3);
    assert.equal(setup.session.broken, undefined);
  });
});

describe('a name that is taken', () => {
  test('is found out by S3 itself, without looking first', async () => {
    await using setup = await doubleSetup();
    await send(setup.session, small('old'), 'a.txt');
    const fault = await faultOf(
      send(setup.session, small('new'), 'a.txt', { conflict: 'fail' }),
      'permanent',
    );
    assert.equal(fault.code, 'EEXIST');
    assert.deepEqual(setup.asked(), ['PutObject', 'PutObject', 'HeadObject']);
    assert.equal(setup.double.requests.at(-2)?.headers['if-none-match'], '*');
    await faultOf(send(setup.session, small('new'), 'a.txt', { conflict: 'skip' }), 'skipped');
    const renamed = await send(setup.session, small('new'), 'a.txt', { conflict: 'rename' });
    assert.equal(renamed.remotePath, 'a (1).txt');
    assert.equal(sha256Of(setup.double.store.get('a.txt').body), small('old').sha256);
  });

  test('is looked at first where the server may not heed the condition', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    await send(setup.session, small('old'), 'a.txt');
    await faultOf(send(setup.session, small('new'), 'a.txt', { conflict: 'fail' }), 'permanent');
    assert.equal(setup.asked().filter((operation) => operation === 'PutObject').length, 1);
  });

  test('is asked for again when another conditional write was under way', async () => {
    await using setup = await doubleSetup();
    const conflict = new Refusal(
      409,
      'ConditionalRequestConflict',
      'A conflicting conditional operation is under way',
    );
    setup.double.fail('PutObject', { refuse: conflict }, { times: 3 });
    await send(setup.session, small(), 'a.txt', { conflict: 'fail' });
    assert.deepEqual(setup.asked(), ['PutObject', 'PutObject', 'PutObject', 'PutObject']);
  });

  test('may be our own: the answer to the first try was lost', async () => {
    for (const conflict of ['fail', 'skip', 'rename'] as const) {
      await using setup = await doubleSetup();
      setup.double.fail('PutObject', { loseAnswer: true });
      const receipt = await send(setup.session, small(), 'a.txt', { conflict });
      assert.equal(receipt.remotePath, 'a.txt');
      assert.equal(receipt.verified, 'checksum');
      assert.deepEqual([...setup.double.store.objects.keys()], ['a.txt']);
    }
  });

  test('is told from our own content by the content, and not by what is said of it', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    setup.double.store.kms = true;
    const source = small();
    const lying = { 'x-amz-meta-sha256': source.sha256 };
    setup.double.store.put('a.txt', {
      body: Buffer.alloc(5000),
      checksums: {},
      headers: lying,
      modifiedMs: 0,
    });
    await faultOf(send(setup.session, source, 'a.txt', { conflict: 'fail' }), 'permanent');
    await send(setup.session, source, 'b.txt');
    const again = await send(setup.session, source, 'b.txt', { conflict: 'fail' });
    assert.equal(again.alreadyThere, true);
  });

  test('is looked for by name on servers that know no conditions, with one warning', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    const refusal = new Refusal(
      501,
      'NotImplemented',
      'A header you provided implies functionality that is not implemented',
    );
    setup.double.fail('PutObject', { refuse: refusal }, { times: 2 });
    await send(setup.session, small('one'), 'a.txt', { conflict: 'rename' });
    const second = await send(setup.session, small('two'), 'a.txt', { conflict: 'rename' });
    assert.equal(second.remotePath, 'a (1).txt');
    assert.equal(setup.warnings.length, 1);
    assert.match(setup.warnings[0] ?? '', /no conditional writes/);
  });

  test('gives way to no more than one of many who want it at once', async () => {
    for (const as of ['aws', 'other'] as const) {
      await using setup = await doubleSetup({ as });
      const sources = Array.from({ length: 12 }, (_, n) => small(`seed ${n}`));
      const receipts = await Promise.all(
        sources.map((source) => send(setup.session, source, 'a.txt', { conflict: 'rename' })),
      );
      assert.equal(new Set(receipts.map(({ remotePath }) => remotePath)).size, 12);
      const kept = [...setup.double.store.objects.values()].map(({ body }) => sha256Of(body)).sort();
      assert.deepEqual(kept, sources.map(({ sha256 }) => sha256).sort());
    }
  });
});
