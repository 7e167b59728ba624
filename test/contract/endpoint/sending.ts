/** Sending: sizes, many at once, times and modes, receipts, and never a torn file under the final name. */

import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHUNK_BYTES } from '../../../src/endpoints/endpoint.ts';
import { sha256Of } from '../../support/files.ts';
import { type Contract, type ContractSetup, deliver, deliverWell, type Place } from './kit.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZES = [
  0,
  1,
  32 * KIB - 1,
  32 * KIB,
  32 * KIB + 1,
  CHUNK_BYTES - 1,
  CHUNK_BYTES,
  CHUNK_BYTES + 1,
  5 * MIB,
];
const MEMORY_BYTES = 100e6;

export function sendContract(contract: Contract, setup: ContractSetup): void {
  const { capabilities } = setup.endpoint;

  for (const sizeBytes of SIZES) {
    contract(`delivers ${sizeBytes} bytes`, async (place) => {
      for (const verify of ['size', 'checksum'] as const) {
        const source = place.source({ sizeBytes, seed: verify });
        let progress = 0;
        const receipt = await deliverWell(place, source, `${verify}.bin`, {
          verify,
          progress: (bytes) => {
            progress = bytes;
          },
        });
        if (verify === 'checksum') assert.equal(receipt.verified, 'checksum');
        assert.equal(progress, sizeBytes, 'all of it was reported as confirmed');
      }
    });
  }

  contract('delivers a file larger than it may buffer', async (place) => {
    await deliverWell(place, place.source({ sizeBytes: 5 * MIB }), 'warm-up.bin');
    const before = process.memoryUsage().rss;
    let most = before;
    const source = place.source({
      sizeBytes: setup.largeBytes ?? 300e6,
      beforeChunk: () => {
        most = Math.max(most, process.memoryUsage.rss());
      },
    });
    await deliverWell(place, source, 'large.bin');
    assert.ok(most - before < MEMORY_BYTES, `memory grew by ${Math.round((most - before) / 1e6)} MB`);
  });

  contract('delivers 200 small files at once, into folders that it makes', async (place) => {
    const names = Array.from({ length: 200 }, (_, i) => `made/${i % 20}/as/needed/${i}.txt`);
    if (setup.makesNoFolders) for (const name of names) await place.outside.mkdir(dirname(name));
    const sizeOf = (name: string): number => (name.length * 997) % 5000;
    await inFlight(names, Math.min(200, place.session.capabilities.filesInFlight), async (name) => {
      const token = sha256Of(name).slice(0, 16);
      await deliverWell(place, place.source({ seed: name, sizeBytes: sizeOf(name) }), name, { token });
    });
    const files = (await place.outside.tree()).filter((path) => !path.endsWith('/'));
    assert.deepEqual(files, [...names].sort());
  });

  contract('delivers several large files at once', async (place) => {
    const names = Array.from({ length: 4 }, (_, i) => `${i}.bin`);
    await inFlight(names, place.session.capabilities.filesInFlight, async (name) => {
      const token = sha256Of(name).slice(0, 16);
      await deliverWell(place, place.source({ seed: name, sizeBytes: 3 * MIB + 1 }), name, { token });
    });
  });

  if (capabilities.setsMtime) {
    contract('sets the time of modification, where asked', async (place) => {
      const mtimeMs = 1_234_567_891_000;
      for (const sizeBytes of [10, 2 * MIB]) {
        await deliverWell(place, place.source({ sizeBytes, mtimeMs }), `kept-${sizeBytes}`);
        assert.equal((await place.outside.stat(`kept-${sizeBytes}`))?.mtimeMs, mtimeMs);
        await deliverWell(place, place.source({ sizeBytes, mtimeMs }), `now-${sizeBytes}`, {
          preserveMtime: false,
        });
        assert.ok(((await place.outside.stat(`now-${sizeBytes}`))?.mtimeMs ?? 0) > mtimeMs + 1e9);
      }
    });
  }

  if (setup.modes === true) {
    contract('sets the mode, where asked', async (place) => {
      for (const [sizeBytes, mode] of [
        [10, 0o640],
        [2 * MIB, 0o755],
        [0, 0o400],
      ] as const) {
        await deliverWell(place, place.source({ sizeBytes }), `file-${sizeBytes}`, { mode });
        assert.equal((await place.outside.stat(`file-${sizeBytes}`))?.mode, mode);
      }
    });
  }

  if (capabilities.atomicRename || capabilities.commitsAtClose) {
    contract('never shows a torn file under the final name', async (place) => {
      const old = 'the old content, which is complete';
      await place.outside.write('file.bin', old);
      const source = place.source({ sizeBytes: 3 * MIB, delayMs: 10 });
      const seen = await whileSeen(place, 'file.bin', () => deliverWell(place, source, 'file.bin'));
      for (const whole of [sha256Of(old), source.sha256]) seen.delete(whole);
      if (!capabilities.atomicRename) seen.delete(undefined);
      assert.deepEqual([...seen], [], 'only the whole old and the whole new file were seen');

      const fresh = place.source({ sizeBytes: 3 * MIB, delayMs: 10, seed: 'fresh' });
      const seenFresh = await whileSeen(place, 'fresh.bin', () => deliverWell(place, fresh, 'fresh.bin'));
      for (const whole of [undefined, fresh.sha256]) seenFresh.delete(whole);
      assert.deepEqual([...seenFresh], [], 'only nothing and the whole file were seen');
    });
  }

  contract('delivers one file again and again under one token', async (place) => {
    for (const sizeBytes of [3000, 1_500_000, 10, 0]) {
      await deliverWell(place, place.source({ sizeBytes, seed: `v${sizeBytes}` }), 'file.bin');
    }
  });

  contract('has sent nothing when it was stopped before', async (place) => {
    const source = place.source({ sizeBytes: 10 });
    const signal = AbortSignal.abort();
    await assert.rejects(deliver(place.session, source, place.path('file'), { signal }), { kind: 'aborted' });
    assert.deepEqual(await place.outside.tree(), []);
  });
}

/** Everything that is seen under a name (SHA-256, or undefined for absent) while something is done. */
async function whileSeen(
  place: Place,
  name: string,
  work: () => Promise<unknown>,
): Promise<Set<string | undefined>> {
  const seen = new Set<string | undefined>();
  let done = false;
  const look = async (): Promise<void> => {
    while (!done) {
      seen.add(await place.outside.sha256(name));
      await sleep(2);
    }
  };
  const looking = look();
  try {
    await work();
  } finally {
    done = true;
    await looking;
  }
  return seen;
}

async function inFlight<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const next = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: limit }, next));
}
