/** What is kept beside deliveries, what survives closing, and what is forgotten when. */

import assert from 'node:assert/strict';
import type { EndpointRecord } from '../../../src/ledger/ledger.ts';
import { noteOf } from '../../../src/sync/delivery.ts';
import {
  type Contract,
  ended,
  failed,
  fault,
  file,
  known,
  owe,
  pathsOf,
  sending,
  T0,
  TIMES,
  take,
  version,
} from './kit.ts';

const LONG_AFTER = T0 + 1_000_000;

export function keepContract(contract: Contract): void {
  contract('keeps what a person has paused', ({ ledger, another }) => {
    assert.deepEqual(ledger.paused(), new Set());
    ledger.pause('server', T0);
    ledger.pause('invoices', T0);
    ledger.pause('invoices', T0 + 1);
    assert.deepEqual(another().paused(), new Set(['server', 'invoices']));
    ledger.resume('server');
    ledger.resume('server');
    ledger.resume('never paused');
    assert.deepEqual(another().paused(), new Set(['invoices']));
  });

  contract('keeps how endpoints are', ({ ledger, another }) => {
    const up: EndpointRecord = {
      endpoint: 'server',
      state: 'up',
      fault: undefined,
      sinceMs: T0,
      nextProbeMs: undefined,
    };
    const held: EndpointRecord = {
      endpoint: 'partner',
      state: 'held',
      fault: noteOf(fault('unreachable')),
      sinceMs: T0 + 1,
      nextProbeMs: T0 + 2,
    };
    assert.equal(ledger.endpoint('server'), undefined);
    assert.deepEqual(ledger.endpoints(), []);
    ledger.setEndpoint({ ...up, state: 'stopped', fault: noteOf(fault('rejected')) });
    ledger.setEndpoint(held);
    ledger.setEndpoint(up);
    assert.deepEqual(another().endpoint('server'), up);
    assert.deepEqual(new Set(another().endpoints()), new Set([held, up]));
  });

  contract('keeps what is known of jobs: what is set changes, the rest stays', ({ ledger, another }) => {
    const none = {
      lastScanMs: undefined,
      lastCronMs: undefined,
      lastDeliveredMs: undefined,
      alarm: undefined,
      mount: undefined,
    };
    const alarm = noteOf(fault('vanished'));
    assert.equal(ledger.job('invoices'), undefined);
    ledger.setJob('invoices', { lastScanMs: T0 });
    assert.deepEqual(ledger.job('invoices'), { ...none, job: 'invoices', lastScanMs: T0 });
    const mount = '/mnt/sh\udcffre';
    ledger.setJob('invoices', { lastCronMs: T0 + 1, alarm, mount });
    ledger.setJob('other', {});
    const invoices = { ...none, job: 'invoices', lastScanMs: T0, lastCronMs: T0 + 1, alarm, mount };
    assert.deepEqual(another().job('invoices'), invoices);
    ledger.setJob('invoices', { alarm: undefined, lastDeliveredMs: T0 + 2 });
    const calm = { ...invoices, alarm: undefined, lastDeliveredMs: T0 + 2 };
    assert.deepEqual(new Set(another().jobs()), new Set([calm, { ...none, job: 'other' }]));
    ledger.setJob('invoices', { mount: undefined });
    assert.deepEqual(another().job('invoices'), { ...calm, mount: undefined });
  });

  contract('keeps where a destination was mounted', ({ ledger, another }) => {
    const destination = 'sh\udcffre:/in';
    assert.equal(ledger.mount(destination), undefined);
    for (const point of ['/mnt/sh\udcffre', '/', undefined]) {
      ledger.setMount(destination, point);
      assert.equal(another().mount(destination), point);
    }
  });

  contract('knows when a file of a job last arrived', async ({ ledger }) => {
    await ended(ledger, file('a'));
    assert.equal(ledger.job('invoices')?.lastDeliveredMs, TIMES.endedAtMs);
    await ended(ledger, file('b'), failed());
    owe(ledger, file('c', { job: 'other' }));
    assert.equal(ledger.job('invoices')?.lastDeliveredMs, TIMES.endedAtMs);
    assert.equal(ledger.job('other'), undefined);
    assert.equal(ledger.jobs().length, 1);
  });

  contract(
    'forgets ended deliveries that a newer one has replaced, the oldest first, in small steps',
    async ({ ledger }) => {
      for (let n = 1; n <= 6; n += 1) await ended(ledger, file('a', { version: version(n) }));
      assert.equal(ledger.prune(TIMES.endedAtMs, 10), 0, 'last touched then');
      assert.equal(ledger.prune(LONG_AFTER, 3), 3);
      assert.deepEqual(versionsLeft(), [6, 5, 4]);
      assert.deepEqual(ledger.attempts(1), []);
      assert.equal(ledger.prune(LONG_AFTER, 10), 2);
      assert.equal(ledger.prune(LONG_AFTER, 10), 0);
      assert.deepEqual(versionsLeft(), [6]);
      assert.deepEqual(ledger.owe([file('a', { version: version(6) })], T0), []);

      function versionsLeft() {
        return [...ledger.history({})].map((delivery) => delivery.version.sizeBytes - 1000);
      }
    },
  );

  contract('never forgets the newest of a path whose source may still be there', async ({ ledger }) => {
    const skipped = { state: 'superseded', fault: fault('skipped'), leftover: false } as const;
    await ended(ledger, file('delivered'));
    await ended(ledger, file('failed'), failed());
    await ended(ledger, file('skipped'), skipped);
    assert.equal(ledger.prune(LONG_AFTER, 10), 0);
    for (const name of ['delivered', 'failed', 'skipped']) {
      const { job, destination } = file(name);
      assert.notEqual(ledger.latest(job, destination, name), undefined, name);
    }
  });

  contract(
    'forgets what was deleted or archived at the source, and what had vanished',
    async ({ ledger }) => {
      const vanished = { state: 'superseded', fault: fault('vanished'), leftover: false } as const;
      const archived = await ended(ledger, file('archived'));
      await ended(ledger, file('kept'));
      await ended(ledger, file('vanished'), vanished);
      ledger.afterDone([archived.id]);
      ledger.afterDone([]);
      assert.equal(ledger.latest(archived.job, archived.destination, 'archived')?.state, 'delivered');
      assert.equal(known(ledger, archived.id).updatedAtMs, archived.updatedAtMs);
      assert.equal(ledger.prune(LONG_AFTER, 10), 2);
      assert.deepEqual(pathsOf(ledger.history({})), ['kept']);
    },
  );

  contract('never forgets what is open, nor what may have left a temporary', async ({ ledger }) => {
    const changed = { state: 'superseded', fault: fault('changed'), leftover: true } as const;
    const left = await ended(ledger, file('left'), changed);
    await sending(ledger, file('sending'));
    owe(ledger, file('sending', { version: version(2) }));
    owe(ledger, file('due'));
    assert.equal(ledger.prune(LONG_AFTER, 10), 0);
    ledger.cleared([left.id]);
    assert.equal(ledger.prune(LONG_AFTER, 10), 1);
    assert.equal(ledger.get(left.id), undefined);
  });

  contract('counts what it has forgotten among what was delivered', async ({ ledger }) => {
    for (let n = 1; n <= 3; n += 1) await ended(ledger, file('a', { version: version(n) }));
    const before = ledger.counts();
    assert.equal(ledger.prune(LONG_AFTER, 10), 2);
    assert.deepEqual(ledger.counts(), before);
  });

  contract(
    'forgets an old failure that a newer version overtook, and counts it no more',
    async ({ ledger }) => {
      const old = await sending(ledger, file('a'));
      owe(ledger, file('a', { version: version(2) }));
      await ledger.settle(old.id, failed(), TIMES);
      assert.equal(ledger.prune(LONG_AFTER, 10), 1);
      assert.deepEqual(
        ledger.counts().map(({ state, files }) => [state, files]),
        [['due', 1]],
      );
      assert.equal(take(ledger).length, 1);
    },
  );
}
