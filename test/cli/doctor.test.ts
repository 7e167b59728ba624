/** What `ferry check` says of a broken road: the step, what it means, what to do. Each is broken by its real cause. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { sftp } from '../endpoints/sftp/kit.ts';
import { makeCertificates } from '../support/certificates.ts';
import { ENDPOINT, INSTANCE, startEc2Double } from '../support/ec2-double.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { endpointOf, type Home, makeHome } from '../support/ferry.ts';
import { temporaryFolder } from '../support/files.ts';
import { hangingPort } from '../support/hanging-port.ts';
import { freePort } from '../support/ports.ts';
import { makeKey, type Sshd, type SshdOptions, startSshd } from '../support/sshd.ts';

type Step = Readonly<Record<string, unknown>>;

let undo: AsyncDisposableStack;
let home: Home;
let server: Sshd;
/** A private key that nobody knows, one of RSA, and one that only leads to a friendly word. */
let keys: Readonly<Record<'stranger' | 'rsa' | 'image', string>>;

before(async () => {
  undo = new AsyncDisposableStack();
  home = undo.use(await makeHome());
  const folder = undo.use(await temporaryFolder('keys'));
  const at = (name: string): string => join(folder.path, name);
  keys = {
    stranger: await makeKey(at('stranger')),
    rsa: await makeKey(at('rsa'), 'rsa'),
    image: await makeKey(at('image')),
  };
  const publicHalf = async (file: string): Promise<string> => (await readFile(`${file}.pub`, 'utf8')).trim();
  // As the images of AWS have it for every user but their own.
  const polite = `command="echo 'Please login as the user \\"admin\\" rather than the user \\"root\\".'; sleep 1"`;
  server = await sshd({
    authorized: [await publicHalf(keys.rsa), `${polite} ${await publicHalf(keys.image)}`],
  });
});
after(() => undo[Symbol.asyncDispose]());

async function sshd(options: SshdOptions = {}): Promise<Sshd> {
  return undo.use(await startSshd(options));
}

/** A port of loopback that this server serves. */
async function portOf(listener: Server): Promise<number> {
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  undo.defer(() => void listener.close());
  return (listener.address() as AddressInfo).port;
}

/** Checks these endpoints in one go. */
async function check(
  entries: Readonly<Record<string, object>>,
  env: Readonly<Record<string, string>> = {},
): Promise<(name: string) => { readonly steps: readonly Step[]; readonly last: Step }> {
  await home.endpoints(entries as Record<string, unknown>);
  const ended = await home.ferry(['check', ...Object.keys(entries), '--json'], env);
  return (name) => {
    const steps = ended.lines().filter((step) => step.endpoint === name);
    const last = steps.at(-1);
    assert.ok(last, `${name}: ${ended.stdout}${ended.stderr}`);
    return { steps, last };
  };
}

/** It broke at that step, and says so in these words. */
function broken(last: Step, step: string, saw: RegExp, means: RegExp, advice: RegExp): void {
  assert.deepEqual([last.ok, last.step], [false, step], JSON.stringify(last));
  assert.match(String(last.saw), saw);
  assert.match(String(last.means), means);
  assert.match(String(last.advice), advice);
}

describe('the doctor', () => {
  test('tells packets that are dropped from a port that nobody serves, and from one that says nothing', async () => {
    const dropped = undo.use(await hangingPort());
    const mute = await portOf(createServer());
    const of = await check({
      dropped: endpointOf(server, { port: dropped.port, connectTimeout: '4s' }),
      refused: endpointOf(server, { port: await freePort() }),
      mute: endpointOf(server, { port: mute, connectTimeout: '4s' }),
    });
    broken(of('dropped').last, 'tcp', /did not answer within/, /security group.*route/, /security group/);
    broken(of('refused').last, 'tcp', /refused/, /nothing listens/, /sshd/);
    broken(of('mute').last, 'banner', /waiting for an SSH banner/, /says nothing.*unhealthy/, /health/);
  });

  test('names an Application Load Balancer, a web server and a TLS port as what they are', async () => {
    const web = createHttpServer();
    const alb = createHttpServer().on('clientError', (_error, socket) => {
      socket.end('HTTP/1.1 400 Bad Request\r\nServer: awselb/2.0\r\nConnection: close\r\n\r\n');
    });
    await using certificates = await makeCertificates();
    const { certFile, keyFile } = await certificates.server('good');
    const tls = createTlsServer({ cert: await readFile(certFile), key: await readFile(keyFile) });
    tls.on('tlsClientError', () => undefined);
    const of = await check({
      alb: endpointOf(server, { port: await portOf(alb) }),
      web: endpointOf(server, { port: await portOf(web) }),
      tls: endpointOf(server, { port: await portOf(tls) }),
    });
    broken(
      of('alb').last,
      'banner',
      /HTTP \(awselb/,
      /is an Application Load Balancer/,
      /Network Load Balancer/,
    );
    broken(of('web').last, 'banner', /HTTP, not SSH/, /web server or an Application/, /right port/);
    broken(of('tls').last, 'banner', /speaks TLS/, /HTTPS or FTPS/, /TCP listener/);
  });

  test('tells a wrong user, a key that is not authorized, and a policy against RSA keys apart as far as a server does', async () => {
    const strict = await sshd({
      config: ['RequiredRSASize 3072'],
      authorized: [await readFile(`${keys.rsa}.pub`, 'utf8')],
    });
    const sha2 = await sshd({
      config: ['PubkeyAcceptedAlgorithms -ssh-rsa'],
      authorized: [await readFile(`${keys.rsa}.pub`, 'utf8')],
    });
    const of = await check({
      user: endpointOf(server, { user: 'ec2-user' }),
      key: endpointOf(server, { key: keys.stranger }),
      image: endpointOf(server, { key: keys.image }),
      rsa: endpointOf(strict, { key: keys.rsa }),
      sha2: endpointOf(sha2, { key: keys.rsa }),
    });
    const banner = String(of('user').steps.find((step) => step.step === 'banner')?.saw);
    const image = /Debian/.test(banner)
      ? /has the user admin, not ec2-user/
      : /wrong user for the image|Ubuntu/;
    broken(of('user').last, 'login', /refused to log ec2-user in/, image, /Correct user/);
    broken(of('key').last, 'login', /stranger/, /not in that user's ~\/.ssh\/authorized_keys/, /mode 600/);
    broken(of('image').last, 'sftp', /prints text.*"Plea"/, /Please login as the user/, /ec2-user/);
    broken(of('rsa').last, 'login', /rsa \(ssh-rsa\)/, /policy takes no such RSA key.*SHA-1/, /ed25519/);
    assert.equal(of('sha2').last.ok, true, 'where SHA-1 alone is refused, RSA keys sign with SHA-2');
  });

  test('shows both fingerprints of a host key that has changed, and all of several targets', async () => {
    const other = await sshd({ authorized: [await readFile(`${server.keyFile}.pub`, 'utf8')] });
    const proxy = undo.use(await startFaultProxy({ port: server.port }));
    proxy.setTargets([server, other]);
    const hostKey = [server, other].map((each) => each.hostKeyFingerprint);
    const of = await check({
      changed: endpointOf(server, { hostKey: [other.hostKeyFingerprint] }),
      several: endpointOf(server, { port: proxy.port, hostKey }),
    });
    const { last } = of('changed');
    assert.deepEqual([last.ok, last.step], [false, 'host key']);
    for (const fingerprint of hostKey) assert.ok(String(last.saw).includes(fingerprint), String(last.saw));
    assert.match(String(last.advice), /ferry trust changed/);
    const hosts = of('several').steps.find((step) => step.step === 'hosts');
    assert.equal(hosts?.warning, true);
    for (const fingerprint of hostKey) assert.ok(String(hosts?.saw).includes(fingerprint));
    assert.match(String(hosts?.means), /land on any of these hosts/);
  });

  test('says what a server offers that allows only post-quantum key exchanges', async () => {
    const modern = await sshd({ config: ['KexAlgorithms sntrup761x25519-sha512@openssh.com'] });
    const of = await check({ modern: endpointOf(modern) });
    broken(of('modern').last, 'key exchange', /only sntrup761x25519-sha512/, /post-quantum/, /curve25519/);
  });

  test('names the jump host that forbids forwarding', async () => {
    const shellLess = ['ForceCommand /bin/false', 'MaxSessions 0'];
    const none = await sshd({ sftp: false, config: [...shellLess, 'AllowTcpForwarding no'] });
    const elsewhere = await sshd({ sftp: false, config: [...shellLess, 'PermitOpen 127.0.0.1:1'] });
    const of = await check({
      one: endpointOf(server, { via: ['none'] }),
      two: endpointOf(server, { via: ['elsewhere'] }),
      none: endpointOf(none),
      elsewhere: endpointOf(elsewhere),
    });
    for (const [name, jump] of [
      ['one', 'none'],
      ['two', 'elsewhere'],
    ] as const) {
      const { last, steps } = of(name);
      assert.deepEqual([last.ok, last.step], [false, 'hop']);
      assert.match(String(last.saw), new RegExp(`^${jump} does not forward`));
      assert.match(String(last.advice), /AllowTcpForwarding.*PermitOpen/);
      assert.ok(steps.some((step) => step.host === jump && step.step === 'login' && step.ok === true));
    }
  });

  test('tells a proxy command that is not installed from one that has no credentials', async () => {
    const ssm = ['ssm', 'start-session', '--target', 'i-0123456789abcdef0', '--region', 'ap-northeast-1'];
    const session = [...ssm, '--document-name', 'AWS-StartSSHSession', '--parameters', 'portNumber=%p'];
    const nowhere = join(home.path, 'nowhere');
    const of = await check(
      {
        missing: endpointOf(server, { proxyCommand: ['aws-not-here', ...session] }),
        shell: endpointOf(server, { proxyCommand: { shell: 'aws-not-here start | cat' } }),
        unknown: endpointOf(server, { proxyCommand: ['aws', ...session] }),
      },
      {
        AWS_CONFIG_FILE: nowhere,
        AWS_SHARED_CREDENTIALS_FILE: nowhere,
        AWS_EC2_METADATA_DISABLED: 'true',
      },
    );
    broken(of('missing').last, 'proxy command', /not found/, /not installed/, /Install aws-not-here/);
    assert.deepEqual([of('shell').last.ok, of('shell').last.step], [false, 'proxy command']);
    broken(
      of('unknown').last,
      'proxy command',
      /Unable to locate credentials/,
      /no AWS credentials/,
      /AWS_PROFILE/,
    );
  });

  test('says when an EC2 Instance Connect Endpoint has no tunnel left', async () => {
    await using folder = await temporaryFolder('eice');
    await using certificates = await makeCertificates();
    const authorizedKeys = join(folder.path, 'authorized_keys');
    await writeFile(authorizedKeys, '');
    const instance = await sshd({ config: [`AuthorizedKeysFile ${authorizedKeys}`, 'MaxStartups 100'] });
    await using aws = await startEc2Double({ certificates, authorizedKeys });
    const entry = {
      port: instance.port,
      user: instance.user,
      road: { eice: { instance: INSTANCE, endpoint: ENDPOINT } },
      ephemeralKey: {},
      hostKey: [instance.hostKeyFingerprint],
    };
    const environment = { ...process.env };
    Object.assign(process.env, aws.env); // the SDK reads it by itself
    try {
      const others = sftp(entry, { env: process.env });
      const open = [];
      // As many as an endpoint takes at once.
      for (let n = 0; n < 20; n += 1) open.push(await others.bare(new AbortController().signal));
      const of = await check({ tunnelled: { type: 'sftp', ...entry } }, aws.env);
      for (const { client } of open) client.destroy();
      broken(of('tunnelled').last, 'aws tunnel', /TooManyRequests/, /20 at once/, /Fewer connections/);
    } finally {
      process.env = environment;
    }
  });
});
