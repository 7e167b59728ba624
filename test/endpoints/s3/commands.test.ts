/** A bucket as a person uses it: `ferry run`, `ferry check` and `ferry history` with a real server. */

import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { type Ended, type Home, makeHome } from '../../support/ferry.ts';
import { assertTree, contentOf, sha256Of, sha256OfContent, writeContent } from '../../support/files.ts';
import { until } from '../../support/until.ts';
import { BUCKET, type BucketSite, bucketSite, openUploads, outsideOfBucket } from './kit.ts';

const MIB = 1024 ** 2;

let site: BucketSite;
before(async () => {
  site = await bucketSite();
});
after(() => site[Symbol.asyncDispose]());

const bucket = (more: object = {}) => ({
  type: 's3',
  bucket: BUCKET,
  endpointUrl: site.server.url,
  partSize: '5MiB',
  ...more,
});

/** A home whose job `send` brings its outbox below a folder of the bucket, which lies in that prefix. */
async function sending(prefix: string, job: object = {}, entry: object = {}) {
  const home = await makeHome();
  await home.endpoints({ bucket: bucket({ prefix, ...entry }) });
  const to = { endpoint: 'bucket', path: '/in' };
  await home.job('send', { from: './outbox', to, when: {}, settle: '0s', ...job });
  return { home, outside: outsideOfBucket(site.client, BUCKET, `${prefix}/in/`) };
}

const run = (home: Home, job: string, env: object = {}): Promise<Ended> =>
  home.ferry(['run', job, '--json'], { ...site.env, ...env });

describe('ferry run', () => {
  test('brings a folder into a bucket, large files and odd names too, once', async () => {
    const { home: made, outside } = await sending('brings', { verify: 'checksum' });
    await using home = made;
    const sizes = { 'a b+c&d.txt': 5_000, 'sub/ü/empty': 0, 'sub/large.bin': 12 * MIB + 1 };
    for (const [name, bytes] of Object.entries(sizes))
      await writeContent(join(home.outbox, name), name, bytes);

    const ended = await run(home, 'send');
    assert.equal(ended.code, 0, ended.stderr);
    const { delivered, failed, bytes } = ended.lines()[0] ?? {};
    assert.deepEqual({ delivered, failed, bytes }, { delivered: 3, failed: 0, bytes: 12 * MIB + 5_001 });
    assert.deepEqual(await outside.tree(), Object.keys(sizes).sort());
    const history = (await home.ferry(['history', '--json'])).lines();
    for (const [name, bytes] of Object.entries(sizes)) {
      const sha256 = sha256OfContent(name, bytes);
      assert.equal(await outside.sha256(name), sha256, name);
      assert.equal(history.find((row) => row.path === name)?.sha256, sha256);
      const Key = `brings/in/${name}`;
      const { Metadata } = await site.client.headObject({ Bucket: BUCKET, Key });
      const { mtimeMs } = await stat(join(home.outbox, name));
      assert.equal(Metadata?.sha256, sha256);
      assert.equal(Number(Metadata?.mtime), mtimeMs / 1000);
    }
    assert.equal((await run(home, 'send')).lines()[0]?.delivered, 0, 'nothing is due any more');
  });

  test('finds the server by AWS_ENDPOINT_URL_S3', async () => {
    const { home: made, outside } = await sending('env', {}, { endpointUrl: undefined });
    await using home = made;
    await writeFile(join(home.outbox, 'f.txt'), 'by the environment');
    const ended = await run(home, 'send', { AWS_ENDPOINT_URL_S3: site.server.url });
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(await outside.sha256('f.txt'), sha256Of('by the environment'));
  });

  test('goes on with a large file whose worker was killed', async () => {
    await using proxy = await startFaultProxy({
      port: site.server.port,
      trouble: { bytesPerSecond: 4 * MIB },
    });
    const endpointUrl = `http://127.0.0.1:${proxy.port}`;
    const { home: made, outside } = await sending('killed', {}, { endpointUrl });
    await using home = made;
    const sizeBytes = 40 * MIB;
    await writeContent(join(home.outbox, 'large.bin'), 'large', sizeBytes);
    const first = home.start(['run', 'send'], site.env);
    const confirmed = async (): Promise<number> => {
      const { Uploads } = await site.client.listMultipartUploads({ Bucket: BUCKET, Prefix: 'killed/' });
      const [upload] = Uploads ?? [];
      if (upload === undefined) return 0;
      const input = { Bucket: BUCKET, Key: upload.Key, UploadId: upload.UploadId };
      return ((await site.client.listParts(input)).Parts ?? []).length;
    };
    const options = { timeoutMs: 60_000 };
    await until('some parts to arrive', async () => (await confirmed()) >= 3, options);
    assert.equal((await first.stop('SIGKILL')).signal, 'SIGKILL', 'it was not done yet');
    proxy.cutAll('rst'); // what the killed one had on its way
    await until('its connections to end', () => proxy.counts.open === 0, options);
    const had = await confirmed();

    const before = proxy.counts.bytesUp;
    proxy.setTrouble({});
    const second = await run(home, 'send');
    assert.equal(second.code, 0, second.stderr);
    assert.equal(second.lines()[0]?.delivered, 1);
    assert.equal(await outside.sha256('large.bin'), sha256OfContent('large', sizeBytes));
    const left = sizeBytes - had * 5 * MIB;
    const sent = proxy.counts.bytesUp - before;
    assert.ok(sent < left + MIB, `${sent} bytes sent, ${left} were left`);
    assert.deepEqual(await openUploads(site.client, BUCKET), []);
  });

  test('leaves alone what is in the bucket under that name', async () => {
    const { home: made, outside } = await sending('conflict', { conflict: 'fail' });
    await using home = made;
    await outside.write('taken.txt', 'other');
    await outside.write('same.txt', 'the same');
    await writeFile(join(home.outbox, 'taken.txt'), 'ours');
    await writeFile(join(home.outbox, 'same.txt'), 'the same');
    const ended = await run(home, 'send');
    assert.equal(ended.code, 1, ended.stderr);
    const { delivered, failed } = ended.lines()[0] ?? {};
    assert.deepEqual({ delivered, failed }, { delivered: 1, failed: 1 });
    assert.equal(await outside.sha256('taken.txt'), sha256Of('other'));
  });

  test('takes files out of a bucket into a folder, and deletes or archives them there', async () => {
    await using home = await makeHome();
    await home.endpoints({ bucket: bucket({ prefix: 'out' }) });
    const inbox = join(home.path, 'inbox');
    await mkdir(inbox);
    const job = { from: { endpoint: 'bucket', path: '/new' }, to: './inbox', when: {}, settle: '0s' };
    await home.job('delete', { ...job, after: 'delete' });
    await home.job('archive', { ...job, after: { archive: '/done' } });
    const outside = outsideOfBucket(site.client, BUCKET, 'out/');
    const mtimeMs = Date.now() - 3_600_500;
    const large = contentOf('out', 0, 12 * MIB);
    await outside.write('new/sub/a+b ü.bin', large, mtimeMs);
    await outside.write('new/empty', '');

    const first = await run(home, 'delete');
    assert.equal(first.code, 0, first.stderr);
    assert.equal(first.lines()[0]?.delivered, 2);
    await assertTree(inbox, { empty: sha256Of(''), 'sub/a+b ü.bin': sha256Of(large) });
    assert.deepEqual(await outside.tree(), []);

    await outside.write('new/f.txt', 'to be kept');
    const second = await run(home, 'archive');
    assert.equal(second.code, 0, second.stderr);
    assert.equal(await readFile(join(inbox, 'f.txt'), 'utf8'), 'to be kept');
    assert.deepEqual(await outside.tree(), ['done/f.txt']);
  });
});

describe('ferry check', () => {
  const check = async (home: Home, ...names: readonly string[]) => {
    const ended = await home.ferry(['check', ...names, '--json'], site.env);
    return { code: ended.code, steps: ended.lines(), all: ended.stdout };
  };
  const names = (steps: readonly Record<string, unknown>[]) =>
    steps.map(
      ({ step, ok, warning }) => `${step}${ok === true ? '' : ' FAILED'}${warning === true ? ' warns' : ''}`,
    );

  test('tries everything that a delivery needs', async () => {
    const { home: made, outside } = await sending('checked');
    await using home = made;
    const { code, steps, all } = await check(home, 'send');
    assert.equal(code, 0, all);
    const bucketSteps = steps.filter(({ endpoint }) => endpoint === 'bucket');
    const wanted = [
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
    assert.deepEqual(names(bucketSteps), wanted);
    assert.ok(!all.includes(site.server.user.secretAccessKey));
    assert.deepEqual(await outside.tree(), []);
    assert.deepEqual(await openUploads(site.client, BUCKET), []);
  });

  test('writes nothing where files are only taken from', async () => {
    await using home = await makeHome();
    await home.endpoints({ bucket: bucket({ prefix: 'source' }) });
    await home.job('fetch', { from: { endpoint: 'bucket', path: '/' }, to: './outbox', when: {} });
    await outsideOfBucket(site.client, BUCKET, 'source/').write('f.txt', 'x');
    const { code, steps, all } = await check(home, 'fetch');
    assert.equal(code, 0, all);
    const bucketSteps = steps.filter(({ endpoint }) => endpoint === 'bucket');
    assert.deepEqual(names(bucketSteps), ['credentials', 'bucket', 'list', 'read']);
  });

  test('says what is wrong with a bucket, and exits with 3', async () => {
    await using home = await makeHome();
    await home.endpoints({ missing: bucket({ bucket: 'no-such-bucket' }) });
    const missing = await check(home, 'missing');
    assert.equal(missing.code, 3, missing.all);
    assert.deepEqual(names(missing.steps), ['credentials', 'bucket FAILED']);
    assert.match(String(missing.steps[1]?.saw), /there is no bucket no-such-bucket/);
  });
});
