/** SFTP to an instance that only AWS leads to: a tunnel of an EC2 Instance Connect Endpoint, and keys for one login each. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { type Ec2Double, ENDPOINT, INSTANCE, startEc2Double } from '../../support/ec2-double.ts';
import { makeHome } from '../../support/ferry.ts';
import {
  filesOf,
  sha256OfContent,
  sha256OfFile,
  type TemporaryFolder,
  temporaryFolder,
  writeContent,
} from '../../support/files.ts';
import { freePort } from '../../support/ports.ts';
import { startHttpProxy } from '../../support/proxies.ts';
import { generatedSource } from '../../support/source.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { until, within } from '../../support/until.ts';
import { calm, rejection, sendOptions, sftp } from './kit.ts';

describe('the way through an EC2 Instance Connect Endpoint', () => {
  let folder: TemporaryFolder;
  let certificates: Certificates;
  let sshd: Sshd;
  let aws: Ec2Double;
  const environment = { ...process.env };

  before(async () => {
    folder = await temporaryFolder('eice');
    certificates = await makeCertificates();
    const authorizedKeys = join(folder.path, 'authorized_keys');
    await writeFile(authorizedKeys, '');
    sshd = await startSshd({ config: [`AuthorizedKeysFile ${authorizedKeys}`, 'MaxStartups 100'] });
    aws = await startEc2Double({ certificates, authorizedKeys });
  });
  beforeEach(async () => {
    await until('earlier tunnels to be closed', () => aws.tunnels === 0);
    aws.trouble = {};
    aws.asked.length = 0;
    Object.assign(process.env, aws.env); // the SDK reads it by itself
  });
  after(async () => {
    process.env = environment;
    for (const each of [aws, sshd, certificates, folder]) await each[Symbol.asyncDispose]();
  });

  /** No key lies anywhere: the only way in is one that was installed a moment ago. */
  const entry = (eice: object = {}, more: object = {}): Record<string, unknown> => ({
    port: sshd.port,
    user: sshd.user,
    road: { eice: { instance: INSTANCE, endpoint: ENDPOINT, ...eice } },
    ephemeralKey: {},
    hostKey: sshd.hostKeys.map((key) => key.fingerprint),
    ...more,
  });
  const endpoint = (eice: object = {}, more: object = {}) => sftp(entry(eice, more), { env: process.env });
  const fails = async (code: string, kind: string, eice: object = {}, more: object = {}): Promise<string> => {
    const fault = await within(60_000, 'the fault', rejection(endpoint(eice, more).connect(calm.signal)));
    assert.deepEqual([fault.code, fault.kind], [code, kind], fault.message);
    assert.ok(fault.advice);
    const said = `${fault.message} ${fault.advice}`;
    assert.doesNotMatch(said, /secret of|secret\/of|token of|Signature=/);
    return said;
  };

  test('delivers, with a fresh key at each login', async () => {
    const server = endpoint();
    for (const name of ['first', 'second']) {
      await using session = await server.connect(calm.signal);
      const source = generatedSource({ sizeBytes: 5_000_000, seed: name });
      await session.send(source, `${name}/file`, sendOptions());
      assert.equal(await sha256OfFile(join(sshd.folder, name, 'file')), source.sha256);
      await until('the tunnel before to be closed', () => aws.tunnels === 1);
    }
    await until('the tunnels to be closed', () => aws.tunnels === 0);
    const tunnel = `openTunnel 127.0.0.1:${sshd.port} 3600`;
    const login = [tunnel, `SendSSHPublicKey ${sshd.user}`];
    assert.deepEqual(aws.asked.toSorted().slice(0, 2), [
      'DescribeInstanceConnectEndpoints',
      'DescribeInstances',
    ]);
    assert.deepEqual(aws.asked.slice(2), [...login, ...login], 'what was looked up is remembered');
    const keys = (await readFile(join(folder.path, 'authorized_keys'), 'utf8')).trim().split('\n');
    assert.equal(new Set(keys).size, 2, 'each key is another');
    assert.ok(keys.every((key) => key.startsWith('ssh-ed25519 ')));
  });

  test('asks for nothing that the settings say', async () => {
    await using session = await endpoint({ address: '127.0.0.1', dnsName: aws.dnsName }).connect(calm.signal);
    assert.equal(session.broken, undefined);
    assert.deepEqual(aws.asked, [`openTunnel 127.0.0.1:${sshd.port} 3600`, `SendSSHPublicKey ${sshd.user}`]);
  });

  test('is walked step by step in a check, through a proxy too', async () => {
    const steps = async (more: object = {}) =>
      (await Array.fromAsync(endpoint({}, more).probe('', calm))).map(({ step, ok }) =>
        ok ? step : `${step}!`,
      );
    const login = ['banner', 'key exchange', 'host key', 'login'];
    assert.deepEqual((await steps()).slice(0, 6), ['aws', 'aws tunnel', ...login]);
    await using proxy = await startHttpProxy();
    const through = await steps({ proxy: `http://127.0.0.1:${proxy.port}` });
    assert.deepEqual(through.slice(0, 8), ['aws', 'proxy', 'tunnel', 'aws tunnel', ...login]);
    await until('the proxy to tell', () => proxy.log().includes(`CONNECT localhost:${aws.port}`));
    assert.deepEqual(await steps({ proxy: `http://127.0.0.1:${await freePort()}` }), ['aws', 'proxy!']);
    aws.trouble = { noRoute: true };
    assert.deepEqual((await steps()).slice(0, 3), ['aws', 'aws tunnel', 'aws tunnel!']);
    aws.trouble = { tunnel: { status: 429, body: '{"message":"Rate exceeded"}' } };
    assert.deepEqual(await steps(), ['aws', 'aws tunnel!']);
    aws.trouble = { api: { status: 403, code: 'UnauthorizedOperation', message: 'You are not authorized' } };
    assert.deepEqual(await steps(), ['aws!']);
    aws.trouble = {};
    assert.deepEqual((await steps({ ephemeralKey: { instance: 'i-0000000000000000f' } })).at(-1), 'login!');
  });

  test('says what is wrong with the instance, the endpoint, the permissions or the credentials', async () => {
    const wrong = '0000000000000000f';
    assert.match(
      await fails('AWS_NOT_FOUND', 'rejected', { instance: `i-${wrong}` }),
      /look up the instance i-0+f.*does not exist/,
    );
    assert.match(
      await fails('AWS_NOT_FOUND', 'rejected', { endpoint: `eice-${wrong}` }),
      /look up the endpoint eice-0+f/,
    );
    const known = { address: '127.0.0.1', dnsName: aws.dnsName };
    assert.match(
      await fails('AWS_REFUSED', 'rejected', { ...known, endpoint: `eice-${wrong}` }),
      /InstanceConnectEndpointId is not valid/,
    );
    assert.match(
      await fails('AWS_NOT_FOUND', 'rejected', {}, { ephemeralKey: { instance: `i-${wrong}` } }),
      /could not install a key for .* on i-0+f/,
    );
    aws.trouble = { api: { status: 403, code: 'UnauthorizedOperation', message: 'You are not authorized' } };
    assert.match(await fails('AWS_DENIED', 'rejected'), /must allow ec2:Describe/);
    aws.trouble = {
      tunnel: { status: 403, body: '{"ErrorCode":"AccessDenied","Message":"Request is denied"}' },
    };
    assert.match(await fails('AWS_DENIED', 'rejected'), /must allow ec2-instance-connect:OpenTunnel/);
    aws.trouble = {};
    Object.assign(process.env, aws.expired);
    assert.match(await fails('AWS_CREDENTIALS', 'rejected'), /ExpiredToken.*expired.*aws sso login/);
    assert.match(await fails('AWS_CREDENTIALS', 'rejected', known), /open a tunnel.*ExpiredToken/);
    process.env.AWS_SECRET_ACCESS_KEY = 'another secret';
    assert.match(await fails('AWS_CREDENTIALS', 'rejected'), /SignatureDoesNotMatch/);
    assert.match(await fails('AWS_CREDENTIALS', 'rejected', known), /SignatureDoesNotMatch/);
    for (const name of Object.keys(aws.expired)) delete process.env[name];
    process.env.HOME = folder.path; // no ~/.aws there
    assert.match(await fails('AWS_CREDENTIALS', 'rejected'), /no AWS credentials/);
    Object.assign(process.env, aws.env);
    delete process.env.AWS_REGION;
    assert.match(await fails('AWS_REGION', 'rejected'), /Set region/);
    await using session = await endpoint({ region: aws.region }).connect(calm.signal);
    assert.equal(session.broken, undefined, 'or in the settings');
  });

  test('asks AWS through the proxy of the environment', async () => {
    await using proxy = await startHttpProxy();
    const env = { ...process.env, HTTP_PROXY: `http://127.0.0.1:${proxy.port}` };
    await using session = await sftp(entry(), { env }).connect(calm.signal);
    assert.equal(session.broken, undefined);
    // Those to the double are plain HTTP; at AWS they are HTTPS (HTTPS_PROXY), which the same agents do by CONNECT.
    const { host } = new URL(aws.env.AWS_ENDPOINT_URL_EC2 ?? '');
    const asked = () =>
      proxy
        .log()
        .split('\n')
        .filter((line) => line.includes(`POST http://${host}/`));
    await until('the proxy to tell', () => asked().length >= 3).catch(() => assert.fail(proxy.log()));
    assert.equal(asked().length, 3, proxy.log());
    const around = { ...env, HTTP_PROXY: `http://127.0.0.1:${await freePort()}` };
    assert.equal(
      (await rejection(sftp(entry(), { env: around }).connect(calm.signal))).code,
      'AWS_UNREACHABLE',
    );
    await using direct = await sftp(entry(), { env: { ...around, NO_PROXY: '127.0.0.1' } }).connect(
      calm.signal,
    );
    assert.equal(direct.broken, undefined);
  });

  test('counts quota and throttling as passing troubles', async () => {
    aws.trouble = { api: { status: 503, code: 'RequestLimitExceeded', message: 'Request limit exceeded.' } };
    assert.match(await fails('AWS_THROTTLED', 'unreachable'), /RequestLimitExceeded/);
    aws.trouble = { tunnel: { status: 429, body: 'slow down' } };
    assert.match(await fails('AWS_THROTTLED', 'unreachable'), /20 at once/);
    aws.trouble = { tunnel: { status: 502, body: '' } };
    await fails('AWS_UNREACHABLE', 'unreachable');
    aws.trouble = { noRoute: true };
    assert.match(
      await fails('TUNNEL_CLOSED', 'unreachable'),
      /could not connect to the instance.*security group/,
    );
    aws.trouble = {};
    await until('what was refused to be closed', () => aws.tunnels === 0);
    const server = endpoint({}, { connections: 64 });
    await using open = new AsyncDisposableStack();
    for (let count = 0; count < 20; count += 1) open.use(await server.connect(calm.signal));
    assert.equal((await rejection(server.connect(calm.signal))).code, 'AWS_THROTTLED');
  });

  test('says when the endpoint cannot be reached, or something else answers there', async () => {
    const nobody = { address: '127.0.0.1', dnsName: `localhost:${await freePort()}` };
    assert.match(
      await fails('TUNNEL_CONNECT', 'unreachable', nobody),
      /cannot be reached: .*refused.*port 443/,
    );
    assert.match(
      await fails('TUNNEL_LOST', 'unreachable', { ...nobody, dnsName: `localhost:${sshd.port}` }),
      /broke/,
    );
    const named = { ...nobody, dnsName: `127.0.0.2:${aws.port}` };
    assert.match(await fails('TUNNEL_CONNECT', 'unreachable', named), /refused/);
  });

  test('notices that a tunnel has reached its longest duration', async () => {
    // The end comes at a word of ours: a login may take longer than any duration for which one would like to wait.
    aws.trouble = { expire: { afterBytes: Number.POSITIVE_INFINITY, times: 1 } };
    await using session = await endpoint({ maxDuration: '1s' }).connect(calm.signal);
    assert.ok(aws.asked.includes(`openTunnel 127.0.0.1:${sshd.port} 1`));
    aws.expireTunnels();
    await until('the tunnel to be closed', () => session.broken !== undefined);
    assert.deepEqual([session.broken?.code, session.broken?.kind], ['TUNNEL_EXPIRED', 'unreachable']);
  });

  test('goes on in a new tunnel when one has reached its longest duration, and leaves no trace', async () => {
    await using home = await makeHome();
    await home.endpoints({ private: { type: 'sftp', ...entry({ maxDuration: '1s' }), connections: 1 } });
    await home.job('drop', {
      from: './outbox',
      to: { endpoint: 'private', path: `${sshd.folder}/drop` },
      settle: '0s',
    });
    const sizeBytes = 60_000_000;
    aws.trouble = { expire: { afterBytes: 20_000_000, times: 2 } };
    await writeContent(join(home.outbox, 'large.bin'), 'large', sizeBytes);
    const env = { ...aws.env, FERRY_LOG: 'debug' };
    const run = await home.ferry(['run', 'drop', '--json'], env);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(
      await sha256OfFile(join(sshd.folder, 'drop', 'large.bin')),
      sha256OfContent('large', sizeBytes),
    );
    const opened = aws.asked.filter((line) => line === `openTunnel 127.0.0.1:${sshd.port} 1`).length;
    assert.ok(opened > 2, `${opened} tunnels`);
    assert.match(run.stderr, /was closed after \d+ s: The tunnel has reached its longest duration/);
    const [delivery] = (await home.ferry(['history', '--json'], env)).lines();
    assert.equal(delivery?.attempts, 1, 'no attempt was spent');
    const check = await home.ferry(['check', 'private'], env);
    assert.equal(check.code, 0, check.stdout);
    assert.match(check.stdout, /✓ aws tunnel/);

    const said = [run, check].map(({ stdout, stderr }) => stdout + stderr);
    const kept = await Promise.all(
      (await filesOf(home.path))
        .filter((path) => !path.startsWith('outbox/'))
        .map((path) => readFile(join(home.path, path), 'latin1')),
    );
    const installed = (await readFile(join(folder.path, 'authorized_keys'), 'utf8')).trim().split('\n');
    const publicParts = installed.map((line) => line.split(' ')[1] ?? '');
    assert.ok(publicParts.length > 0 && kept.length > 0);
    const { AWS_SECRET_ACCESS_KEY = '', AWS_SESSION_TOKEN = '' } = aws.env;
    const secrets = [
      AWS_SECRET_ACCESS_KEY,
      AWS_SESSION_TOKEN,
      'X-Amz-Signature',
      'PRIVATE KEY',
      ...publicParts,
    ];
    for (const text of [...said, ...kept])
      for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} was written`);
  });
});
