/** What happens when the remote name is taken: by other content (four policies), or by the very same. */

import assert from 'node:assert/strict';
import { contentOf, sha256Of } from '../../support/files.ts';
import { type Contract, type ContractSetup, deliver, deliverWell, faultOf, type Place } from './kit.ts';

const SIZES = [1000, 700_000];

export function conflictContract(contract: Contract, setup: ContractSetup): void {
  for (const sizeBytes of SIZES) {
    contract(`replaces other content, where asked (${sizeBytes} bytes)`, async (place) => {
      await place.outside.write('file.txt', 'other');
      await deliverWell(place, place.source({ sizeBytes }), 'file.txt', { conflict: 'replace' });
    });

    contract(`leaves other content alone and says so, where asked (${sizeBytes} bytes)`, async (place) => {
      await otherContent(place, sizeBytes, async (name) => {
        const send = deliver(place.session, place.source({ sizeBytes }), place.path(name), {
          conflict: 'skip',
        });
        await faultOf(send, 'skipped');
      });
    });

    contract(`fails on other content, where asked (${sizeBytes} bytes)`, async (place) => {
      await otherContent(place, sizeBytes, async (name) => {
        const send = deliver(place.session, place.source({ sizeBytes }), place.path(name), {
          conflict: 'fail',
        });
        const fault = await faultOf(send, 'permanent');
        assert.equal(fault.code, 'EEXIST');
        assert.ok(fault.advice, 'says what to do');
      });
    });

    contract(`takes another name beside other content, where asked (${sizeBytes} bytes)`, async (place) => {
      await otherContent(place, sizeBytes, async (name) => {
        const source = place.source({ sizeBytes });
        const receipt = await deliver(place.session, source, place.path(name), { conflict: 'rename' });
        const beside = name.replace(/\.txt$/, ' (1).txt');
        assert.equal(receipt.remotePath, place.path(beside));
        assert.equal(await place.outside.sha256(beside), source.sha256);
        await place.outside.remove(beside);
      });
    });

    for (const conflict of ['replace', 'skip', 'fail', 'rename'] as const) {
      contract(`delivers the same again without harm: ${conflict}, ${sizeBytes} bytes`, async (place) => {
        const source = place.source({ sizeBytes, mtimeMs: 1_600_000_000_000 });
        await deliverWell(place, source, 'file.txt', { conflict });
        await deliverWell(place, source, 'file.txt', { conflict });
        assert.deepEqual(await place.outside.tree(), ['file.txt']);
      });
    }
  }

  contract('takes the next free name, and knows its own content under it', async (place) => {
    await place.outside.write('file.tar.gz', 'other');
    await place.outside.write('file.tar (1).gz', 'another');
    const source = place.source({ sizeBytes: 1000 });
    for (const _attempt of [1, 2]) {
      const receipt = await deliver(place.session, source, place.path('file.tar.gz'), { conflict: 'rename' });
      assert.equal(receipt.remotePath, place.path('file.tar (2).gz'));
    }
    assert.deepEqual(await place.outside.tree(), ['file.tar (1).gz', 'file.tar (2).gz', 'file.tar.gz']);
  });

  contract('delivers two files that want one name as two, where asked', async (place) => {
    const [one, two] = ['one', 'two'].map((seed) => place.source({ seed, sizeBytes: 2000 }));
    assert.ok(one && two);
    const receipts = await Promise.all([
      deliver(place.session, one, place.path('file.txt'), { conflict: 'rename', token: 'a'.repeat(16) }),
      deliver(place.session, two, place.path('file.txt'), { conflict: 'rename', token: 'b'.repeat(16) }),
    ]);
    assert.equal(new Set(receipts.map((receipt) => receipt.remotePath)).size, 2);
    const found = await Promise.all(['file.txt', 'file (1).txt'].map((name) => place.outside.sha256(name)));
    assert.deepEqual(found.sort(), [one.sha256, two.sha256].sort());
  });

  if (setup.flat !== true) {
    contract('puts no file where a folder is', async (place) => {
      await place.outside.write('taken/inside.txt', 'kept');
      for (const conflict of ['replace', 'fail'] as const) {
        const send = deliver(place.session, place.source({ sizeBytes: 10 }), place.path('taken'), {
          conflict,
        });
        const fault = await faultOf(send, 'permanent');
        assert.ok(fault.advice, 'says what to do');
      }
      assert.deepEqual(await place.outside.tree(), ['taken/', 'taken/inside.txt']);
    });

    contract('makes no folder where a file is', async (place) => {
      await place.outside.write('taken', 'kept');
      const fault = await faultOf(
        deliver(place.session, place.source({ sizeBytes: 10 }), place.path('taken/below/file')),
        'permanent',
      );
      assert.ok(fault.advice, 'says what to do');
      assert.equal(await place.outside.sha256('taken'), sha256Of('kept'));
    });
  }
}

/** Other content of another size, and of the same size and time: neither may pass for the file. */
async function otherContent(
  place: Place,
  sizeBytes: number,
  send: (name: string) => Promise<void>,
): Promise<void> {
  const others = {
    'shorter.txt': contentOf('seed', 0, sizeBytes - 1),
    'same-size.txt': contentOf('other', 0, sizeBytes),
  };
  for (const [name, content] of Object.entries(others)) {
    await place.outside.write(name, content, 1_700_000_000_000);
    await send(name);
    assert.equal(await place.outside.sha256(name), sha256Of(content), 'the other content is untouched');
  }
  assert.deepEqual(await place.outside.tree(), Object.keys(others).sort());
}
