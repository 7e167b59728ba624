/** A connector as a person uses it, through the command line; the Transfer API is paced and throttled as at AWS. */

import assert from 'node:assert/strict';
import { rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Home, makeHome } from '../../support/ferry.ts';
import { contentOf, sha256Of } from '../../support/files.ts';
import { until } from '../../support/until.ts';
import { startPartner } from './kit.ts';

const partner = await startPartner({ asAtAws: true });
const { api, outside, server } = partner;
after(() => partner[Symbol.asyncDispose]());

const env = {
  AWS_ENDPOINT_URL_TRANSFER: api.url,
  AWS_ENDPOINT_URL_S3: partner.s3Url,
  AWS_REGION: api.region,
  AWS_ACCESS_KEY_ID: api.user.accessKeyId,
  AWS_SECRET_ACCESS_KEY: api.user.secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
};

/** A home with the endpoint and a job that delivers to a folder at the partner. */
async function home(folder: string, entry: object = {}): Promise<Home> {
  const made = await makeHome();
  await outside.mkdir(folder);
  await made.endpoints({
    partner: {
      type: 'connector',
      connector: api.connectorId,
      staging: { bucket: partner.bucketName, prefix: 'staging/' },
      poll: '100ms',
      ...entry,
    },
  });
  await made.job('send', {
    from: './outbox',
    to: { endpoint: 'partner', path: join(server.folder, folder) },
    settle: '0s',
  });
  return made;
}

test('run stages, sends, confirms and clears; the receipt names the transfer', async () => {
  await using site = await home('run');
  const names = Array.from({ length: 12 }, (_, i) => `a-${i}.csv`);
  for (const name of names) await writeFile(join(site.outbox, name), contentOf(name, 0, 5_000));
  const ended = await site.ferry(['run', 'send', '--json'], env);
  assert.equal(ended.code, 0, ended.stderr);
  const [summary] = ended.lines();
  assert.deepEqual([summary?.delivered, summary?.failed], [12, 0]);
  for (const name of names)
    assert.equal(await outside.sha256(`run/${name}`), sha256Of(contentOf(name, 0, 5_000)));
  const history = (await site.ferry(['history', '--json'], env)).lines();
  assert.equal(history[0]?.sha256, sha256Of(contentOf(String(history[0]?.path), 0, 5_000)));
  assert.deepEqual(await partner.bucket.tree(), [], 'nothing is left in the bucket');
  const calls = api.callsOf('StartFileTransfer');
  assert.ok(calls.every(({ SendFilePaths = [] }) => SendFilePaths.length <= 10));
});

test('start that is killed while AWS is at work asks after the transfer at the next start, and sends once', async () => {
  await using site = await home('killed');
  await writeFile(join(site.outbox, 'once.csv'), 'sent once');
  await site.job('send', {
    from: './outbox',
    to: { endpoint: 'partner', path: join(server.folder, 'killed') },
    when: { watch: true },
    settle: '0s',
  });
  const before = api.files.length;
  api.hold();
  const worker = await site.worker(env);
  await until('the transfer to be accepted', () => api.files.length > before, { timeoutMs: 60_000 });
  // That the id is noted shows in that it is asked after.
  const asked = api.callsOf('ListFileTransferResults').length;
  await until('it to be asked after', () => api.callsOf('ListFileTransferResults').length > asked, {
    timeoutMs: 60_000,
  });
  await until(
    'no place at work to be held, but for the moment of asking',
    async () => /1 owed \(9 B\), 1 under way {2}0 sending/.test((await site.ferry(['status'], env)).stdout),
    { timeoutMs: 60_000 },
  );
  await worker.stop('SIGKILL');
  const next = await site.worker(env);
  api.release();
  await until('the file to arrive', () => outside.sha256('killed/once.csv'), { timeoutMs: 60_000 });
  await until(
    'the receipt',
    async () => (await site.ferry(['history', '--json', '--state', 'delivered'], env)).lines().length === 1,
    { timeoutMs: 60_000, everyMs: 300 },
  );
  assert.equal((await next.stop()).code, 0);
  assert.deepEqual(
    api.files.slice(before).map(({ name }) => name),
    ['once.csv'],
  );
});

test('a newer version waits until the older one has arrived, and both arrive in their order', async () => {
  await using site = await home('newer');
  const file = join(site.outbox, 'report.csv');
  await writeFile(file, 'the first');
  await site.job('send', {
    from: './outbox',
    to: { endpoint: 'partner', path: join(server.folder, 'newer') },
    when: { watch: true },
    settle: '0s',
  });
  const before = api.files.length;
  api.hold();
  const worker = await site.worker(env);
  await until('the transfer to be accepted', () => api.files.length > before, { timeoutMs: 60_000 });
  await writeFile(file, 'the second, which is longer');
  await until(
    'the second to be owed',
    async () => (await site.ferry(['history', '--json'], env)).lines().length === 2,
    { timeoutMs: 60_000, everyMs: 300 },
  );
  assert.equal(api.files.length, before + 1);
  api.release();
  await until(
    'both to be delivered',
    async () => (await site.ferry(['history', '--json', '--state', 'delivered'], env)).lines().length === 2,
    { timeoutMs: 60_000, everyMs: 300 },
  );
  assert.equal(await outside.sha256('newer/report.csv'), sha256Of('the second, which is longer'));
  assert.equal((await worker.stop()).code, 0);
});

test('a file that is too large is refused at the scan, in plan and in run', async () => {
  await using site = await home('large');
  await writeFile(join(site.outbox, 'huge.bin'), '');
  await truncate(join(site.outbox, 'huge.bin'), 151 * 1024 ** 3);
  await writeFile(join(site.outbox, 'small.bin'), 'small');
  const plan = await site.ferry(['plan', 'send', '--json'], env);
  const huge = plan.lines().find((row) => row.path === 'huge.bin');
  assert.equal(huge?.action, 'leave');
  assert.match(String(huge?.why), /151\.0 GiB, and partner takes 150\.0 GiB at most/);
  const ended = await site.ferry(['run', 'send', '--json'], env);
  assert.equal(ended.code, 1, 'somebody should know');
  assert.equal(await outside.sha256('large/small.bin'), sha256Of('small'));
  assert.deepEqual(
    await site.ferry(['history', '--json', '--path', 'huge.bin'], env).then((all) => all.lines()),
    [],
  );
});

test('check describes the connector, has it tested, sends, lists and deletes; with VPC Lattice too', async () => {
  await using site = await home('check', { remoteTemp: true });
  await outside.mkdir('check/.ferry-tmp');
  const whole = api.connector;
  const steps = async () => (await site.ferry(['check', 'partner', '--json'], env)).lines();
  const saw = (rows: Awaited<ReturnType<typeof steps>>, step: string) =>
    rows.find((row) => row.step === step);
  try {
    const well = await steps();
    assert.deepEqual(
      well.map(({ step, ok }) => [step, ok]),
      [
        'connector',
        'egress',
        'secret',
        'host keys',
        'connection',
        'staging',
        'write',
        'list',
        'rename',
        'delete',
      ].map((step) => [step, true]),
      JSON.stringify(well),
    );
    assert.match(String(saw(well, 'connector')?.saw), /is ACTIVE, 5 files at once/);
    assert.match(String(saw(well, 'egress')?.saw), /service-managed.*192\.0\.2\.10/);
    assert.match(String(saw(well, 'secret')?.saw), /secretsmanager/);
    assert.match(String(saw(well, 'host keys')?.saw), /ssh-rsa SHA256:/);
    assert.deepEqual(await outside.below('check').tree(), ['.ferry-tmp/']);

    const { Url: _, ...rest } = whole;
    const ResourceConfigurationArn =
      'arn:aws:vpc-lattice:eu-central-1:123456789012:resourceconfiguration/rcfg-0123';
    api.connector = {
      ...rest,
      EgressType: 'VPC_LATTICE',
      EgressConfig: { VpcLattice: { ResourceConfigurationArn, PortNumber: 2222 } },
      SftpConfig: { ...whole.SftpConfig, TrustedHostKeys: [] },
    };
    const lattice = await steps();
    assert.match(String(saw(lattice, 'egress')?.saw), /VPC Lattice.*rcfg-0123, port 2222/);
    assert.equal(saw(lattice, 'host keys')?.warning, true);
    assert.equal(saw(lattice, 'connection')?.ok, false);
    assert.match(String(saw(lattice, 'connection')?.advice), /ferry trust partner/);

    api.connector = { ...whole, SftpConfig: { TrustedHostKeys: whole.SftpConfig?.TrustedHostKeys ?? [] } };
    assert.match(String(saw(await steps(), 'secret')?.advice), /Secrets Manager/);
    api.connector = { ...whole, Status: 'ERRORED', ErrorMessage: 'no such resource configuration' };
    assert.match(String(saw(await steps(), 'connector')?.saw), /ERRORED: no such resource configuration/);
  } finally {
    api.connector = whole;
  }
  for (const [action, step] of [
    ['StartDirectoryListing', 'list'],
    ['StartRemoteDelete', 'delete'],
  ] as const) {
    api.denied.add(`transfer:${action}`);
    const denied = await steps();
    assert.match(String(saw(denied, step)?.advice), new RegExp(`Allow transfer:${action}`));
    api.denied.clear();
  }
  assert.equal(saw(await steps(), 'delete')?.ok, true, 'what was left is not in the way');
  assert.deepEqual(await outside.below('check').tree(), ['.ferry-tmp/']);
});

test('check says what it cannot delete where the login starts', async () => {
  await using site = await home('start');
  await site.job('send', { from: './outbox', to: { endpoint: 'partner', path: 'start' } });
  const ended = await site.ferry(['check', 'send', '--json'], env);
  assert.equal(ended.code, 0, ended.stdout);
  const deleted = ended.lines().find(({ step }) => step === 'delete');
  assert.equal(deleted?.warning, true);
  assert.match(String(deleted?.saw), /start\/\.ferry-check stays there/);
});

test('what is under way for a job or an endpoint that has another name now holds up nobody', async () => {
  await using site = await home('renamed');
  await writeFile(join(site.outbox, 'a.csv'), 'a file');
  const before = api.files.length;
  api.hold();
  const first = site.start(['run', 'send'], env);
  await until('the transfer to be accepted', () => api.files.length > before, { timeoutMs: 60_000 });
  await first.stop();
  await rename(join(site.path, 'jobs/send.yaml'), join(site.path, 'jobs/dispatch.yaml'));
  api.release();
  const ended = await site.ferry(['run', 'dispatch', '--timeout', '60s'], env);
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(await outside.sha256('renamed/a.csv'), sha256Of('a file'));
});

test('trust shows the key that TestConnection saw and the command that pins it; and says when it is pinned', async () => {
  await using site = await home('trust');
  const known = await site.ferry(['trust', 'partner', '--json'], env);
  assert.equal(known.code, 0, known.stderr);
  assert.equal(known.lines()[0]?.pinned, true);
  const whole = api.connector;
  api.connector = { ...whole, SftpConfig: { ...whole.SftpConfig, TrustedHostKeys: [] } };
  try {
    const shown = await site.ferry(['trust', 'partner'], env);
    assert.equal(shown.code, 2);
    const key = server.hostKeys.find(({ fingerprint }) => shown.stdout.includes(fingerprint));
    assert.ok(key, shown.stdout);
    const command = /aws transfer update-connector .*--connector-id (c-\w+) --sftp-config '(.*)'/.exec(
      shown.stdout,
    );
    assert.equal(command?.[1], api.connectorId);
    const config = JSON.parse(command?.[2] ?? '{}');
    assert.deepEqual(config, { ...whole.SftpConfig, TrustedHostKeys: [`${key.type} ${key.key}`] });
    api.connector = { ...whole, SftpConfig: config };
    assert.equal((await site.ferry(['trust', 'partner', '--json'], env)).lines()[0]?.pinned, true);
  } finally {
    api.connector = whole;
  }
});

test('all that it calls is in the policy of the README', async () => {
  const { readFile } = await import('node:fs/promises');
  const readme = await readFile(join(import.meta.dirname, '../../../README.md'), 'utf8');
  const used = new Set(api.calls.map(({ action }) => `transfer:${action}`));
  const allowed = new Set(readme.match(/transfer:[A-Z][a-z]\w+/g));
  assert.deepEqual([...used].sort(), [...allowed].sort());
});
