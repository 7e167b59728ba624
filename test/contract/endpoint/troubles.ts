/** Aborts, deadlines, full disks, missing permissions and cuts: bounded, classified, with nothing torn or left. */

import assert from 'node:assert/strict';
import type { Endpoint } from '../../../src/endpoints/endpoint.ts';
import { Fault } from '../../../src/sync/errors.ts';
import { joinPath } from '../../../src/sync/names.ts';
import { within } from '../../support/until.ts';
import {
  assertNothingOwn,
  assertUntouched,
  type Contract,
  type ContractSetup,
  calm,
  deliver,
  deliverWell,
  faultOf,
  type Place,
  type RemoteFolder,
  TOKEN,
} from './kit.ts';

const LARGE = 3_000_000;

export function troubleContract(contract: Contract, setup: ContractSetup): void {
  contract('stops in the middle when it is told to', async (place) => {
    await place.outside.write('file.bin', 'old');
    const stop = new AbortController();
    const source = place.source({
      sizeBytes: LARGE,
      beforeChunk: (at) => {
        if (at > LARGE / 2) stop.abort();
      },
    });
    await stopsWith(place, source, stop.signal, 'aborted');
    assert.ok(source.bytesRead < LARGE, 'it read no further');
  });

  contract('ends at a deadline with the fault that the deadline carries', async (place) => {
    await place.outside.write('file.bin', 'old');
    const stop = new AbortController();
    const late = new Fault('transient', 'took longer than the deadline', { code: 'DEADLINE' });
    const timer = setTimeout(() => stop.abort(late), 100);
    const source = place.source({ sizeBytes: 1e9, delayMs: 20 });
    assert.equal(await stopsWith(place, source, stop.signal, 'transient'), late);
    clearTimeout(timer);
  });

  contract('does not connect when it is told not to', async ({ setup: { endpoint } }) => {
    await faultOf(within(10_000, 'connect', endpoint.connect(AbortSignal.abort())), 'aborted');
  });

  contract('checks itself out step by step, and leaves nothing', async (place) => {
    const steps = [];
    for await (const step of setup.endpoint.probe(place.folder, calm)) steps.push(step);
    assert.ok(steps.length >= 3);
    for (const step of steps) assert.ok(step.ok, `${step.step}: ${step.saw}`);
    assert.deepEqual(await place.outside.tree(), []);
  });

  const { forbidden, full, cut } = setup;
  if (forbidden !== undefined) {
    contract('says at once that it may not write', async (place) => {
      for (const sizeBytes of [10, LARGE]) {
        const send = deliver(place.session, place.source({ sizeBytes }), joinPath(forbidden, 'file.bin'));
        const fault = await faultOf(send, 'permanent', 'rejected');
        assert.ok(fault.advice, 'says what to do');
      }
    });
  }
  if (full !== undefined) contract('survives a full disk', (place) => fullDisk(place, full));
  if (cut !== undefined) cutContract(contract, cut, setup.endpoint.capabilities.resume);
}

async function stopsWith(
  place: Place,
  source: ReturnType<Place['source']>,
  signal: AbortSignal,
  kind: 'aborted' | 'transient',
): Promise<Fault> {
  const path = place.path('file.bin');
  const send = within(30_000, 'the stop', deliver(place.session, source, path, { signal }));
  const fault = await faultOf(send, kind);
  assert.equal(source.openNow, 0, 'nothing is left running');
  await assertUntouched(place, place.outside, 'file.bin', 'old');
  await using next = await place.setup.endpoint.connect(calm.signal);
  await next.discard(path, TOKEN, undefined, calm);
  await assertNothingOwn(place.outside);
  await deliverWell({ ...place, session: next }, place.source({ sizeBytes: 100, seed: 'next' }), 'file.bin');
  return fault;
}

async function fullDisk(place: Place, full: RemoteFolder): Promise<void> {
  const path = joinPath(full.folder, 'file.bin');
  await full.outside.write('file.bin', 'old');
  for (const verify of ['size', 'checksum'] as const) {
    const tooLarge = place.source({ sizeBytes: 20_000_000 });
    const fault = await faultOf(deliver(place.session, tooLarge, path, { verify }), 'transient');
    assert.ok(fault.advice, 'says what to do');
    await assertUntouched(place, full.outside, 'file.bin', 'old');
    await place.session.discard(path, TOKEN, undefined, calm);
    await assertNothingOwn(full.outside);
  }
  const fits = place.source({ sizeBytes: 500_000 });
  await deliver(place.session, fits, path);
  assert.equal(await full.outside.sha256('file.bin'), fits.sha256);
}

function cutContract(contract: Contract, cut: NonNullable<ContractSetup['cut']>, resumes: boolean): void {
  const sizeBytes = 16_000_000;

  contract('a connection that is cut is the endpoint’s trouble, and the session knows', async (place) => {
    await using session = await cut.endpoint.connect(calm.signal);
    cut.afterBytes(sizeBytes / 2);
    const source = place.source({ sizeBytes });
    const fault = await faultOf(deliver(session, source, place.path('file.bin')), 'unreachable');
    assert.ok(session.broken !== undefined);
    await faultOf(session.stat(place.path('file.bin'), calm), 'unreachable');
    const { atomicRename, commitsAtClose } = cut.endpoint.capabilities;
    if (atomicRename || commitsAtClose) {
      assert.equal(await place.outside.sha256('file.bin'), undefined, fault.message);
    }
    await place.session.discard(place.path('file.bin'), TOKEN, undefined, calm);
  });

  contract('after a cut the next attempt delivers the right bytes', async (place) => {
    const { note, sent } = await cutAt(place, cut.endpoint, 0.7, 'file.bin');
    const source = place.source({ sizeBytes });
    await using session = await cut.endpoint.connect(calm.signal);
    await deliverWell({ ...place, session }, source, 'file.bin', { resume: note });
    if (resumes) assert.ok(cut.sentBytes() - sent < sizeBytes * 0.8, 'it went on where it was');
  });

  contract('after a cut nothing of the old content gets into the new', async (place) => {
    for (const verify of ['size', 'checksum'] as const) {
      const { note } = await cutAt(place, cut.endpoint, 0.6, `${verify}.bin`);
      await using session = await cut.endpoint.connect(calm.signal);
      const other = place.source({ sizeBytes, seed: 'newer, of the same size', mtimeMs: 1_710_000_000_000 });
      await deliverWell({ ...place, session }, other, `${verify}.bin`, { resume: note, verify });
      const shorter = place.source({ sizeBytes: 1_000_000, seed: 'shorter', mtimeMs: 1_720_000_000_000 });
      await deliverWell({ ...place, session }, shorter, `${verify}.bin`, { resume: note, verify });
    }
  });

  async function cutAt(place: Place, endpoint: Endpoint, share: number, name: string) {
    await using session = await endpoint.connect(calm.signal);
    let note: string | undefined;
    cut.afterBytes(sizeBytes * share);
    const checkpoint = async (text: string): Promise<void> => {
      note = text;
    };
    const source = place.source({ sizeBytes });
    await faultOf(deliver(session, source, place.path(name), { checkpoint }), 'unreachable');
    return { note, sent: cut.sentBytes() };
  }
}
