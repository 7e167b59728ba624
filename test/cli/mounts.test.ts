/** A share that is not mounted looks like an empty folder: with real mounts, that it is never taken for one. */

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Home, makeHome, type Running } from '../support/ferry.ts';
import { filesOf } from '../support/files.ts';
import { mountAgain, mountTmpfs } from '../support/tmpfs.ts';
import { until } from '../support/until.ts';

interface Share {
  readonly home: Home;
  /** The mount point. */
  readonly share: string;
  readonly inbox: string;
  mount(): Promise<void>;
  unmount(): Promise<void>;
}

/** A job whose source lies in a share with `first` in it; mounted. */
async function withShare(
  job: Readonly<Record<string, unknown>>,
  body: (share: Share) => Promise<void>,
): Promise<void> {
  await using home = await makeHome();
  await using disk = await mountTmpfs(1_000_000);
  const [share, inbox] = [join(home.path, 'share'), join(home.path, 'there', 'in')];
  await mkdir(share);
  await mkdir(join(home.path, 'there'));
  let mounted: AsyncDisposable | undefined;
  const unmount = async (): Promise<void> => {
    await mounted?.[Symbol.asyncDispose]();
    mounted = undefined;
  };
  const mount = async (): Promise<void> => {
    mounted = await mountAgain(disk.path, share);
  };
  await mkdir(join(disk.path, 'out'));
  await writeFile(join(disk.path, 'out', 'first'), '1');
  await mkdir(join(share, 'out')); // Below the mount point, so that nothing is missing when it is gone.
  await home.endpoints({ there: { type: 'local', path: './there' } });
  await home.job('drop', {
    from: './share/out',
    to: { endpoint: 'there', path: 'in' },
    settle: '0s',
    ...job,
  });
  await mount();
  try {
    await body({ home, share, inbox, mount, unmount });
  } finally {
    await unmount();
  }
}

async function ready(home: Home): Promise<boolean> {
  return (await fetch(`http://${home.http}/healthz`)).ok;
}

async function alarmed(home: Home): Promise<void> {
  await until('the alarm', async () => {
    const health = await fetch(`http://${home.http}/healthz`).catch(() => undefined);
    return health !== undefined && /drop is not mounted/.test(await health.text());
  });
}

async function arrives(inbox: string, name: string): Promise<void> {
  const arrived = async (): Promise<readonly string[]> => filesOf(inbox).catch(() => []);
  await until(`${name} to arrive`, async () => (await arrived()).includes(name));
}

function ending(worker: Running): AsyncDisposable {
  return { [Symbol.asyncDispose]: async () => void (await worker.stop()) };
}

/** A job whose destination is a share; mounted, and `first` has arrived there. */
async function withDestination(
  to: (home: Home) => Readonly<Record<string, unknown>> | string,
  body: (share: Share) => Promise<void>,
): Promise<void> {
  await using home = await makeHome();
  await using disk = await mountTmpfs(1_000_000);
  const share = join(home.path, 'share');
  await mkdir(share);
  let mounted: AsyncDisposable | undefined;
  const unmount = async (): Promise<void> => {
    await mounted?.[Symbol.asyncDispose]();
    mounted = undefined;
  };
  const mount = async (): Promise<void> => {
    mounted = await mountAgain(disk.path, share);
  };
  await home.endpoints({ store: { type: 'local', path: './share' } });
  await home.job('drop', {
    from: './outbox',
    to: to(home),
    settle: '0s',
    after: 'delete',
    when: { watch: true },
  });
  await mount();
  try {
    await writeFile(join(home.outbox, 'first'), '1');
    const ended = await home.ferry(['run', 'drop']);
    assert.equal(ended.code, 0, ended.stderr);
    await body({ home, share, inbox: share, mount, unmount });
  } finally {
    await unmount();
  }
}

describe('a source that is not mounted', () => {
  test('is told by run and plan with exit code 3, and over when it is mounted again', () =>
    withShare({}, async ({ home, share, inbox, mount, unmount }) => {
      assert.equal((await home.ferry(['run', 'drop'])).code, 0);
      await unmount();
      await writeFile(join(share, 'out', 'beneath'), 'b');

      for (const command of ['run', 'plan']) {
        const ended = await home.ferry([command, 'drop']);
        assert.equal(ended.code, 3, ended.stderr);
        assert.ok(ended.stderr.includes(`${share} is a plain folder now`), ended.stderr);
        assert.match(ended.stderr, /drop is not mounted/);
        assert.match(ended.stderr, /Mount it.*`ferry resume drop` accepts/);
      }
      const [row] = (await home.ferry(['status', '--json'])).lines();
      assert.match(JSON.stringify(row?.alarm), /"UNMOUNTED"/);

      await mount();
      await writeFile(join(share, 'out', 'second'), '2');
      const again = await home.ferry(['run', 'drop', '--json']);
      assert.equal(again.code, 0, again.stderr);
      assert.equal(again.lines()[0]?.delivered, 1);
      assert.deepEqual(await filesOf(inbox), ['first', 'second']);
      assert.equal((await home.ferry(['status', '--json'])).lines()[0]?.alarm, null);
    }));

  test('is accepted as it is by resume', () =>
    withShare({}, async ({ home, share, inbox, unmount }) => {
      assert.equal((await home.ferry(['run', 'drop'])).code, 0);
      await unmount();
      await writeFile(join(share, 'out', 'beneath'), 'b');
      assert.equal((await home.ferry(['run', 'drop'])).code, 3);
      assert.equal((await home.ferry(['resume', 'drop'])).code, 0);
      const ended = await home.ferry(['run', 'drop']);
      assert.equal(ended.code, 0, ended.stderr);
      assert.deepEqual(await filesOf(inbox), ['beneath', 'first']);
    }));

  test('is no alarm where a job has another source now', () =>
    withShare({}, async ({ home, inbox }) => {
      assert.equal((await home.ferry(['run', 'drop'])).code, 0);
      await writeFile(join(home.outbox, 'elsewhere'), 'e');
      await home.job('drop', { from: './outbox', to: { endpoint: 'there', path: 'in' }, settle: '0s' });
      const ended = await home.ferry(['run', 'drop']);
      assert.equal(ended.code, 0, ended.stderr);
      assert.deepEqual(await filesOf(inbox), ['elsewhere', 'first']);
    }));

  test('is an alarm of the worker, which goes on by itself', () =>
    withShare({ when: { watch: true } }, async ({ home, share, inbox, mount, unmount }) => {
      await using _worker = ending(await home.worker());
      await arrives(inbox, 'first');
      await unmount();
      await alarmed(home);
      await writeFile(join(share, 'out', 'beneath'), 'b');
      await sleep(3_000); // Longer than it takes to hear of a file.
      assert.deepEqual(await filesOf(inbox), ['first']);

      await mount();
      await until('the alarm to be over', () => ready(home));
      await writeFile(join(share, 'out', 'second'), '2');
      await arrives(inbox, 'second');

      await unmount();
      await alarmed(home);
      assert.equal((await home.ferry(['resume', 'drop'])).code, 0);
      await until('the alarm to be over', () => ready(home));
      await arrives(inbox, 'beneath');
    }));

  test('keeps what it owes due: nothing is called deleted, no attempt is spent', () =>
    withShare({ when: {} }, async ({ home, share, inbox, mount, unmount }) => {
      const rows = async (): Promise<readonly unknown[]> =>
        (await home.ferry(['history', '--json'])).lines().map(({ id, path, state, attempts }) => {
          return { id, path, state, attempts };
        });
      await home.ferry(['pause', 'there']);
      await home.ferry(['run', 'drop']);
      const due = [{ id: 1, path: 'first', state: 'due', attempts: 0 }];
      assert.deepEqual(await rows(), due);
      await home.ferry(['resume', 'there']);
      await unmount();

      {
        // Nobody asks this worker to look at the source: it finds out when it sends.
        await using _worker = ending(home.start(['start']));
        await alarmed(home);
        await sleep(1_500);
        assert.deepEqual(await rows(), due);
        await mount();
        await writeFile(join(share, 'out', 'not asked for'), '');
        await arrives(inbox, 'first');
        await until('the alarm to be over', () => ready(home));
      }
      assert.deepEqual(await rows(), [{ id: 1, path: 'first', state: 'delivered', attempts: 1 }]);
      assert.deepEqual(await filesOf(inbox), ['first']);
    }));

  test('does not keep run waiting for what it owes', () =>
    withShare({}, async ({ home, unmount }) => {
      await home.ferry(['pause', 'there']);
      await home.ferry(['run', 'drop']);
      await home.ferry(['resume', 'there']);
      await unmount();
      const ended = await home.ferry(['run', 'drop', '--timeout', '60s']);
      assert.equal(ended.code, 3);
      assert.doesNotMatch(ended.stderr, /time was up/);
      const [row] = (await home.ferry(['history', '--json'])).lines();
      assert.equal(row?.state, 'due');
    }));
});

describe('a destination that is not mounted', () => {
  const PLACES = {
    'an endpoint': () => ({ endpoint: 'store', path: '' }),
    'a folder below an endpoint': () => ({ endpoint: 'store', path: 'in/deep' }),
    'a plain folder': () => './share',
  } as const;

  for (const [what, to] of Object.entries(PLACES)) {
    test(`is not written to by a run, and is when it is back: ${what}`, () =>
      withDestination(to, async ({ home, share, mount, unmount }) => {
        await unmount();
        await writeFile(join(home.outbox, 'second'), '2');
        const ended = await home.ferry(['run', 'drop']);
        assert.equal(ended.code, 3, ended.stderr);
        assert.match(ended.stderr, /is not mounted/);
        assert.ok(ended.stderr.includes(`${share} is a plain folder now`), ended.stderr);
        assert.match(ended.stderr, /Mount it.*`ferry resume (store|folder:\S+)` accepts/);
        assert.deepEqual(await filesOf(share), [], 'nothing is written beneath');
        assert.deepEqual(await filesOf(home.outbox), ['second']);
        assert.match((await home.ferry(['status'])).stdout, /held[\s\S]*is not mounted/);

        await mount();
        const again = await home.ferry(['run', 'drop', '--json']);
        assert.equal(again.code, 0, again.stderr);
        assert.equal(again.lines()[0]?.delivered, 1);
        assert.deepEqual(await filesOf(home.outbox), []);
      }));
  }

  test('is an alarm of the worker, which goes on by itself; no attempt is spent', () =>
    withDestination(PLACES['an endpoint'], async ({ home, share, mount, unmount }) => {
      await using _worker = ending(await home.worker());
      await unmount();
      await writeFile(join(home.outbox, 'second'), '2');
      await until('the alarm', async () => {
        const health = await fetch(`http://${home.http}/healthz`);
        return health.status === 503 && /store is held: .*not mounted/.test(await health.text());
      });
      assert.deepEqual(await filesOf(share), []);
      await mount();
      await arrives(share, 'second');
      await until('the alarm to be over', () => ready(home));
      await until('the receipt', async () => {
        const [row] = (await home.ferry(['history', '--json', '--path', 'second'])).lines();
        return row?.state === 'delivered' && row.attempts === 1;
      });
    }));

  test('is accepted as it is by resume', () =>
    withDestination(PLACES['an endpoint'], async ({ home, share, unmount }) => {
      await using _worker = ending(await home.worker());
      await unmount();
      await writeFile(join(home.outbox, 'second'), '2');
      await until('the alarm', async () => !(await ready(home)));
      assert.deepEqual(await filesOf(share), []);
      assert.equal((await home.ferry(['resume', 'store'])).code, 0);
      await arrives(share, 'second');
    }));
});

test('an archive that is not mounted takes nothing: the source stays until it is back, or accepted', async () => {
  await using home = await makeHome();
  await using disk = await mountTmpfs(1_000_000);
  const [share, there] = [join(home.path, 'share'), join(home.path, 'there')];
  for (const folder of [share, there]) await mkdir(folder);
  await home.job('drop', {
    from: './outbox',
    to: './there',
    settle: '0s',
    after: { archive: './share/sent' },
  });
  const runs = async (file: string): Promise<string> => {
    await writeFile(join(home.outbox, file), file);
    const ended = await home.ferry(['run', 'drop']);
    assert.equal(ended.code, 0, ended.stderr);
    assert.ok((await filesOf(there)).includes(file), 'it is delivered all the same');
    return ended.stdout + ended.stderr;
  };
  {
    await using _mounted = await mountAgain(disk.path, share);
    await runs('first');
    assert.deepEqual(await filesOf(disk.path), ['sent/first']);
  }
  assert.match(await runs('second'), /the archive of drop is not mounted: .*share is a plain folder now/);
  assert.deepEqual([await filesOf(share), await filesOf(home.outbox)], [[], ['second']]);
  {
    await using _mounted = await mountAgain(disk.path, share);
    await runs('third');
    assert.deepEqual(await filesOf(disk.path), ['sent/first', 'sent/second', 'sent/third']);
  }
  assert.equal((await home.ferry(['resume', 'drop'])).code, 0);
  await runs('fourth');
  assert.deepEqual([await filesOf(share), await filesOf(home.outbox)], [['sent/fourth'], []]);
});
