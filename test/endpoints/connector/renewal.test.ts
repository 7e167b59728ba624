/** Credentials that somebody renews in ~/.aws while an endpoint is in use. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultOf } from '../../contract/endpoint/kit.ts';
import { temporaryFolder } from '../../support/files.ts';
import { calm, startPartner } from './kit.ts';

test('credentials that Transfer Family refuses are looked for again, and stop the endpoint where there are no others', async () => {
  await using partner = await startPartner();
  await using folder = await temporaryFolder('credentials');
  const file = join(folder.path, 'credentials');
  const id = process.env.AWS_ACCESS_KEY_ID ?? '';
  const secret = process.env.AWS_SECRET_ACCESS_KEY ?? '';
  const write = (given: string): Promise<void> =>
    writeFile(file, `[default]\naws_access_key_id = ${id}\naws_secret_access_key = ${given}\n`);
  delete process.env.AWS_ACCESS_KEY_ID;
  process.env.AWS_SHARED_CREDENTIALS_FILE = file;
  await write('the old one');
  const endpoint = partner.endpoint();
  const fault = await faultOf(endpoint.connect(calm.signal), 'rejected');
  assert.equal(fault.code, 'LOGIN_REFUSED');
  await write(secret);
  const calls = partner.api.calls.length;
  await using session = await endpoint.connect(calm.signal);
  assert.equal(session.broken, undefined);
  assert.deepEqual(
    partner.api.calls.slice(calls).map(({ action }) => action),
    ['DescribeConnector'],
  );
});
