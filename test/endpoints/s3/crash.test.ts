import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { crash } from '../../support/crash.ts';
import { generatedSource } from '../../support/source.ts';
import { Checkpoints, MIB, never, send } from './double-kit.ts';
import {
  BUCKET,
  type BucketSite,
  bucketSite,
  openUploads,
  outsideOfBucket,
  s3,
  useCredentials,
} from './kit.ts';

const KILLS = 10;

let site: BucketSite;
before(async () => {
  site = await bucketSite();
});
after(() => site[Symbol.asyncDispose]());

test(`killed ${KILLS} times while files keep coming to a bucket, nothing is lost, torn or left behind`, async () => {
  const { client, server, env } = site;
  const outside = outsideOfBucket(client, BUCKET, 'data/inbox/');
  await crash(
    {
      endpoint: { type: 's3', bucket: BUCKET, prefix: 'data/', partSize: '5MiB', endpointUrl: server.url },
      path: '/inbox',
      largestBytes: 12_000_000, // in three parts
      env,
      names: () => outside.tree(),
      sha256: async (name) => (await outside.sha256(name)) ?? 'is not there',
    },
    KILLS,
  );
  const left = await openUploads(client, BUCKET);
  assert.deepEqual(left, [], 'uploads that were cut are gone on with, or aborted');
});

test('killed between the end of an upload and the ledger, it finds that file there', async () => {
  const { client, server } = site;
  useCredentials(server.user);
  await using session = await s3({ bucket: BUCKET, endpointUrl: server.url, partSize: '5MiB' }).connect(
    never,
  );
  const checkpoints = new Checkpoints();
  const large = () => generatedSource({ sizeBytes: 12 * MIB });
  await send(session, large(), 'again/a.bin', { checkpoint: checkpoints.keep });
  const resume = checkpoints.last;
  for (const conflict of ['replace', 'fail'] as const) {
    const uploads = new Checkpoints();
    const receipt = await send(session, large(), 'again/a.bin', {
      resume,
      conflict,
      checkpoint: uploads.keep,
    });
    assert.deepEqual(uploads.all, [], 'no upload is started again');
    assert.equal(receipt.sha256, large().sha256);
    assert.equal(receipt.alreadyThere === true, conflict === 'fail');
  }
  await session.discard('again/a.bin', '0'.repeat(16), resume, { signal: never });
  const outside = outsideOfBucket(client, BUCKET, 'again/');
  assert.deepEqual(await outside.tree(), ['a.bin']);
  assert.equal(await outside.sha256('a.bin'), large().sha256);
});
