/** Staged in a real S3 server, which the double of the Transfer API takes the files from. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { generatedSource } from '../../support/source.ts';
import { startPartner } from './kit.ts';
import { Sending } from './sending.ts';

const SIZES = [0, 1, 65_537, 20_000_000];

test('files of all sizes arrive whole, and nothing is left in the bucket', async () => {
  await using partner = await startPartner({ storage: 'radosgw' });
  const { server, outside, bucket } = partner;
  await mkdir(join(server.folder, 'inbox'));
  const endpoint = partner.endpoint();
  const sources = SIZES.map((sizeBytes) => generatedSource({ sizeBytes, seed: `${sizeBytes}` }));
  const receipts = await Promise.all(
    sources.map((source, n) =>
      new Sending(`${server.folder}/inbox/file-${n}`, { token: `${n}`.padStart(16, '0') }, source).toTheEnd(
        endpoint,
      ),
    ),
  );
  for (const [n, { sha256, version }] of sources.entries()) {
    assert.equal(await outside.sha256(`inbox/file-${n}`), sha256);
    assert.deepEqual([receipts[n]?.sizeBytes, receipts[n]?.sha256], [version.sizeBytes, sha256]);
  }
  assert.deepEqual(await bucket.tree(), []);
});
