/** The s3 endpoint that a connector stages its files through: looked for when the configuration is read. */

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Loaded } from '../../../src/config/config.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { formatProblem } from '../../../src/config/problems.ts';
import { kinds } from '../../../src/endpoints/index.ts';
import { temporaryFolder } from '../../support/files.ts';

const CONNECTOR = 'partner: { type: connector, connector: c-0123456789abcdef0, staging: bucket }\n';

async function load(endpoints: string): Promise<Loaded> {
  await using folder = await temporaryFolder('staging');
  const jobsFolder = join(folder.path, 'jobs');
  await mkdir(jobsFolder);
  await writeFile(join(jobsFolder, 'endpoints.yaml'), endpoints);
  return await loadConfig({ jobsFolder, home: folder.path, env: {}, kinds });
}

const said = async (endpoints: string): Promise<readonly string[]> =>
  (await load(endpoints)).problems.map((problem) =>
    formatProblem(problem).replace(/^.*endpoints\.yaml:/, ''),
  );

test('it must be there, and of type s3', async () => {
  assert.deepEqual(await said(`${CONNECTOR}buckte: { type: s3, bucket: some-bucket }\n`), [
    '1:70  partner: staging: there is no endpoint "bucket"; did you mean "buckte"?',
  ]);
  assert.deepEqual(await said(`${CONNECTOR}bucket: { type: local, path: /x }\n`), [
    '1:70  partner: staging: "bucket" is of type local; files are staged through an s3 endpoint, or in { bucket: NAME, prefix: FOLDER }',
  ]);
  assert.deepEqual(await said(`${CONNECTOR}bucket: { type: s3, bucket: some-bucket }\n`), []);
});

test('when it changes, the connector is made anew', async () => {
  const print = async (bucket: string): Promise<string | undefined> => {
    const { config } = await load(`${CONNECTOR}bucket: { type: s3, bucket: ${bucket} }\n`);
    return config.endpoints.get('partner')?.fingerprint;
  };
  assert.equal(await print('some-bucket'), await print('some-bucket'));
  assert.notEqual(await print('some-bucket'), await print('other-bucket'));
});
