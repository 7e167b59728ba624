/** The promise behind everything, through a connector. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { crash } from '../../support/crash.ts';
import { filesOf, sha256OfFile } from '../../support/files.ts';
import { startPartner } from './kit.ts';

const KILLS = 8;

test(`killed ${KILLS} times while files keep coming, a connector loses, tears and leaves nothing`, {
  timeout: 600_000,
}, async () => {
  await using partner = await startPartner();
  const { api, server } = partner;
  const path = join(server.folder, 'inbox');
  await mkdir(path);
  await crash(
    {
      endpoint: {
        type: 'connector',
        connector: api.connectorId,
        staging: { bucket: partner.bucketName },
        confirm: 'result',
        poll: '50ms',
        unsure: '3s',
      },
      path,
      env: {
        AWS_ENDPOINT_URL_TRANSFER: api.url,
        AWS_ENDPOINT_URL_S3: partner.s3Url,
        AWS_REGION: api.region,
        AWS_ACCESS_KEY_ID: api.user.accessKeyId,
        AWS_SECRET_ACCESS_KEY: api.user.secretAccessKey,
        AWS_EC2_METADATA_DISABLED: 'true',
      },
      names: () => filesOf(path),
      sha256: (name) => sha256OfFile(join(path, name)),
    },
    KILLS,
  );
});
