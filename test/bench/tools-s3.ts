/** What sends a folder into a bucket of radosgw. */

import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ferry, type Tool } from './tools.ts';

/** At once: of Ferry, which is its default, and of rclone. */
const TRANSFERS = 32;

const FERRY_S3: Tool = ferry({
  name: 'ferry',
  endpoints: async ({ site }) => {
    const { url, bucket } = await site.s3();
    return { far: { type: 's3', bucket, endpointUrl: url, connections: TRANSFERS } };
  },
  env: async ({ site }) => (await site.s3()).env,
});

const rclone: Tool = {
  name: `rclone ${TRANSFERS}`,
  command: async ({ source, remote, site, scratch }) => {
    const { url, bucket, env } = await site.s3();
    const config = join(scratch, 'rclone.conf');
    const entries = { type: 's3', provider: 'Ceph', env_auth: true, endpoint: url, region: 'us-east-1' };
    const lines = Object.entries(entries).map(([key, value]) => `${key} = ${value}`);
    await writeFile(config, ['[far]', ...lines, ''].join('\n'));
    const target = `far:${bucket}/${remote}/${basename(source)}`;
    return {
      argv: ['rclone', '--config', config, 'copy', '--transfers', `${TRANSFERS}`, source, target],
      // A bundle of the user who measures would make it refuse to start.
      env: { ...process.env, ...env, AWS_CA_BUNDLE: undefined },
    };
  },
};

export const S3_TOOLS: readonly Tool[] = [FERRY_S3, rclone];
