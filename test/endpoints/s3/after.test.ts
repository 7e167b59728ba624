/** Removing and archiving objects: exactly the version that was meant, by conditions where S3 heeds them. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { archive } from '../../../src/endpoints/s3/after.ts';
import { faultOf, versionOf } from '../../contract/endpoint/kit.ts';
import { contentOf, sha256Of } from '../../support/files.ts';
import { Refusal } from '../../support/s3-double/refusal.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { generatedSource } from '../../support/source.ts';
import { calm, type DoubleSetup, doubleSetup, MIB, never, send } from './double-kit.ts';
import { BUCKET, openUploads, outsideOfBucket, plainClient, s3, useCredentials } from './kit.ts';

function put(setup: DoubleSetup, key: string, content: string, modifiedMs = Date.now()): void {
  const headers = { 'x-amz-meta-mtime': '1500000000' };
  setup.double.store.put(key, { body: Buffer.from(content), checksums: {}, headers, modifiedMs });
}

describe('removing an object of S3', () => {
  test('is conditional, so that what came in between stays', async () => {
    await using setup = await doubleSetup();
    put(setup, 'a.txt', 'one');
    const version = await versionOf(setup.session, 'a.txt');
    const refusal = new Refusal(412, 'PreconditionFailed', 'At least one of the pre-conditions …');
    setup.double.fail('DeleteObject', { refuse: refusal });
    await faultOf(setup.session.remove('a.txt', version, calm), 'changed');
    await setup.session.remove('a.txt', version, calm);
    assert.equal(setup.double.requests.at(-1)?.headers['if-match'], `"${version.tag}"`);
    assert.equal(setup.double.store.objects.size, 0);
  });

  test('is not asked for with a condition elsewhere, but looked at just before', async () => {
    await using setup = await doubleSetup({ as: 'other' });
    put(setup, 'a.txt', 'one');
    await setup.session.remove('a.txt', await versionOf(setup.session, 'a.txt'), calm);
    assert.equal(setup.double.requests.at(-1)?.headers['if-match'], undefined);
    assert.deepEqual(setup.asked().slice(-2), ['HeadObject', 'DeleteObject']);
  });
});

describe('archiving an object of S3', () => {
  test('takes its metadata along, and the storage class of the settings', async () => {
    await using setup = await doubleSetup({ entry: { storageClass: 'GLACIER_IR' } });
    put(setup, 'in/ä b+c.txt', 'one');
    const version = await versionOf(setup.session, 'in/ä b+c.txt');
    const went = await setup.session.archive('in/ä b+c.txt', version, 'out/ä b+c.txt', calm);
    assert.equal(went, 'out/ä b+c.txt');
    const { headers } = setup.double.store.get('out/ä b+c.txt');
    assert.equal(headers['x-amz-meta-mtime'], '1500000000');
    assert.equal(headers['x-amz-storage-class'], 'GLACIER_IR');
    assert.deepEqual([...setup.double.store.objects.keys()], ['out/ä b+c.txt']);
  });

  test('is finished by the next try when it ended before the removal', async () => {
    await using setup = await doubleSetup();
    put(setup, 'in/a.txt', 'one', Date.now() - 5000);
    const version = await versionOf(setup.session, 'in/a.txt');
    const refusal = new Refusal(503, 'SlowDown', 'Please reduce your request rate.');
    setup.double.fail('DeleteObject', { refuse: refusal }, { times: 3 });
    await faultOf(setup.session.archive('in/a.txt', version, 'out/a.txt', calm), 'unreachable');
    assert.equal(setup.double.store.objects.size, 2);
    assert.equal(await setup.session.archive('in/a.txt', version, 'out/a.txt', calm), 'out/a.txt');
    assert.deepEqual([...setup.double.store.objects.keys()], ['out/a.txt']);
  });

  for (const [what, kms, sizeBytes] of [
    ['came in parts', false, 12 * MIB],
    ['lies encrypted by KMS', true, 5000],
  ] as const) {
    test(`is finished by the next try also when it ${what}, so that its copy has another ETag`, async () => {
      await using setup = await doubleSetup();
      setup.double.store.kms = kms;
      await send(setup.session, generatedSource({ sizeBytes }), 'in/a');
      const version = await versionOf(setup.session, 'in/a');
      setup.double.denied.add('s3:DeleteObject');
      for (const _ of [1, 2])
        await faultOf(setup.session.archive('in/a', version, 'out/a', calm), 'permanent');
      assert.deepEqual([...setup.double.store.objects.keys()], ['in/a', 'out/a']);
      setup.double.denied.clear();
      assert.equal(await setup.session.archive('in/a', version, 'out/a', calm), 'out/a');
      assert.deepEqual([...setup.double.store.objects.keys()], ['out/a']);
    });
  }

  test('knows its copy when the answer was lost', async () => {
    await using setup = await doubleSetup();
    setup.double.store.kms = true;
    put(setup, 'in/a.txt', 'one');
    const version = await versionOf(setup.session, 'in/a.txt');
    setup.double.fail('CopyObject', { loseAnswer: true });
    assert.equal(await setup.session.archive('in/a.txt', version, 'out/a.txt', calm), 'out/a.txt');
    assert.deepEqual([...setup.double.store.objects.keys()], ['out/a.txt']);
  });

  test('keeps one that was archived before, even with the same content', async () => {
    await using setup = await doubleSetup();
    put(setup, 'out/a.txt', 'one', Date.now() - 60_000);
    put(setup, 'in/a.txt', 'one');
    const version = await versionOf(setup.session, 'in/a.txt');
    assert.equal(await setup.session.archive('in/a.txt', version, 'out/a.txt', calm), 'out/a (1).txt');
  });

  test('gives way when the name is taken at the last moment, and when the object is another by then', async () => {
    await using setup = await doubleSetup();
    put(setup, 'in/a.txt', 'one');
    const version = await versionOf(setup.session, 'in/a.txt');
    const refusal = new Refusal(412, 'PreconditionFailed', 'At least one of the pre-conditions …');
    setup.double.fail('CopyObject', { refuse: refusal });
    await faultOf(setup.session.archive('in/a.txt', version, 'out/a.txt', calm), 'changed');
    assert.equal(setup.double.requests.at(-2)?.headers['if-none-match'], '*');
    assert.equal(await setup.session.archive('in/a.txt', version, 'out/a.txt', calm), 'out/a.txt');
  });

  test('copies a large one in parts, and leaves no upload when that fails', async () => {
    await using server = await startS3Server();
    useCredentials(server.user);
    const client = plainClient(server.url, server.user);
    await client.createBucket({ Bucket: BUCKET });
    const outside = outsideOfBucket(client, BUCKET, '');
    const content = contentOf('large', 0, 12 * MIB + 5);
    await outside.write('in/a.bin', content, 1_500_000_000_000);
    await using session = await s3({ bucket: BUCKET, endpointUrl: server.url }).connect(never);
    const version = await versionOf(session, 'in/a.bin');
    const took = { ...version, tag: 'another' };
    await faultOf(archive(session.bucket, 'in/a.bin', took, 'out/a.bin', calm, 5 * MIB), 'changed');
    await archive(session.bucket, 'in/a.bin', version, 'out/a.bin', calm, 5 * MIB);
    assert.equal(await outside.sha256('out/a.bin'), sha256Of(content));
    assert.equal((await outside.stat('out/a.bin'))?.mtimeMs, 1_500_000_000_000);
    assert.deepEqual(await outside.tree(), ['out/a.bin']);
    assert.deepEqual(await openUploads(client, BUCKET), []);
    client.destroy();

    await using setup = await doubleSetup();
    put(setup, 'in/b.bin', 'x'.repeat(11 * MIB));
    const seen = await versionOf(setup.session, 'in/b.bin');
    const refusal = new Refusal(500, 'InternalError', 'We encountered an internal error.');
    setup.double.fail('UploadPartCopy', { refuse: refusal }, { skip: 1, times: 99 });
    const { bucket } = setup.session;
    await faultOf(archive(bucket, 'in/b.bin', seen, 'out/b.bin', calm, 5 * MIB), 'unreachable');
    assert.equal(setup.double.store.uploads.size, 0);
    assert.deepEqual([...setup.double.store.objects.keys()], ['in/b.bin']);
  });
});
