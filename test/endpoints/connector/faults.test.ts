/** What can go wrong between here, AWS and the partner: nothing is lost, nothing guessed, nothing sent twice without need. */

import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Throttled } from '../../../src/endpoints/connector/faults.ts';
import { AWS_SPACING, Pace } from '../../../src/endpoints/connector/pace.ts';
import type { Receipt } from '../../../src/endpoints/endpoint.ts';
import { Fault } from '../../../src/sync/errors.ts';
import { nameOf } from '../../../src/sync/names.ts';
import { deliver } from '../../contract/endpoint/kit.ts';
import { sha256Of } from '../../support/files.ts';
import { Refusal, throttled } from '../../support/transfer-api.ts';
import { until } from '../../support/until.ts';
import { s3 } from '../s3/kit.ts';
import { rejection } from '../sftp/kit.ts';
import { calm, startPartner } from './kit.ts';
import { fileOf, Sending } from './sending.ts';

const partner = await startPartner();
const { api, outside, bucket } = partner;
const direct = partner.endpoint({ confirm: 'result', unsure: '300ms' });
after(() => partner[Symbol.asyncDispose]());
beforeEach(() => {
  api.recover();
  api.release();
  api.denied.clear();
  api.clockMs = 0;
  api.queueLimit = 1000;
});

let count = 0;
/** A name that no other test has. */
function place(): { readonly name: string; readonly path: string } {
  count += 1;
  const name = `file-${count}.bin`;
  return { name, path: `${partner.server.folder}/${name}` };
}

/** Sends objects of the staging bucket, over one session, at the same moment. */
async function sendFromBucket(names: readonly string[], endpoint = direct): Promise<readonly Receipt[]> {
  for (const name of names) await bucket.write(`elsewhere/${name}`, `content of ${name}`);
  await using from = await s3({ bucket: partner.bucketName, endpointUrl: partner.s3Url }).connect(
    calm.signal,
  );
  await using session = await endpoint.connect(calm.signal);
  const sources = await Promise.all(
    names.map(async (name) => {
      const entry = await from.stat(`elsewhere/${name}`, calm);
      assert.ok(entry);
      return from.source(entry.path, entry.version);
    }),
  );
  return await Promise.all(
    names.map((name, i) =>
      deliver(session, sources[i] ?? fileOf(name), `${partner.server.folder}/${name}`, {
        token: sha256Of(name).slice(0, 16),
      }),
    ),
  );
}

const sentTo = (name: string) => api.files.filter((file) => file.name === name).length;

test('files that are ready at the same moment share a call, up to ten; what lies in the bucket is not staged again', async () => {
  const names = Array.from({ length: 25 }, (_, i) => `ready-${i}.bin`);
  const before = api.callsOf('StartFileTransfer').length;
  const receipts = await sendFromBucket(names);
  const calls = api.callsOf('StartFileTransfer').slice(before);
  const paths = calls.map(({ SendFilePaths = [] }) => SendFilePaths.length);
  assert.ok(paths.every((many) => many <= 10));
  assert.equal(
    paths.reduce((sum, many) => sum + many, 0),
    25,
  );
  assert.ok(calls.length < 25 && paths.some((many) => many > 1), `${paths}`);
  assert.ok(
    calls.every(({ SendFilePaths = [] }) => SendFilePaths.every((path) => path.includes('/elsewhere/'))),
  );
  for (const [i, name] of names.entries()) {
    assert.equal(await outside.sha256(name), sha256Of(`content of ${name}`));
    assert.match(receipts[i]?.reference ?? '', new RegExp(`^${api.connectorId}/`));
    assert.ok(await bucket.stat(`elsewhere/${name}`), 'and the source is left alone');
  }
});

test('the intent is noted before the call, the transfer before it is asked after, and it says that AWS is at work', async () => {
  const { name, path } = place();
  const seen: { phase: string; starts: number; asked: number }[] = [];
  const [starts, asked] = [
    api.callsOf('StartFileTransfer').length,
    api.callsOf('ListFileTransferResults').length,
  ];
  const sending = new Sending(path, {
    checkpoint: async (text) => {
      seen.push({
        phase: JSON.parse(text).phase,
        starts: api.callsOf('StartFileTransfer').length - starts,
        asked: api.callsOf('ListFileTransferResults').length - asked,
      });
    },
  });
  await sending.toTheEnd(direct);
  const at = (phase: string) => seen.find((one) => one.phase === phase);
  assert.deepEqual(at('staged'), { phase: 'staged', starts: 0, asked: 0 });
  assert.deepEqual(at('starting'), { phase: 'starting', starts: 0, asked: 0 });
  assert.deepEqual(at('sent'), { phase: 'sent', starts: 1, asked: 0 });
  for (const { text, underWay } of sending.notes)
    assert.equal(underWay, /"phase":"(starting|sent)"/.test(text), text);
  assert.equal(sentTo(name), 1);
  assert.deepEqual(
    (await bucket.tree()).filter((key) => key.includes(name)),
    [],
    'the staged copy is gone',
  );
});

test('a restart asks after the transfer and does not send twice', async () => {
  const { name, path } = place();
  const sending = new Sending(path);
  api.hold();
  assert.equal((await sending.once(direct)).state, 'pending');
  api.release();
  const receipt = await sending.toTheEnd(partner.endpoint({ confirm: 'result' }));
  assert.equal(sentTo(name), 1);
  assert.equal(await outside.sha256(name), receipt.sha256);
});

test('an answer that is lost after the transfer was accepted is looked up at the partner, not sent again', async () => {
  for (const entry of [{}, { remoteTemp: '.' }]) {
    const { path } = place();
    const sending = new Sending(path);
    api.fail('StartFileTransfer', { loseAnswer: true });
    const before = api.files.length;
    const fault = await rejection(sending.once(partner.endpoint(entry)));
    assert.equal(fault.kind, 'unreachable');
    assert.equal(sending.phase, 'starting');
    assert.equal(sending.last?.underWay, true);
    const receipt = await sending.toTheEnd(partner.endpoint(entry));
    assert.equal(receipt.remotePath, path);
    assert.equal(api.files.length - before, 1, 'sent once');
  }
});

test('a call that never got there is made again, once the partner has been looked at for long enough', async () => {
  const { name, path } = place();
  const sending = new Sending(path);
  api.fail('StartFileTransfer', { cut: true });
  assert.equal((await rejection(sending.once(direct))).kind, 'unreachable');
  const receipt = await sending.toTheEnd(direct);
  assert.equal(sentTo(name), 1);
  assert.equal(await outside.sha256(name), receipt.sha256);
});

test('what was there before is not taken for what was sent', async () => {
  const { name, path } = place();
  await outside.write(name, Buffer.alloc(2_000, 'x'), Date.now() - 60_000);
  const sending = new Sending(path);
  api.fail('StartFileTransfer', { cut: true });
  await rejection(sending.once(direct));
  const receipt = await sending.toTheEnd(direct);
  assert.equal(await outside.sha256(name), receipt.sha256);
});

test('a part of it that grows no more is not waited for', async () => {
  const { name, path } = place();
  const sending = new Sending(path);
  api.fail('StartFileTransfer', { cut: true });
  await rejection(sending.once(direct));
  await outside.write(name, 'a part');
  const receipt = await sending.toTheEnd(direct);
  assert.equal(await outside.sha256(name), receipt.sha256);
});

test('throttling is waited out as long as AWS says, without an attempt', async () => {
  const { name, path } = place();
  const sending = new Sending(path);
  api.fail('StartFileTransfer', { refuse: throttled(3) });
  const endpoint = partner.endpoint({ confirm: 'result' });
  const result = await sending.once(endpoint);
  assert.ok(result.state === 'pending' && result.checkAfterMs > 1_000, JSON.stringify(result));
  assert.equal(sending.phase, 'staged');
  assert.equal(sending.last?.underWay, false);
  const again = await sending.once(endpoint);
  assert.equal(again.state, 'pending', 'and nothing is asked before');
  assert.equal(sentTo(name), 0);
  await sending.toTheEnd(endpoint);
  assert.equal(sentTo(name), 1);
});

test('what is throttled as it connects is no endpoint that cannot be reached', async () => {
  api.fail('DescribeConnector', { refuse: throttled(1) }, 2);
  await using _session = await partner.endpoint().connect(calm.signal);
  api.fail('DescribeConnector', { refuse: throttled(3_600) });
  assert.ok((await rejection(partner.endpoint().connect(calm.signal))) instanceof Throttled);
});

test('a pause that AWS asks for has its limits', async () => {
  for (const [seconds, leastMs, mostMs] of [
    [0, 1, 10_000],
    [-5, 1, 10_000],
    [99_999_999_999, 60_000, 900_000],
  ] as const) {
    api.fail('StartFileTransfer', { refuse: throttled(seconds) });
    const result = await new Sending(place().path).once(partner.endpoint({ confirm: 'result' }));
    assert.ok(result.state === 'pending');
    assert.ok(result.checkAfterMs >= leastMs && result.checkAfterMs <= mostMs, `${result.checkAfterMs}`);
  }
});

test('a full queue at AWS is throttling too', async () => {
  const { name, path } = place();
  api.queueLimit = 0;
  const sending = new Sending(path);
  assert.equal((await sending.once(partner.endpoint({ confirm: 'result' }))).state, 'pending');
  assert.equal(sending.last?.underWay, false);
  api.queueLimit = 1000;
  await sending.toTheEnd(partner.endpoint({ confirm: 'result' }));
  assert.equal(sentTo(name), 1);
});

test('a transfer that stays in progress is asked after less and less often, and never sent again', async () => {
  const { name, path } = place();
  api.fate(new RegExp(name), 'stuck', 1);
  const sending = new Sending(path);
  const waits: number[] = [];
  for (let n = 0; n < 6; n += 1) {
    const result = await sending.once(direct);
    assert.ok(result.state === 'pending');
    waits.push(result.checkAfterMs);
    await sleep(100);
  }
  assert.ok((waits.at(-1) ?? 0) > (waits[0] ?? 0), waits.join());
  assert.equal(sentTo(name), 1);
});

test('the code of a failure decides whether it is tried again', async () => {
  const table = [
    ['CONNECTION_TIMEOUT', 'Connection timed out', 'transient', 'PARTNER_UNREACHABLE'],
    ['SEND_FAILED', 'Failure', 'transient', 'SEND_FAILED'],
    ['SEND_PERMISSION_DENIED', 'Permission denied', 'permanent', 'EACCES'],
    ['SEND_PATH_NOT_FOUND', 'No such file', 'permanent', 'ENOENT'],
    ['FILE_TOO_LARGE', 'File size exceeds the limit', 'permanent', 'EFBIG'],
    ['AUTHENTICATION_FAILED', 'All methods failed', 'rejected', 'LOGIN_REFUSED'],
    ['SECRET_NOT_ACCESSIBLE', 'The secret could not be read', 'rejected', 'LOGIN_REFUSED'],
    ['HOST_KEY_VERIFICATION_FAILED', 'Host key is not trusted', 'rejected', 'HOST_KEY_CHANGED'],
    ['SEND_FAILED', 'No space left on device', 'transient', 'ENOSPC'],
    ['S3_ACCESS_DENIED', 'Access Denied by S3', 'rejected', 'ACCESS_ROLE'],
  ] as const;
  for (const [code, message, kind, ours] of table) {
    const { name, path } = place();
    api.fate(new RegExp(name), { code, message }, 1);
    const sending = new Sending(path);
    const fault = await rejection(sending.toTheEnd(direct));
    assert.deepEqual([fault.kind, fault.code], [kind, ours], `${code}: ${message}`);
    assert.ok(fault.message.includes(code) && (fault.advice ?? '').length > 10);
    assert.equal(sending.last?.underWay, false, 'nothing is under way any more');
    await sending.toTheEnd(direct);
    const paths = api.files.filter((file) => file.name === name).map((file) => file.path);
    assert.equal(paths.length, 2);
    assert.equal(paths[0], paths[1], 'what was staged is used again');
  }
});

test('a name is no reason: a file may be called as it likes', async () => {
  for (const name of ['author list.csv', 'client-secret.txt', 'host_key.pub']) {
    const path = `${partner.server.folder}/${name}`;
    api.fate(new RegExp(name), { code: 'SEND_FAILED', message: `Failed to open ${path}: Failure` }, 1);
    const sending = new Sending(path);
    const fault = await rejection(sending.toTheEnd(direct));
    assert.deepEqual([fault.kind, fault.code], ['transient', 'SEND_FAILED']);
    assert.ok(fault.message.includes(`Failed to open ${path}`));
  }
});

test('what is gone from the bucket is staged again', async () => {
  const { name, path } = place();
  const sending = new Sending(path);
  api.hold();
  await sending.once(direct);
  await bucket.remove(
    api.files
      .find((file) => file.name === name)
      ?.path.split('/')
      .slice(2)
      .join('/') ?? '',
  );
  api.release();
  assert.equal((await rejection(sending.toTheEnd(direct))).code, 'STAGED_GONE');
  // As S3 says it.
  api.fate(new RegExp(name), { code: 'SEND_FAILED', message: 'The specified key does not exist.' }, 1);
  assert.equal((await rejection(sending.toTheEnd(direct))).code, 'STAGED_GONE');
  const receipt = await sending.toTheEnd(direct);
  assert.equal(await outside.sha256(name), receipt.sha256);
});

test('a transfer that the service does not know yet is asked after again', async () => {
  const { name, path } = place();
  const sending = new Sending(path);
  api.hold();
  const unknown = new Refusal('ResourceNotFoundException', 'Unknown transfer', { ResourceType: 'TRANSFER' });
  api.fail('ListFileTransferResults', { refuse: unknown });
  const endpoint = partner.endpoint();
  assert.equal((await sending.once(endpoint)).state, 'pending');
  assert.equal(sending.phase, 'sent');
  api.release();
  await sending.toTheEnd(endpoint);
  assert.equal(sentTo(name), 1);
});

test('results that have expired are looked up at the partner: there, or for a person to say', async () => {
  const endpoint = partner.endpoint();
  const there = place();
  const sending = new Sending(there.path);
  await sending.once(endpoint);
  await until('the file to be there', async () => (await outside.stat(there.name))?.sizeBytes === 2_000);
  api.forgetResults();
  const receipt = await sending.toTheEnd(partner.endpoint());
  assert.equal(receipt.remotePath, there.path);
  assert.equal(sentTo(there.name), 1);

  const gone = place();
  const lost = new Sending(gone.path);
  api.hold();
  await lost.once(endpoint);
  api.forgetResults();
  const fault = await rejection(lost.toTheEnd(partner.endpoint({ unsure: '300ms' })));
  assert.deepEqual([fault.kind, fault.code], ['permanent', 'RESULT_UNKNOWN']);
  assert.match(fault.advice ?? '', /ferry retry/);
  assert.equal(sentTo(gone.name), 1, 'and it is not sent again by itself');
  api.release();
});

test('a size that does not agree is no delivery; a file that was taken away is one', async () => {
  const endpoint = partner.endpoint();
  const torn = place();
  const sending = new Sending(torn.path);
  await sending.once(endpoint);
  await until('the file to be there', async () => (await outside.stat(torn.name))?.sizeBytes === 2_000);
  await outside.write(torn.name, 'short');
  assert.equal((await rejection(sending.toTheEnd(endpoint))).code, 'SIZE_MISMATCH');
  await sending.toTheEnd(endpoint);
  assert.equal(sentTo(torn.name), 2);

  const taken = place();
  const other = new Sending(taken.path);
  await other.once(endpoint);
  await until('the file to be there', async () => (await outside.stat(taken.name))?.sizeBytes === 2_000);
  await outside.remove(taken.name);
  assert.equal((await other.toTheEnd(endpoint)).verified, 'size');
});

test('content that does not agree is found by its checksum', async () => {
  const { name, path } = place();
  const sending = new Sending(path, { verify: 'checksum' });
  await sending.once(direct);
  await until('the file to be there', async () => (await outside.stat(name))?.sizeBytes === 2_000);
  await outside.write(name, Buffer.alloc(2_000, 'x'));
  assert.equal((await rejection(sending.toTheEnd(direct))).code, 'CHECKSUM_MISMATCH');
  const receipt = await sending.toTheEnd(direct);
  assert.equal(receipt.verified, 'checksum');
  assert.equal(await outside.sha256(name), receipt.sha256);
});

test('what cannot be fetched back to be compared has arrived, and the words say so', async () => {
  for (const [code, message, ours, words] of [
    ['RETRIEVE_FILE_NOT_FOUND', 'No such file', 'ENOENT', /takes files at once.*verify: size/],
    ['RETRIEVE_PERMISSION_DENIED', 'Permission denied', 'EACCES', /may not read.*verify: size/],
  ] as const) {
    const { name, path } = place();
    const sending = new Sending(path, { verify: 'checksum' });
    await sending.once(direct);
    await until('the file to be there', async () => (await outside.stat(name))?.sizeBytes === 2_000);
    api.fate(new RegExp(name), { code, message }, 1);
    const fault = await rejection(sending.toTheEnd(direct));
    assert.deepEqual([fault.kind, fault.code], ['permanent', ours]);
    assert.match(fault.message, /could not fetch back/);
    assert.match(fault.advice ?? '', words);
  }
});

test('what was there before may go while it is compared', async () => {
  const { name, path } = place();
  await outside.write(name, Buffer.alloc(2_000, 'x'));
  api.fate(new RegExp(name), { code: 'RETRIEVE_FILE_NOT_FOUND', message: 'No such file' }, 1);
  const sending = new Sending(path, { conflict: 'fail' });
  assert.equal((await rejection(sending.toTheEnd(direct))).kind, 'transient');
  await outside.remove(name);
  const receipt = await sending.toTheEnd(direct);
  assert.equal(await outside.sha256(name), receipt.sha256);
});

test('what was staged is kept where that is wanted, and discarded with the rest otherwise', async () => {
  const kept = place();
  await new Sending(kept.path).toTheEnd(partner.endpoint({ confirm: 'result', keepStaged: true }));
  assert.equal((await bucket.tree()).filter((key) => key.endsWith(kept.name)).length, 1);

  const { path } = place();
  const endpoint = partner.endpoint({ remoteTemp: '.' });
  api.fate(/\.ferry-/, 'stuck', 1);
  const sending = new Sending(path);
  await sending.until('sent', endpoint);
  const staged = `ferry-staging/${JSON.parse(sending.last?.text ?? '{}').staged}`;
  assert.ok(await bucket.stat(staged));
  await using session = await endpoint.connect(calm.signal);
  await session.discard(path, '0123456789abcdef', sending.last?.text, calm);
  assert.equal(await bucket.stat(staged), undefined);
  await until('the removal at the partner', () => api.done.some((line) => /remove .*\.ferry-/.test(line)));
});

test('what was fetched back to be compared is discarded too', async () => {
  const { name, path } = place();
  await outside.write(name, Buffer.alloc(2_000, 'x'));
  const sending = new Sending(path, { conflict: 'fail' });
  while (sending.last?.text.includes('"back"') !== true) await sending.once(direct);
  const back = async () => (await bucket.tree()).filter((key) => key.includes('back/') && key.endsWith(name));
  await until('it to be fetched back', async () => (await back()).length === 1);
  await using session = await direct.connect(calm.signal);
  await session.discard(path, '0123456789abcdef', sending.last?.text, calm);
  assert.deepEqual(await back(), []);
});

test('a move is taken up again after a restart, and happens once', async () => {
  const { name, path } = place();
  await outside.write(name, 'the old file');
  const entry = { remoteTemp: '.' };
  const sending = new Sending(path);
  await sending.until('placing', partner.endpoint(entry));
  const receipt = await sending.toTheEnd(partner.endpoint(entry));
  assert.equal(await outside.sha256(name), receipt.sha256);
  const moves = api.callsOf('StartRemoteMove').filter(({ TargetPath }) => TargetPath === path);
  const removals = api.callsOf('StartRemoteDelete').filter(({ DeletePath }) => DeletePath === path);
  assert.deepEqual([moves.length, removals.length], [1, 1]);
});

test('what lies in the bucket has a name of our own too until it is moved within its folder', async () => {
  const { name, path } = place();
  await sendFromBucket([name], partner.endpoint({ remoteTemp: '.' }));
  assert.equal(await outside.sha256(name), sha256Of(`content of ${name}`));
  assert.equal(api.callsOf('StartRemoteMove').filter(({ TargetPath }) => TargetPath === path).length, 1);
});

test('what was never moved and is not in the temporary folder is no delivery', async () => {
  const { name, path } = place();
  const endpoint = partner.endpoint({ remoteTemp: '.' });
  let swept = 0;
  const sending = new Sending(path, {
    checkpoint: async (text) => {
      const { phase, remote } = JSON.parse(text);
      if (phase === 'placing' && swept === 0) await outside.remove(nameOf(remote));
      if (phase === 'placing') swept += 1;
    },
  });
  const fault = await rejection(sending.toTheEnd(endpoint));
  assert.deepEqual([fault.kind, fault.code], ['transient', 'TEMP_GONE']);
  const receipt = await sending.toTheEnd(endpoint);
  assert.equal(await outside.sha256(name), receipt.sha256);
});

test('a connector that is changed meanwhile costs no file anything', async () => {
  const { name, path } = place();
  const whole = api.connector;
  const sending = new Sending(path, {
    checkpoint: async (text) => {
      if (text.includes('"starting"')) api.connector = { ...whole, Status: 'PENDING' };
    },
  });
  try {
    const fault = await rejection(sending.once(direct));
    assert.deepEqual([fault.kind, fault.code], ['unreachable', 'CONNECTOR_PENDING']);
  } finally {
    api.connector = whole;
  }
  assert.equal(sending.phase, 'staged');
  assert.equal((await new Sending(path, {}, sending.source).toTheEnd(direct)).remotePath, path);
  assert.equal(sentTo(name), 1);
});

test('what the connector is, and may, decides whether it is used at all', async () => {
  const whole = api.connector;
  const connect = async () => {
    await using _session = await partner.endpoint().connect(calm.signal);
  };
  const expected = async (kind: string, code: string, words: RegExp): Promise<void> => {
    const fault = await rejection(connect());
    assert.deepEqual([fault.kind, fault.code], [kind, code], fault.message);
    assert.match(`${fault.message} ${fault.advice}`, words);
  };
  try {
    api.connector = { ...whole, Status: 'PENDING' };
    await expected('unreachable', 'CONNECTOR_PENDING', /PENDING/);
    api.connector = { ...whole, Status: 'ERRORED', ErrorMessage: 'Resource configuration is not active' };
    await expected('rejected', 'CONNECTOR_ERRORED', /Resource configuration is not active/);
    const { SftpConfig: _, ...noSftp } = whole;
    api.connector = { ...noSftp, As2Config: {} };
    await expected('rejected', 'NO_CONNECTOR', /no SFTP connector/);
  } finally {
    api.connector = whole;
  }
  api.denied.add('transfer:DescribeConnector');
  await expected('rejected', 'EACCES', /Allow transfer:DescribeConnector/);
  api.denied.clear();
  api.clockMs = 3_600_000;
  await expected('rejected', 'CLOCK_SKEW', /Set the clock/);
  api.clockMs = 0;
  api.fail(
    'DescribeConnector',
    { refuse: new Refusal('InternalServiceError', 'An error occurred', {}, 500) },
    2,
  );
  await expected('unreachable', 'InternalServiceError', /InternalServiceError/);
  const missing = partner.endpoint({ connector: 'c-00000000000000000' });
  const fault = await rejection(missing.connect(calm.signal));
  assert.deepEqual([fault.kind, fault.code], ['rejected', 'NO_CONNECTOR']);
});

test('a path that one file cannot have does not take the others of its call down', async () => {
  const names = [place().name, place().name];
  api.fail('StartFileTransfer', {
    refuse: new Refusal('InvalidRequestException', 'one of the paths is odd'),
  });
  const before = api.callsOf('StartFileTransfer').length;
  await sendFromBucket(names);
  const paths = api
    .callsOf('StartFileTransfer')
    .slice(before)
    .map(({ SendFilePaths = [] }) => SendFilePaths.length);
  assert.deepEqual(paths, [2, 1, 1]);
});

test('files over 150 GiB are refused', async () => {
  const huge = { ...fileOf('huge'), version: { sizeBytes: 151 * 1024 ** 3, mtimeMs: 1, tag: '' } };
  const fault = await rejection(new Sending(place().path, {}, huge).once(direct));
  assert.ok(fault instanceof Fault);
  assert.deepEqual([fault.kind, fault.code], ['permanent', 'EFBIG']);
});

test('calls have their turns: TestConnection once a second, listings three times', async () => {
  const nowMs = 1_000_000;
  const pace = new Pace({ name: 'partner', spacing: AWS_SPACING, now: () => nowMs });
  for (const [action, leastMs] of [
    ['TestConnection', 1_000],
    ['StartDirectoryListing', 333],
  ] as const) {
    await pace.turn(action, calm.signal, 0);
    const fault = await rejection(pace.turn(action, calm.signal, 0));
    assert.ok(fault instanceof Throttled && fault.retryAfterMs >= leastMs);
  }
});
