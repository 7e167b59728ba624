/** `ferry check` of a bucket: what it does, what it sees, and what it warns of. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProbeStep } from '../../../src/endpoints/endpoint.ts';
import { Refusal } from '../../support/s3-double/refusal.ts';
import { type S3Double, startS3Double } from '../../support/s3-double.ts';
import { calm } from './double-kit.ts';
import { awsUrl, s3, useCredentials } from './kit.ts';

const STEPS = [
  'credentials',
  'bucket',
  'list',
  'write',
  'read',
  'checksum',
  'conditions',
  'multipart',
  'delete',
];

async function steps(
  double: S3Double,
  url: string,
  more: object = {},
  folder = '/in',
): Promise<readonly ProbeStep[]> {
  useCredentials(double.user);
  const endpoint = s3({ bucket: double.bucket, region: double.region, endpointUrl: url, ...more });
  const seen: ProbeStep[] = [];
  for await (const step of endpoint.probe(folder, calm)) seen.push(step);
  return seen;
}

const summary = (seen: readonly ProbeStep[]): readonly string[] =>
  seen.map(({ step, ok, warning }) => `${step}${ok ? '' : ' FAILED'}${warning === true ? ' warns' : ''}`);

describe('checking a bucket', () => {
  test('tries everything once and leaves nothing', async () => {
    await using double = await startS3Double();
    const seen = await steps(double, awsUrl(double), { prefix: 'data' });
    assert.deepEqual(summary(seen), STEPS);
    const saw = Object.fromEntries(seen.map((step) => [step.step, step.saw]));
    assert.equal(saw.credentials, 'access key AKDO…UBLE from the environment');
    assert.match(saw.bucket ?? '', /^double-bucket in eu-central-1 at s3\.eu-central-1\.amazonaws\.com$/);
    assert.match(saw.write ?? '', /S3 has verified their SHA-256/);
    assert.match(saw.checksum ?? '', /refused \(XAmzContentSHA256Mismatch\)/);
    assert.equal(double.store.objects.size, 0);
    assert.equal(double.store.uploads.size, 0);
    const puts = double.requests.filter(({ operation }) => operation === 'PutObject');
    assert.ok(puts.every(({ key }) => key.startsWith('data/in/.ferry-')));
    for (const { saw: text, advice } of seen)
      assert.ok(!`${text}${advice}`.includes(double.user.secretAccessKey));
  });

  test('warns of what only some jobs need', async () => {
    const cases = {
      's3:ListBucket': ['list'],
      's3:GetObject': ['read'],
      's3:DeleteObject': ['delete'],
      's3:AbortMultipartUpload': ['multipart'],
      's3:ListMultipartUploadParts': ['multipart'],
    };
    for (const [action, warned] of Object.entries(cases)) {
      await using double = await startS3Double();
      double.denied.add(action);
      const seen = await steps(double, awsUrl(double));
      assert.deepEqual(
        summary(seen),
        STEPS.map((step) => (warned.includes(step) ? `${step} warns` : step)),
        action,
      );
      assert.match(seen.find((step) => step.warning)?.advice ?? '', new RegExp(action));
    }
  });

  test('stops at what every job needs', async () => {
    await using double = await startS3Double();
    double.denied.add('s3:PutObject');
    const seen = await steps(double, awsUrl(double));
    assert.deepEqual(summary(seen), ['credentials', 'bucket', 'list', 'write FAILED']);
    assert.match(seen.at(-1)?.advice ?? '', /Allow s3:PutObject/);
  });

  test('names the right region, and what is missing of credentials', async () => {
    await using double = await startS3Double();
    const elsewhere = await steps(double, awsUrl(double), { region: 'us-east-1' });
    assert.deepEqual(summary(elsewhere), ['credentials', 'bucket FAILED']);
    assert.match(elsewhere.at(-1)?.advice ?? '', /region: eu-central-1/);
    const nobody = await steps(double, awsUrl(double), { profile: 'nobody' });
    assert.deepEqual(summary(nobody), ['credentials FAILED']);
    assert.match(nobody.at(-1)?.saw ?? '', /profile nobody/);
  });

  test('tells how far the clock is off', async () => {
    await using double = await startS3Double();
    double.clockMs = 30 * 60_000;
    const seen = await steps(double, awsUrl(double));
    assert.deepEqual(
      summary(seen),
      STEPS.map((step) => (step === 'bucket' ? 'bucket warns' : step)),
    );
    assert.match(seen[1]?.saw ?? '', /clock of this host is 30 minutes behind/);
  });

  test('finds out what other servers do not do', async () => {
    await using double = await startS3Double();
    // The second put is that of a wrong checksum, the third the conditional one.
    double.fail('PutObject', { careless: true }, { times: 2, skip: 1 });
    const seen = await steps(double, double.url);
    assert.deepEqual(
      summary(seen),
      STEPS.map((step) => (step === 'checksum' || step === 'conditions' ? `${step} warns` : step)),
    );
    assert.match(seen.find(({ step }) => step === 'checksum')?.advice ?? '', /verify: checksum/);
    assert.match(seen.find(({ step }) => step === 'conditions')?.saw ?? '', /not heeded/);

    double.fail('PutObject', { refuse: new Refusal(501, 'NotImplemented', 'not implemented') }, { skip: 2 });
    const refusing = await steps(double, double.url);
    assert.match(refusing.find(({ step }) => step === 'conditions')?.saw ?? '', /are refused/);
  });

  test('notices a server that stores more than the file', async () => {
    await using double = await startS3Double();
    double.fail('PutObject', { store: (body) => Buffer.concat([body, Buffer.alloc(80)]) });
    const seen = await steps(double, double.url);
    assert.deepEqual(summary(seen).at(-1), 'read FAILED');
    assert.match(seen.at(-1)?.advice ?? '', /checksums: when_required/);
  });
});
