/** The policy in the README is enough for everything, and what it says about each permission is so. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { SendOptions } from '../../../src/endpoints/endpoint.ts';
import { faultOf, listed, readAll, versionOf } from '../../contract/endpoint/kit.ts';
import { IAM_ACTIONS } from '../../support/s3-double/operations.ts';
import { generatedSource } from '../../support/source.ts';
import { Checkpoints, calm, type DoubleSetup, doubleSetup, MIB, send } from './double-kit.ts';
import { awsUrl, s3 } from './kit.ts';

/** All that may be done by the policy in the README's section on S3. */
async function actionsOfReadme(): Promise<readonly string[]> {
  const readme = await readFile(join(import.meta.dirname, '../../../README.md'), 'utf8');
  const block = /<!-- policy: test\/endpoints\/s3\/policy\.test\.ts[\s\S]*?```json\n([\s\S]*?)```/.exec(
    readme,
  )?.[1];
  const policy: { readonly Statement: readonly { readonly Action: readonly string[] }[] } = JSON.parse(
    block ?? assert.fail('the README holds the policy'),
  );
  return policy.Statement.flatMap((statement) => statement.Action);
}

/** The double, where nothing but that is allowed. */
async function allowing(actions: readonly string[]): Promise<DoubleSetup> {
  const setup = await doubleSetup();
  for (const action of IAM_ACTIONS) if (!actions.includes(action)) setup.double.denied.add(action);
  return setup;
}

/** One file in one request, and one in parts that is cut and then gone on with. */
async function bring(setup: DoubleSetup, more: Partial<SendOptions> = {}): Promise<void> {
  const session = await setup.again();
  await send(session, generatedSource({ sizeBytes: 5_000 }), 'in/small', more);
  const checkpoints = new Checkpoints();
  const cut = generatedSource({ sizeBytes: 22 * MIB, trouble: { kind: 'fails', atByte: 16 * MIB } });
  await faultOf(send(session, cut, 'in/large', { ...more, checkpoint: checkpoints.keep }), 'transient');
  const sentBefore = setup.asked().filter((operation) => operation === 'UploadPart').length;
  const source = generatedSource({ sizeBytes: 22 * MIB });
  await send(session, source, 'in/large', { ...more, resume: checkpoints.last });
  const sent = setup.asked().filter((operation) => operation === 'UploadPart').length - sentBefore;
  assert.ok(sent < 5, `${sent} of 5 parts were sent again`);
}

describe('the policy in the README', { timeout: 300_000 }, () => {
  test('is enough to bring files, with every policy for conflicts, and to take them out again', async () => {
    await using setup = await allowing(await actionsOfReadme());
    for (const conflict of ['replace', 'skip', 'fail', 'rename'] as const) {
      setup.double.store.objects.clear();
      await bring(setup, { conflict, verify: 'checksum' });
    }
    const session = await setup.again();
    assert.equal((await listed(session, 'in')).size, 2);
    const version = await versionOf(session, 'in/small');
    assert.equal((await readAll(session.source('in/small', version))).length, 5_000);
    await session.archive('in/small', version, 'done/small', calm);
    await session.remove('in/large', await versionOf(session, 'in/large'), calm);
    assert.deepEqual([...setup.double.store.objects.keys()], ['done/small']);
    assert.deepEqual(setup.warnings, []);
  });

  test('lets a check go through without a warning', async () => {
    await using setup = await allowing(await actionsOfReadme());
    const { bucket, region } = setup.double;
    const endpoint = s3({ bucket, region, endpointUrl: awsUrl(setup.double) });
    for await (const { step, ok, warning, saw } of endpoint.probe('/in', calm)) {
      assert.ok(ok && warning !== true, `${step}: ${saw}`);
    }
    assert.equal(setup.double.store.objects.size, 0);
  });

  test('holds nothing that is never asked for', async () => {
    const wanted = await actionsOfReadme();
    assert.deepEqual([...wanted].sort(), [...IAM_ACTIONS].sort());
  });
});

describe('a job that only brings files and replaces what is there', () => {
  const LEAST = ['s3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'];

  test('gets by with three permissions', async () => {
    await using setup = await allowing(LEAST);
    await bring(setup, { verify: 'checksum' });
    assert.equal(setup.double.store.objects.size, 2);
    assert.equal(setup.double.store.uploads.size, 0);
    assert.deepEqual(setup.warnings, []);
  });

  for (const missing of LEAST) {
    test(`but not without ${missing}`, async () => {
      await using setup = await allowing(LEAST.filter((action) => action !== missing));
      await assert.rejects(async () => {
        await bring(setup);
        const session = await setup.again();
        const checkpoints = new Checkpoints();
        const cut = generatedSource({ sizeBytes: 22 * MIB, trouble: { kind: 'fails', atByte: 16 * MIB } });
        await faultOf(send(session, cut, 'b', { checkpoint: checkpoints.keep }), 'transient');
        await session.discard('b', '0'.repeat(16), checkpoints.last, calm);
        assert.deepEqual(setup.warnings, []);
      });
    });
  }
});
