/** Small files go without the SDK's layers once the session's listing has shown the way: the same requests, and the SDK deals with whatever goes wrong. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { faultOf } from '../../contract/endpoint/kit.ts';
import { Refusal } from '../../support/s3-double/refusal.ts';
import { generatedSource } from '../../support/source.ts';
import { until, within } from '../../support/until.ts';
import { type DoubleSetup, doubleSetup, MIB, send } from './double-kit.ts';

const small = (seed = 'seed') => generatedSource({ sizeBytes: 5000, seed, mtimeMs: 1_700_000_000_250 });

/** Of the request that came last: whether the SDK made it, and what of its headers matters to S3. */
function last(setup: DoubleSetup) {
  const { headers } = setup.double.requests.at(-1) ?? assert.fail();
  const matters = /^(x-amz-(?!date|user-agent)|if-|content-(type|length)|host)/;
  return {
    bySdk: headers['amz-sdk-invocation-id'] !== undefined,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => matters.test(name))),
  };
}

/** So that the SDK is asked. */
const BUSY = { refuse: new Refusal(503, 'SlowDown', 'Please reduce your request rate.') };

describe('a small file', () => {
  test('goes with the same headers as by the SDK, at AWS and elsewhere, whatever the settings are', async () => {
    const entries = [
      { as: 'aws' },
      { as: 'aws', entry: { prefix: 'in/', storageClass: 'STANDARD_IA', sseKmsKeyId: 'alias/files' } },
      { as: 'other' },
      { as: 'other', entry: { checksums: 'when_supported' } },
    ] as const;
    for (const options of entries) {
      for (const conflict of ['replace', 'fail'] as const) {
        await using setup = await doubleSetup(options);
        const receipts = [];
        const seen = [];
        setup.double.fail('PutObject', BUSY);
        for (const name of ['a.txt', 'b.txt']) {
          receipts.push(await send(setup.session, small(), name, { conflict, verify: 'checksum' }));
          seen.push(last(setup));
        }
        assert.deepEqual(
          seen.map(({ bySdk }) => bySdk),
          [true, false],
        );
        assert.deepEqual(seen[1]?.headers, seen[0]?.headers);
        const [first, second] = receipts;
        assert.deepEqual(second, { ...first, remotePath: 'b.txt' });
      }
    }
  });

  test('is signed well with a session token, and under every name', async () => {
    await using setup = await doubleSetup();
    process.env.AWS_SESSION_TOKEN = 'a token';
    try {
      const session = await setup.again();
      const names = ['a', 'ü b', "it's (1)!*.txt", 'x/y/~-_.', 'a+b&c=d?e#f%20', '日本.txt'];
      for (const name of names) {
        await send(session, small(name), name);
        assert.ok(setup.double.store.objects.has(name), name);
        assert.equal(last(setup).headers['x-amz-security-token'], 'a token');
        assert.ok(!last(setup).bySdk);
      }
    } finally {
      delete process.env.AWS_SESSION_TOKEN;
    }
  });

  test('goes by the SDK first where nobody may list the bucket', async () => {
    await using setup = await doubleSetup();
    setup.double.denied.add('s3:ListBucket');
    const session = await setup.again();
    for (const bySdk of [true, false]) {
      await send(session, small(), 'a.txt');
      assert.equal(last(setup).bySdk, bySdk);
    }
  });

  test('goes by the SDK when it is not so small', async () => {
    await using setup = await doubleSetup();
    await send(setup.session, generatedSource({ sizeBytes: 2 * MIB }), 'b.bin');
    assert.ok(last(setup).bySdk);
  });

  test('is asked for again by the SDK when it was refused or cut, and then it is known why', async () => {
    await using setup = await doubleSetup();
    const passing = [
      BUSY,
      { refuse: new Refusal(500, 'InternalError', 'We encountered an internal error.') },
      { cutAfterBytes: 10 },
      { loseAnswer: true },
      { damage: true },
    ] as const;
    for (const fault of passing) {
      setup.double.fail('PutObject', fault);
      await send(setup.session, small(), 'b.txt');
      assert.ok(last(setup).bySdk);
      await send(setup.session, small(), 'c.txt');
      assert.ok(!last(setup).bySdk);
    }
    setup.double.denied.add('s3:PutObject');
    const denied = await faultOf(send(setup.session, small(), 'b.txt'), 'permanent');
    assert.match(denied.advice ?? '', /Allow s3:PutObject/);
  });

  test('knows its own content when the answer was lost, and somebody else’s', async () => {
    await using setup = await doubleSetup();
    setup.double.fail('PutObject', { loseAnswer: true });
    const receipt = await send(setup.session, small(), 'b.txt', { conflict: 'fail' });
    assert.equal(receipt.remotePath, 'b.txt');
    await faultOf(send(setup.session, small('other'), 'b.txt', { conflict: 'fail' }), 'permanent');
    await faultOf(send(setup.session, small('other'), 'b.txt', { conflict: 'skip' }), 'skipped');
  });

  test('ends when it is told to, and in its time when nothing is answered', async () => {
    await using setup = await doubleSetup({ entry: { timeout: '1s' } });
    setup.double.fail('PutObject', { hang: true }, { times: 9 });
    const stop = new AbortController();
    const sending = send(setup.session, small(), 'b.txt', { signal: stop.signal });
    const earlier = setup.double.requests.length;
    sending.catch(() => undefined); // awaited below
    await until('the request to be there', () => setup.double.requests.length > earlier);
    stop.abort();
    await faultOf(within(30_000, 'the stop', sending), 'aborted');
    const before = setup.double.requests.length;
    const fault = await faultOf(
      within(60_000, 'the send', send(setup.session, small(), 'c.txt')),
      'unreachable',
    );
    assert.equal(fault.code, 'ETIMEDOUT');
    assert.equal(setup.double.requests.length, before + 1, 'silence is met once');
  });
});
