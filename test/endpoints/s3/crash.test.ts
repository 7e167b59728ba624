import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crash } from '../../support/crash.ts';
import { BUCKET, bucketSite, openUploads, outsideOfBucket } from './kit.ts';

const KILLS = 10;

test(`killed ${KILLS} times while files keep coming to a bucket, nothing is lost, torn or left behind`, async () => {
  await using site = await bucketSite();
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
  assert.deepEqual(
    await openUploads(client, BUCKET),
    [],
    'uploads that were cut are gone on with, or aborted',
  );
});
