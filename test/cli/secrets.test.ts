/** Secrets of every kind, with all the trouble that makes a program talk: they are nowhere but where they belong. */

import assert from 'node:assert/strict';
import { glob, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Ended, endpointOf, makeHome } from '../support/ferry.ts';
import { freePort } from '../support/ports.ts';
import { startRedis } from '../support/redis.ts';
import { makeKey, startSshd } from '../support/sshd.ts';
import { until } from '../support/until.ts';

const SECRETS = {
  password: 'pw-s3cret-one',
  passphrase: 'pp-s3cret-two',
  fromFile: 'file-s3cret-three',
  fromEnvironment: 'env-s3cret-four',
  proxy: 'proxy-s3cret-five',
  redis: 'redis-s3cret-six',
  token: 'token-s3cret-seven',
};
/** As they are, and as they stand in a URL or in HTTP's basic authentication. */
const FORBIDDEN = /s3cret/;

function assertSilent(text: string, where: string): void {
  assert.doesNotMatch(text, FORBIDDEN, where);
  const coded = Buffer.from(`user:${SECRETS.proxy}`).toString('base64');
  assert.ok(!text.includes(coded), where);
}

function output({ stdout, stderr }: Ended): string {
  return stdout + stderr;
}

/** The command lines of all processes. */
async function commandLines(): Promise<string> {
  let all = '';
  for await (const file of glob('/proc/[0-9]*/cmdline'))
    all += (await readFile(file, 'utf8').catch(() => '')).replaceAll('\0', ' ');
  return all;
}

test('no secret reaches the log, the command line’s words, the pages, the ledger, the queue or a process list', async () => {
  await using home = await makeHome();
  await using server = await startSshd({ config: ['PasswordAuthentication yes'] });
  await using redis = await startRedis('--requirepass', SECRETS.redis);
  const [locked, closed] = [await makeKey(join(home.path, 'locked'), 'ed25519', 'another'), await freePort()];
  await writeFile(join(home.path, 'secret'), SECRETS.fromFile, { mode: 0o600 });
  const bad: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    password: { key: undefined, password: SECRETS.password },
    passphrase: { key: locked, passphrase: SECRETS.passphrase },
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: as people write it
    file: { key: undefined, password: '${file:./secret}' },
    environment: { key: undefined, password: '${env:SECRET}' },
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: as people write it
    proxy: { proxy: `http://user:${SECRETS.proxy}@127.0.0.1:${closed}` },
  };
  const endpoints = Object.entries(bad).map(([name, settings]) => [name, endpointOf(server, settings)]);
  await home.endpoints(Object.fromEntries(endpoints));
  await home.job('drop', {
    from: './outbox',
    to: Object.keys(bad).map((endpoint) => ({ endpoint, path: 'in' })),
    settle: '0s',
    when: { watch: true },
  });
  await writeFile(join(home.outbox, 'f'), 'x');
  const env = {
    REDIS_URL: redis.url.replace('//', `//:${SECRETS.redis}@`),
    FERRY_HTTP_TOKEN: SECRETS.token,
    SECRET: SECRETS.fromEnvironment,
    FERRY_LOG: 'debug',
  };

  const worker = home.start(['start'], env);
  const endpointsInTrouble = async (): Promise<number> => {
    const rows = (await home.ferry(['status', '--json'], env)).lines();
    return rows.filter((row) => row.state === 'held' || row.state === 'stopped').length;
  };
  await until(
    'every endpoint to be in trouble',
    async () => (await endpointsInTrouble()) === endpoints.length,
    {
      timeoutMs: 60_000,
    },
  );
  assertSilent(await commandLines(), 'the process list');
  const keys = (await redis.cli('--no-auth-warning', '-a', SECRETS.redis, 'KEYS', '*'))
    .split('\n')
    .filter(Boolean);
  assert.ok(keys.length > 0);
  for (const key of keys)
    assertSilent(key + (await redis.cli('--no-auth-warning', '-a', SECRETS.redis, 'DUMP', key)), key);
  for (const page of ['', 'healthz', 'metrics', 'queues'])
    assertSilent(await (await fetch(`http://${home.http}/${page}`)).text(), `/${page}`);
  await redis.stop();
  await until('the loss of Redis to be told', () => /lost Redis/.test(worker.output()));
  assertSilent(output(await worker.stop()), 'the log');

  for (const command of [
    ['check'],
    ['run', 'drop', '--timeout', '20s'],
    ['status'],
    ['history', '--json', '--attempts'],
    ['plan', 'drop'],
  ])
    assertSilent(output(await home.ferry(command, { SECRET: env.SECRET })), command.join(' '));
  assertSilent(output(await home.ferry(['run', 'drop'], env)), 'a Redis that is gone');
  for (const file of ['ledger.sqlite', 'ledger.sqlite-wal'])
    assertSilent(await readFile(join(home.dataFolder, file), 'latin1').catch(() => ''), file);
});
