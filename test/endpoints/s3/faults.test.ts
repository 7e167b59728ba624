/** Whatever can be wrong with a bucket, its credentials and the way to it, in words that say what to do. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import type { FaultKind } from '../../../src/sync/errors.ts';
import { faultOf, listed, readAll, versionOf } from '../../contract/endpoint/kit.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { freePort } from '../../support/ports.ts';
import { Refusal } from '../../support/s3-double/refusal.ts';
import { type S3Double, startS3Double } from '../../support/s3-double.ts';
import { generatedSource } from '../../support/source.ts';
import { within } from '../../support/until.ts';
import { doubleSetup, MIB, never, send } from './double-kit.ts';
import { awsUrl, s3, useCredentials } from './kit.ts';

const small = () => generatedSource({ sizeBytes: 5000 });
const MINUTE = 60_000;

/** What a connect meets. */
interface Case {
  readonly what: string;
  readonly entry?: object;
  readonly env?: Readonly<Record<string, string>>;
  readonly trouble?: (double: S3Double) => void;
  readonly kind: FaultKind;
  readonly code: string;
  readonly says: RegExp;
  readonly advises: RegExp;
}

const refuseList =
  (status: number, code: string, message: string, headers = {}) =>
  (double: S3Double) =>
    double.fail('ListObjectsV2', { refuse: new Refusal(status, code, message, {}, headers) }, { times: 9 });

const CASES: readonly Case[] = [
  {
    what: 'a bucket that does not exist',
    entry: { bucket: 'no-such-bucket' },
    kind: 'rejected',
    code: 'NO_BUCKET',
    says: /there is no bucket no-such-bucket/,
    advises: /name right/,
  },
  {
    what: 'the wrong region, which S3 tells by refusing the signature',
    entry: { region: 'us-west-2' },
    kind: 'rejected',
    code: 'WRONG_REGION',
    says: /the bucket is in eu-central-1/,
    advises: /Set region: eu-central-1 in endpoints\.yaml/,
  },
  {
    what: 'the wrong region, which S3 tells by a redirect',
    trouble: refuseList(
      301,
      'PermanentRedirect',
      'The bucket you are attempting to access must be addressed using the specified endpoint.',
      {
        'x-amz-bucket-region': 'ap-northeast-1',
      },
    ),
    kind: 'rejected',
    code: 'WRONG_REGION',
    says: /the bucket is in ap-northeast-1/,
    advises: /Set region: ap-northeast-1/,
  },
  {
    what: 'an access key that nobody knows',
    trouble: () => useCredentials({ accessKeyId: 'AKSTRANGER', secretAccessKey: 'x' }),
    kind: 'rejected',
    code: 'LOGIN_REFUSED',
    says: /InvalidAccessKeyId/,
    advises: /unknown there.*AWS_PROFILE/,
  },
  {
    what: 'a wrong secret key',
    trouble: (double) => useCredentials({ ...double.user, secretAccessKey: 'the wrong one' }),
    kind: 'rejected',
    code: 'LOGIN_REFUSED',
    says: /signature is wrong/,
    advises: /secret key/,
  },
  {
    what: 'a session token that has expired',
    trouble: (double) => {
      process.env.AWS_SESSION_TOKEN = 'an old token';
      double.expiredToken = 'an old token';
    },
    kind: 'rejected',
    code: 'CREDENTIALS_EXPIRED',
    says: /credentials have expired/,
    advises: /aws sso login.*role/,
  },
  {
    what: 'no credentials at all',
    trouble: () => {
      delete process.env.AWS_ACCESS_KEY_ID;
    },
    kind: 'rejected',
    code: 'NO_CREDENTIALS',
    says: /no AWS credentials/,
    advises: /AWS_PROFILE.*AWS_ACCESS_KEY_ID.*role.*aws sts get-caller-identity/,
  },
  {
    what: 'a profile that does not exist',
    entry: { profile: 'nobody' },
    kind: 'rejected',
    code: 'NO_CREDENTIALS',
    says: /nobody/,
    advises: /AWS_PROFILE/,
  },
  {
    what: 'a profile of the environment that does not exist',
    trouble: () => {
      delete process.env.AWS_ACCESS_KEY_ID;
    },
    env: { AWS_PROFILE: 'nobody' },
    kind: 'rejected',
    code: 'NO_CREDENTIALS',
    says: /no AWS credentials in profile nobody/,
    advises: /AWS_PROFILE/,
  },
  {
    what: 'a URL that has the bucket in it already',
    trouble: refuseList(404, 'NoSuchKey', 'The specified key does not exist.'),
    kind: 'rejected',
    code: 'NO_BUCKET',
    says: /takes double-bucket for an object/,
    advises: /endpointUrl, without the bucket/,
  },
  {
    what: 'a KMS key that may not be used',
    trouble: refuseList(400, 'KMS.DisabledException', 'arn:aws:kms:… is disabled.'),
    kind: 'rejected',
    code: 'KMS',
    says: /KMS key.*disabled/,
    advises: /sseKmsKeyId.*kms:GenerateDataKey/,
  },
  {
    what: 'a server that asks for fewer requests',
    trouble: refuseList(503, 'SlowDown', 'Please reduce your request rate.'),
    kind: 'unreachable',
    code: 'SLOW_DOWN',
    says: /fewer requests/,
    advises: /lower connections/,
  },
  {
    what: 'a server that is broken',
    trouble: refuseList(500, 'InternalError', 'We encountered an internal error. Please try again.'),
    kind: 'unreachable',
    code: 'InternalError',
    says: /S3 answers 500 \(InternalError/,
    advises: /again/,
  },
  {
    what: 'something that nobody has heard of',
    trouble: refuseList(418, 'Teapot', 'short and stout'),
    kind: 'rejected',
    code: 'Teapot',
    says: /S3 answers 418 \(Teapot: short and stout\)/,
    advises: /^$/,
  },
];

describe('connecting meets', { timeout: 300_000 }, () => {
  for (const { what, entry, env = {}, trouble, kind, code, says, advises } of CASES) {
    test(what, async () => {
      await using double = await startS3Double();
      useCredentials(double.user);
      trouble?.(double);
      const { bucket, region } = double;
      const endpoint = s3({ bucket, region, endpointUrl: awsUrl(double), ...entry }, { env });
      const fault = await faultOf(within(60_000, 'connect', endpoint.connect(never)), kind);
      assert.equal(fault.code, code, fault.message);
      assert.match(fault.message, says);
      assert.match(fault.advice ?? '', advises);
      assert.ok(!`${fault.message}${fault.advice}`.includes(double.user.secretAccessKey));
    });
  }

  test('a wrong clock on either side, which costs nothing but a second try', async () => {
    for (const clockMs of [-20 * MINUTE, 20 * MINUTE]) {
      await using double = await startS3Double();
      useCredentials(double.user);
      double.clockMs = clockMs;
      const { bucket, region } = double;
      await using session = await s3({ bucket, region, endpointUrl: awsUrl(double) }).connect(never);
      await send(session, small(), 'a.txt');
    }
  });

  test('a clock that cannot be helped, named as what it is', async () => {
    await using double = await startS3Double();
    useCredentials(double.user);
    const message = 'The difference between the request time and the current time is too large.';
    const fields = { RequestTime: '20261122T020000Z', ServerTime: '2026-11-22T02:40:00Z' };
    double.fail(
      'ListObjectsV2',
      { refuse: new Refusal(403, 'RequestTimeTooSkewed', message, fields) },
      { times: 9 },
    );
    const { bucket, region } = double;
    const fault = await faultOf(
      s3({ bucket, region, endpointUrl: awsUrl(double) }).connect(never),
      'rejected',
    );
    assert.equal(fault.code, 'CLOCK_SKEW');
    assert.match(fault.message, /clock of this host is wrong by 40 minutes \(behind\)/);
    assert.match(fault.advice ?? '', /chrony/);
  });
});

describe('the way to a bucket may be', { timeout: 300_000 }, () => {
  const entry = { bucket: 'some-bucket', region: 'eu-central-1', connectTimeout: '5s', timeout: '5s' };

  async function meets(url: string, more: object = {}) {
    useCredentials({ accessKeyId: 'AK', secretAccessKey: 'x' });
    const endpoint = s3({ ...entry, endpointUrl: url, ...more });
    return await faultOf(within(60_000, 'connect', endpoint.connect(never)), 'unreachable', 'rejected');
  }

  /** The server on a free port; its connections end with it. */
  async function listening(server: Server): Promise<AsyncDisposable & { readonly port: number }> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port was given');
    return {
      port: address.port,
      [Symbol.asyncDispose]: async () => {
        for (const socket of sockets) socket.destroy();
        server.close();
        await once(server, 'close');
      },
    };
  }

  test('closed', async () => {
    const fault = await meets(`http://127.0.0.1:${await freePort()}`);
    assert.deepEqual([fault.kind, fault.code], ['unreachable', 'ECONNREFUSED']);
    assert.match(fault.message, /127\.0\.0\.1/);
  });

  test('a name that does not resolve', async () => {
    const fault = await meets('http://s3.nowhere.invalid', { bucket: 'with.dots' });
    assert.equal(fault.kind, 'unreachable');
    assert.match(fault.code ?? '', /ENOTFOUND|EAI_AGAIN/);
    assert.match(fault.message, /s3\.nowhere\.invalid does not resolve/);
    assert.match(fault.advice ?? '', /region.*DNS.*forcePathStyle/);
  });

  test('silent', async () => {
    await using server = await listening(createServer());
    const fault = await meets(`http://127.0.0.1:${server.port}`, { timeout: '1s' });
    assert.deepEqual([fault.kind, fault.code], ['unreachable', 'ETIMEDOUT']);
    assert.match(fault.advice ?? '', /firewall/);
  });

  test('one on which something else than HTTP is spoken', async () => {
    await using server = await listening(createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')));
    const fault = await meets(`http://127.0.0.1:${server.port}`);
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'NO_HTTP']);
    assert.match(fault.advice ?? '', /endpointUrl/);
  });

  test('one at which a web page answers, or a proxy that is at its end', async () => {
    const cases = [
      { status: 404, page: '<html><body>not here</body></html>', kind: 'rejected', code: 'NO_S3' },
      { status: 200, page: '<!doctype html><p>hello<br>', kind: 'rejected', code: 'NO_S3' },
      { status: 502, page: '<html>Bad Gateway', kind: 'unreachable', code: 'HTTP_502' },
    ];
    for (const { status, page, kind, code } of cases) {
      const web = createHttpServer((_, response) => {
        response.writeHead(status, { 'content-type': 'text/html' }).end(page);
      });
      await using server = await listening(web);
      const fault = await meets(`http://127.0.0.1:${server.port}`);
      assert.deepEqual([fault.kind, fault.code], [kind, code], fault.message);
      assert.match(fault.message, new RegExp(String(status)));
    }
  });

  test('without TLS where TLS was meant', async () => {
    await using double = await startS3Double();
    const fault = await meets(`https://127.0.0.1:${double.port}`);
    assert.deepEqual([fault.kind, fault.code], ['rejected', 'NO_TLS']);
    assert.match(fault.advice ?? '', /http:\/\/ or https:\/\//);
  });

  test('one whose certificate nobody vouches for, or that has expired', async () => {
    await using certificates = await makeCertificates();
    for (const kind of ['self-signed', 'expired', 'good'] as const) {
      const { cert, key } = await certificates.server(kind);
      const tls = createTlsServer({ cert, key }).on('tlsClientError', () => undefined);
      await using server = await listening(tls);
      const fault = await meets(`https://localhost:${server.port}`);
      assert.deepEqual([fault.kind, fault.code], ['rejected', 'TLS_CERTIFICATE'], fault.message);
      assert.match(fault.advice ?? '', /NODE_EXTRA_CA_CERTS/);
    }
  });

  test('left unfinished when it is told to stop', async () => {
    await using server = await listening(createServer());
    const stop = new AbortController();
    const endpoint = s3({ ...entry, endpointUrl: `http://127.0.0.1:${server.port}`, timeout: '10m' });
    const connecting = endpoint.connect(stop.signal);
    setTimeout(() => stop.abort(), 50);
    await faultOf(within(30_000, 'the stop', connecting), 'aborted');
  });
});

describe('without permission', () => {
  test('to put, it is said which', async () => {
    await using setup = await doubleSetup();
    setup.double.denied.add('s3:PutObject');
    for (const sizeBytes of [5000, 12 * MIB]) {
      const fault = await faultOf(
        send(setup.session, generatedSource({ sizeBytes }), 'in/a.bin'),
        'permanent',
      );
      assert.equal(fault.code, 'EACCES');
      assert.match(fault.message, /user\/ferry is not authorized to perform: s3:PutObject/);
      assert.match(fault.advice ?? '', /Allow s3:PutObject .*ferry retry/);
    }
    assert.equal(setup.session.broken, undefined, 'other files may be allowed');
  });

  test('to put, it is said even when S3 does not wait for the body', async () => {
    await using setup = await doubleSetup({ entry: { partSize: '8MiB' } });
    setup.double.fail('PutObject', { refuseEarly: new Refusal(403, 'AccessDenied', 'Access Denied') });
    const fault = await faultOf(
      send(setup.session, generatedSource({ sizeBytes: 8 * MIB }), 'a.bin'),
      'permanent',
    );
    assert.match(fault.advice ?? '', /Allow s3:PutObject/);
  });

  test('to list, files go in all the same, and a listing says what it needs', async () => {
    await using setup = await doubleSetup();
    setup.double.denied.add('s3:ListBucket');
    const session = await setup.again();
    await send(session, small(), 'a.txt');
    await send(session, generatedSource({ sizeBytes: 12 * MIB }), 'b.bin');
    const fault = await faultOf(listed(session, ''), 'permanent');
    assert.match(fault.advice ?? '', /Allow s3:ListBucket/);
  });

  test('to look at objects, S3’s word is enough', async () => {
    await using setup = await doubleSetup();
    for (const action of ['s3:GetObject', 's3:ListBucket', 's3:DeleteObject'])
      setup.double.denied.add(action);
    await send(setup.session, small(), 'a.txt', { verify: 'checksum' });
    await send(setup.session, generatedSource({ sizeBytes: 12 * MIB }), 'b.bin', { verify: 'checksum' });
    assert.equal(setup.double.store.objects.size, 2);
  });

  test('by an explicit deny, or by a key policy, it is said where to look', async () => {
    await using setup = await doubleSetup();
    const said = 'User: arn:aws:iam::1:user/x is not authorized to perform: ';
    const refuse = (message: string) =>
      setup.double.fail(
        'PutObject',
        { refuse: new Refusal(403, 'AccessDenied', said + message) },
        { times: 2 },
      );
    refuse('s3:PutObject on resource: "arn:…" with an explicit deny in a resource-based policy');
    const explicit = await faultOf(send(setup.session, small(), 'a.txt'), 'permanent');
    assert.match(explicit.advice ?? '', /denies s3:PutObject explicitly/);
    refuse(
      'kms:GenerateDataKey on resource: arn:… because no resource-based policy allows the kms:GenerateDataKey action',
    );
    const kms = await faultOf(send(setup.session, small(), 'a.txt'), 'permanent');
    assert.match(kms.advice ?? '', /Allow kms:GenerateDataKey on the KMS key/);
  });
});

test('an object that comes cut or unpacked is not one that has changed: it would be tried without end', async () => {
  await using setup = await doubleSetup();
  for (const sizeBytes of [5000, 3 * MIB]) {
    for (const serve of [
      (body: Buffer) => body.subarray(0, -1),
      (body: Buffer) => Buffer.concat([body, Buffer.from('more')]),
    ]) {
      await send(setup.session, generatedSource({ sizeBytes }), 'a');
      const version = await versionOf(setup.session, 'a'); // it dates objects itself
      setup.double.fail('GetObject', { serve }, { times: 9 });
      const fault = await faultOf(readAll(setup.session.source('a', version)), 'transient');
      assert.match(fault.message, /\d+ of \d+ bytes came of a/);
      setup.double.store.put('a', { body: Buffer.from('b'), checksums: {}, headers: {}, modifiedMs: 0 });
      await faultOf(readAll(setup.session.source('a', version)), 'changed');
      setup.double.recover();
    }
  }
});

describe('a request that fails for good', () => {
  const cases: readonly (readonly [Refusal, FaultKind, string])[] = [
    [new Refusal(400, 'EntityTooLarge', 'too large'), 'permanent', 'EntityTooLarge'],
    [new Refusal(400, 'KeyTooLongError', 'Your key is too long'), 'permanent', 'ENAMETOOLONG'],
    [new Refusal(403, 'InvalidObjectState', 'not valid for …'), 'permanent', 'InvalidObjectState'],
    [new Refusal(403, 'QuotaExceeded', 'quota'), 'transient', 'ENOSPC'],
    [
      new Refusal(400, 'InvalidStorageClass', 'The storage class you specified is not valid'),
      'rejected',
      'STORAGE_CLASS',
    ],
    [new Refusal(501, 'NotImplemented', 'A header you provided …'), 'permanent', 'EOPNOTSUPP'],
    [new Refusal(411, 'MissingContentLength', 'You must provide …'), 'permanent', 'EOPNOTSUPP'],
    [
      new Refusal(400, 'BadDigest', 'The SHA256 you specified did not match'),
      'transient',
      'CHECKSUM_MISMATCH',
    ],
    [
      new Refusal(400, 'RequestTimeout', 'Your socket connection … was not read from'),
      'unreachable',
      'RequestTimeout',
    ],
    [new Refusal(400, 'InvalidRequest', 'something'), 'transient', 'InvalidRequest'],
  ];
  for (const [refusal, kind, code] of cases) {
    test(`is ${kind}: ${refusal.code}`, async () => {
      await using setup = await doubleSetup();
      setup.double.fail('PutObject', { refuse: refusal }, { times: 9 });
      const fault = await faultOf(send(setup.session, small(), 'in/a.txt'), kind);
      assert.equal(fault.code, code);
      assert.match(fault.message, /cannot write in\/a\.txt/);
      assert.equal(setup.double.store.objects.size, 0);
    });
  }

  test('ends within its time when nothing is answered', async () => {
    await using setup = await doubleSetup({ entry: { timeout: '1s' } });
    setup.double.fail('PutObject', { hang: true }, { times: 9 });
    const fault = await faultOf(
      within(60_000, 'the send', send(setup.session, small(), 'a.txt')),
      'unreachable',
    );
    assert.equal(fault.code, 'ETIMEDOUT');
    assert.ok(setup.session.broken !== undefined);
  });
});
