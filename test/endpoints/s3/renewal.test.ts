/** Credentials that end while a session is at work. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { S3Session } from '../../../src/endpoints/s3/session.ts';
import { faultOf } from '../../contract/endpoint/kit.ts';
import { temporaryFolder } from '../../support/files.ts';
import { Refusal } from '../../support/s3-double/refusal.ts';
import { generatedSource } from '../../support/source.ts';
import { calm, type DoubleSetup, doubleSetup, MIB, send } from './double-kit.ts';

const small = () => generatedSource({ sizeBytes: 5000 });

interface FileSetup extends DoubleSetup {
  readonly session: S3Session;
  /** What a helper does every hour. */
  write(token: string): Promise<void>;
}

/** A session with the credentials of a file. */
async function fileSetup(token: string): Promise<FileSetup> {
  await using undo = new AsyncDisposableStack();
  const setup = undo.use(await doubleSetup());
  const file = join(undo.use(await temporaryFolder('credentials')).path, 'credentials');
  const { accessKeyId, secretAccessKey } = setup.double.user;
  const write = async (sessionToken: string): Promise<void> => {
    const lines = ['[default]', `aws_access_key_id = ${accessKeyId}`];
    lines.push(`aws_secret_access_key = ${secretAccessKey}`, `aws_session_token = ${sessionToken}`);
    await writeFile(file, `${lines.join('\n')}\n`);
  };
  await write(token);
  delete process.env.AWS_ACCESS_KEY_ID;
  process.env.AWS_SHARED_CREDENTIALS_FILE = file;
  const session = await setup.again();
  const owned = undo.move();
  return { ...setup, session, write, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe('credentials of a file that end', { timeout: 120_000 }, () => {
  test('are looked for again, by all that is under way', async () => {
    await using setup = await fileSetup('the first');
    await send(setup.session, small(), 'before');
    await setup.write('the second');
    setup.double.expiredToken = 'the first';
    const names = Array.from({ length: 20 }, (_, n) => `small ${n}`);
    const sends = names.map((name) => send(setup.session, small(), name));
    await Promise.all([...sends, send(setup.session, generatedSource({ sizeBytes: 12 * MIB }), 'large')]);
    assert.equal(setup.double.store.objects.size, 22);
    assert.equal(setup.double.store.uploads.size, 0);
  });

  test('stop the endpoint when there are no others', async () => {
    await using setup = await fileSetup('the first');
    setup.double.expiredToken = 'the first';
    const fault = await faultOf(send(setup.session, small(), 'a'), 'rejected');
    assert.equal(fault.code, 'CREDENTIALS_EXPIRED');
  });

  test('are named as what is wrong, and looked for again, where S3 refuses a HEAD without a word', async () => {
    await using setup = await fileSetup('the first');
    await send(setup.session, small(), 'a');
    setup.double.expiredToken = 'the first';
    const fault = await faultOf(setup.session.stat('a', calm), 'rejected');
    assert.equal(fault.code, 'CREDENTIALS_EXPIRED');
    await setup.write('the second');
    assert.equal((await setup.session.stat('a', calm))?.version.sizeBytes, 5000);
  });
});

test('a key that is deactivated meanwhile is not taken for one object’s lack of permission', async () => {
  await using setup = await doubleSetup();
  await send(setup.session, small(), 'a');
  const refuse = new Refusal(403, 'InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist.');
  for (const operation of ['HeadObject', 'ListObjectsV2'])
    setup.double.fail(operation, { refuse }, { times: 9 });
  const fault = await faultOf(setup.session.stat('a', calm), 'rejected');
  assert.equal(fault.code, 'LOGIN_REFUSED');
});
