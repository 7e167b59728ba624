/**
 * Load balancers that forget idle flows, before servers in a private subnet: what Ferry does about them, run as a
 * person runs it on the on-prem host. Limits are seconds here where they are 350 (NLB) or 60 (CLB) in the cloud.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpointOf, makeHome } from './support/ferry.ts';
import { type Lines, linesOver, overBalancer } from './support/line.ts';
import { type PrivateNetwork, privateNetwork } from './support/private-network.ts';
import { descendantsOf } from './support/processes.ts';
import type { Sshd } from './support/sshd.ts';
import { until } from './support/until.ts';

const LIMIT_S = 3;
const LIMIT_MS = LIMIT_S * 1_000;
/** After so long without traffic every balancer has forgotten. */
const PAST_LIMIT_MS = LIMIT_MS + 1_500;
/** A connection from which nothing is heard is given up after so long, and a quarter more at most. */
const TIMEOUT_MS = 4_000;
/** What a machine with a lot to do may take longer. */
const SLACK_MS = 10_000;

let network: PrivateNetwork;
before(async () => {
  network = await privateNetwork({ limitSeconds: LIMIT_S });
});
after(() => network[Symbol.asyncDispose]());

function note(t: TestContext, text: string): void {
  t.diagnostic(`note: ${text}`);
}

function logins(...servers: readonly Sshd[]): number {
  return servers.reduce((sum, server) => sum + server.log().split('Accepted publickey').length - 1, 0);
}

/** Until a part of a file is there. */
async function underWay(line: Lines, job = 0): Promise<void> {
  const begun = async (): Promise<boolean> => {
    const names = await readdir(line.inbox(job)).catch(() => []);
    const sizes = names.map((name) => stat(join(line.inbox(job), name)).catch(() => undefined));
    return (await Promise.all(sizes)).some((file) => file !== undefined && file.size > 0);
  };
  await until('a file to be under way', begun, { timeoutMs: 60_000 });
}

/** Processes that serve SFTP in the sessions that are open. */
async function sftpProcesses(): Promise<readonly number[]> {
  const own = new Set(await descendantsOf(process.pid));
  return execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((text) => /sshd: .*internal-sftp/.test(text))
    .map((text) => Number.parseInt(text, 10))
    .filter((pid) => own.has(pid));
}

describe('a private network', () => {
  test('is reached through the balancer or the bastion, and in no other way', async (t) => {
    note(t, network.description);
    await using balancer = await network.balancer({});
    const { onPrem: within, bastion } = network;
    const [server] = network.targets;
    await using home = await makeHome(within === undefined ? {} : { within });
    await home.endpoints({
      balanced: overBalancer(network, balancer),
      jumped: endpointOf(server, { via: ['bastion'] }),
      bastion: endpointOf(bastion),
      direct: endpointOf(server, { connectTimeout: '2s' }),
    });
    for (const name of ['balanced', 'jumped']) {
      const check = await home.ferry(['check', name, '--json']);
      assert.equal(check.code, 0, check.stdout);
    }
    if (within === undefined) return; // on loopback everything can be reached
    const direct = await home.ferry(['check', 'direct', '--json']);
    assert.equal(direct.code, 3, direct.stdout);
    const step = direct.lines().at(-1);
    assert.equal(step?.step, 'tcp');
    assert.match(String(step?.means), /security group/);
  });
});

describe('over balancers that forget after a few seconds', { concurrency: true }, () => {
  test('a file after an idle time still arrives, without using an attempt', async (t) => {
    const targets = [network.targets[1]];
    await using nlb = await network.balancer({ targets, how: 'rst' });
    await using clb = await network.balancer({ targets, how: 'fin' });
    await using firewall = await network.balancer({ targets, how: 'nothing' });
    const balancers = [nlb, clb, firewall];
    // idleTimeout is left at its default, far above what these balancers do; a third of timeout, the longest time
    // between keep-alives, is more than they wait, too.
    const timeoutMs = 9 * LIMIT_MS;
    await using lines = await linesOver(balancers, { network, entry: { timeout: `${timeoutMs}ms` } });
    const each = (work: (job: number) => Promise<unknown>): Promise<unknown> =>
      Promise.all(balancers.keys().map(work));
    await each((job) => lines.drop('before', 10_000, job));
    await each(async (job) => assert.equal(await lines.arrived('before', 10_000, { job }), 1));
    const before = logins(...targets);
    // A keep-alive that falls early into a pause keeps a flow known: the next pause has none.
    let pauses = 0;
    let counts: readonly number[] = balancers.map(() => 0);
    for (; counts.some((count) => count === 0); pauses += 1) {
      assert.ok(pauses < 4, `sessions that were forgotten, of each balancer: ${counts.join()}`);
      await sleep(PAST_LIMIT_MS);
      const sinceMs = performance.now();
      await each((job) => lines.drop(`after-${pauses}`, 10_000, job));
      await each(async (job) => assert.equal(await lines.arrived(`after-${pauses}`, 10_000, { job }), 1));
      const tookMs = performance.now() - sinceMs;
      assert.ok(tookMs < timeoutMs * 1.25 + SLACK_MS, `where nobody answers it took ${tookMs} ms`);
      counts = await Promise.all(balancers.map((balancer) => balancer.forgotten()));
    }
    assert.ok(logins(...targets) >= before + 3, 'new sessions were made');
    note(
      t,
      `NLB, CLB, NLB behind a firewall that eats its RST: 3 sessions forgotten, ${3 + 3 * pauses} files, 1 attempt each`,
    );
  });

  test('a check measures the limit, and says when the keep-alives come too late for it', async (t) => {
    const targets = [network.targets[1]];
    await using nlb = await network.balancer({ targets, how: 'rst' });
    await using clb = await network.balancer({ targets, how: 'fin' });
    const { onPrem: within } = network;
    await using home = await makeHome(within === undefined ? {} : { within });
    await home.endpoints({
      nlb: overBalancer(network, nlb),
      clb: overBalancer(network, clb),
      fits: overBalancer(network, nlb, { idleTimeout: '1s' }),
      late: overBalancer(network, nlb, { idleTimeout: '1s', keepAlive: '9s' }),
    });
    const measured = async (name: string): Promise<Readonly<Record<string, unknown>>> => {
      const check = await home.ferry(['check', name, '--json', `--idle=${(8 * LIMIT_S) / 3}s`]);
      const steps = check.lines();
      assert.ok(
        steps.some((step) => step.step === 'idle limit' && step.underway === true),
        check.stdout,
      );
      const last = steps.at(-1) ?? {};
      assert.equal(check.code, last.ok === true ? 0 : 3);
      return last;
    };
    const [forgets, closes, fits, late] = await Promise.all(['nlb', 'clb', 'fits', 'late'].map(measured));
    assert.match(String(forgets?.saw), /forgotten after .* and what comes later is reset/);
    assert.match(String(closes?.saw), /closed after [3-9](\.\d)? s/);
    for (const step of [forgets, closes, late]) {
      assert.equal(step?.ok, false);
      assert.match(String(step?.means), /shorter than the keep-alive/);
      assert.match(String(step?.advice), /Set idleTimeout: [1-9]s/);
    }
    assert.match(String(late?.advice), /leave keepAlive out/);
    assert.equal(fits?.ok, true);
    assert.match(String(fits?.saw), /fits/);
    note(t, `measured: ${forgets?.saw}; ${closes?.saw} (they are set to ${LIMIT_S} s)`);
  });

  test('a transfer longer than many limits is never taken for dead while bytes move', async (t) => {
    const sizeBytes = 7_000_000;
    const targets = [network.targets[0]];
    await network.uplink(400_000);
    try {
      await using balancer = await network.balancer({ targets });
      const entry = { idleTimeout: `${LIMIT_S}s`, timeout: `${TIMEOUT_MS}ms` };
      await using line = await linesOver([balancer], { network, entry });
      const before = logins(...targets);
      const sinceMs = performance.now();
      await line.drop('long', sizeBytes);
      assert.equal(await line.arrived('long', sizeBytes, { timeoutMs: 120_000 }), 1);
      const tookMs = performance.now() - sinceMs;
      assert.ok(tookMs > 5 * LIMIT_MS, `it took ${tookMs} ms`);
      assert.equal(logins(...targets) - before, 1, 'one session, from the first byte to the last');
      assert.equal(await balancer.forgotten(), 0);
      note(
        t,
        `a transfer of ${(tookMs / LIMIT_MS).toFixed(1)} limits: 1 session, 1 attempt, 0 flows forgotten`,
      );
    } finally {
      await network.uplink(undefined);
    }
  });
});

describe('keep-alive', () => {
  test('keeps every flow known while the server takes its time', async (t) => {
    await network.uplink(1_400_000);
    try {
      await using nlb = await network.balancer({ how: 'rst' });
      await using clb = await network.balancer({ how: 'fin' });
      const entry = { idleTimeout: `${LIMIT_S}s` };
      await using lines = await linesOver([nlb, clb], { network, entry });
      const before = logins(...network.targets);
      for (const job of [0, 1]) await lines.drop('held', 4_000_000, job);
      for (const job of [0, 1]) await underWay(lines, job);
      const held = await sftpProcesses();
      assert.ok(held.length >= 2);
      // SFTP stands still for three limits; its sshd answers keep-alives all the same.
      for (const pid of held) process.kill(pid, 'SIGSTOP');
      await sleep(3 * LIMIT_MS);
      for (const pid of held) process.kill(pid, 'SIGCONT');
      for (const job of [0, 1]) assert.equal(await lines.arrived('held', 4_000_000, { job }), 1);
      assert.equal(logins(...network.targets) - before, 2);
      for (const balancer of [nlb, clb]) assert.equal(await balancer.forgotten(), 0);
      note(t, 'sessions over NLB and CLB that stood still for 3 limits: 0 flows forgotten');
    } finally {
      await network.uplink(undefined);
    }
  });
});

describe('a balancer that swallows everything', () => {
  test('is noticed within the timeout and a quarter, and costs the file nothing', async (t) => {
    await network.uplink(500_000);
    try {
      await using balancer = await network.balancer({});
      const entry = { timeout: `${TIMEOUT_MS}ms`, connectTimeout: '4s' };
      await using line = await linesOver([balancer], { network, entry });
      await line.drop('swallowed', 3_000_000);
      await underWay(line);
      const sinceMs = performance.now();
      await balancer.blackHole(true);
      await until('the worker to notice', () => /gave no sign of life/.test(line.worker.output()), {
        timeoutMs: 30_000,
      }).catch(() => assert.fail(line.worker.output()));
      const tookMs = performance.now() - sinceMs;
      assert.ok(tookMs < TIMEOUT_MS * 1.25 + SLACK_MS, `noticed after ${tookMs} ms`);
      await balancer.blackHole(false);
      assert.equal(await line.arrived('swallowed', 3_000_000), 1);
      note(t, `a black hole was noticed after ${(tookMs / TIMEOUT_MS).toFixed(2)} of the timeout; 1 attempt`);
    } finally {
      await network.uplink(undefined);
    }
  });
});

describe('two targets behind one name', () => {
  test('with two host keys: one goes away in the middle of a file, and the other gets it', async (t) => {
    const sizeBytes = 6_000_000;
    await network.uplink(1_000_000);
    try {
      await using balancer = await network.balancer({});
      const [one, other] = network.targets;
      await using line = await linesOver([balancer], { network });
      const before = [one, other].map((server) => server.log().length);
      await line.drop('big', sizeBytes);
      await underWay(line);
      const isUsed = (n: number): boolean =>
        [one, other][n]?.log().slice(before[n]).includes('Accepted publickey') === true;
      await until('one of them to tell of the login', () => isUsed(0) || isUsed(1));
      const [leaves, stays] = isUsed(0) ? [one, other] : [other, one];
      await balancer.toTargets([stays]);
      await leaves.stop();
      assert.equal(await line.arrived('big', sizeBytes), 1);
      await leaves.start();
      note(t, 'a target that went away in the middle of a file: delivered by the other, 1 attempt');
    } finally {
      await network.uplink(undefined);
    }
  });

  test('are both shown by a check, which says that files land on either', async () => {
    await using balancer = await network.balancer({});
    const { onPrem: within, targets } = network;
    await using home = await makeHome(within === undefined ? {} : { within });
    const [one, other] = targets.map((server) => server.hostKeyFingerprint);
    await home.endpoints({ both: overBalancer(network, balancer) });
    const check = await home.ferry(['check', 'both', '--json']);
    assert.equal(check.code, 0, check.stdout);
    const hosts = check.lines().find((step) => step.step === 'hosts');
    assert.ok(hosts?.warning === true, check.stdout);
    assert.ok(String(hosts.saw).includes(one ?? '?') && String(hosts.saw).includes(other ?? '?'));
    assert.match(String(hosts.advice), /one disk/);
  });
});
