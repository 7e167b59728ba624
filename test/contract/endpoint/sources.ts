/** Sources that go wrong while they are sent: the attempt is void, the final name is as it was, nothing is left. */

import assert from 'node:assert/strict';
import type { FaultKind } from '../../../src/sync/errors.ts';
import type { SourceTrouble } from '../../support/source.ts';
import { assertUntouched, type Contract, calm, deliver, deliverWell, faultOf, TOKEN } from './kit.ts';

const SMALL = 2000;
const LARGE = 2_000_000;

export function sourceContract(contract: Contract): void {
  const troubles = (sizeBytes: number): readonly [SourceTrouble, ...FaultKind[]][] => [
    [{ kind: 'grows' }, 'changed'],
    [{ kind: 'shrinks', atByte: sizeBytes / 2 }, 'changed'],
    [{ kind: 'ends', atByte: sizeBytes / 2 }, 'changed'],
    [{ kind: 'ends', atByte: 0 }, 'changed'],
    [{ kind: 'changes', atByte: sizeBytes / 2 }, 'changed'],
    [{ kind: 'vanishes' }, 'vanished', 'changed'],
    [{ kind: 'gone' }, 'vanished'],
    [{ kind: 'fails', atByte: sizeBytes / 2 }, 'transient'],
    [{ kind: 'fails', atByte: 0 }, 'transient'],
  ];
  for (const sizeBytes of [SMALL, LARGE]) {
    for (const [trouble, ...kinds] of troubles(sizeBytes)) {
      const what = 'atByte' in trouble ? `${trouble.kind} at byte ${trouble.atByte}` : trouble.kind;
      contract(`delivers nothing of a source of ${sizeBytes} bytes that ${what}`, async (place) => {
        const path = place.path('file.bin');
        for (const verify of ['size', 'checksum'] as const) {
          const source = place.source({ sizeBytes, trouble, seed: verify });
          await faultOf(deliver(place.session, source, path, { verify }), ...kinds);
          assert.equal(await place.outside.sha256('file.bin'), undefined);
          await place.session.discard(path, TOKEN, undefined, calm);
          assert.deepEqual(await place.outside.tree(), [], 'discard leaves nothing');
        }

        await place.outside.write('file.bin', 'old');
        await faultOf(deliver(place.session, place.source({ sizeBytes, trouble }), path), ...kinds);
        await assertUntouched(place, place.outside, 'file.bin', 'old');
        await place.session.discard(path, TOKEN, undefined, calm);
        assert.deepEqual(await place.outside.tree(), ['file.bin']);

        await deliverWell(place, place.source({ sizeBytes, seed: 'next' }), 'file.bin');
      });
    }
  }
}
