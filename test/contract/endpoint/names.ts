/** Names: whatever the file system can hold arrives under exactly that name, or is refused for good, in words. */

import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { fromBytes, printable } from '../../../src/sync/names.ts';
import { sha256Of } from '../../support/files.ts';
import {
  type Contract,
  type ContractSetup,
  calm,
  deliver,
  deliverWell,
  faultOf,
  listed,
  type Place,
  readAll,
  versionOf,
} from './kit.ts';

const NAMES = [
  'plain.txt',
  'with  several spaces.txt',
  ' leading and trailing space ',
  `single ' double " back \` quote`,
  'new\nline',
  'tab\tand carriage\rreturn',
  'control \x01 and \x7f',
  '-dash',
  '--help',
  '.hidden',
  '...',
  'ends with dot.',
  'glob *?[x]{y}!',
  '$HOME;$(id)|&<>#',
  'back\\slash',
  'percent %20 %s',
  '~',
  '~root',
  'colon:and=comma,semi;',
  'CON',
  '日本語のファイル.txt',
  'emoji 🎉 👩‍👩‍👧',
  'e\u0301 decomposed (NFD)',
  '\u00e9 composed (NFC)',
  'right \u202e to left',
  '\ufeffbyte order mark',
  'a'.repeat(255),
  '語'.repeat(85),
];

const BYTES = [
  fromBytes(Buffer.from([0x6c, 0x61, 0x74, 0x69, 0x6e, 0xe9])),
  fromBytes(Buffer.from([0xff, 0xfe, 0x80])),
  fromBytes(Buffer.from([0xe3, 0x81, 0x2e, 0x74, 0x78, 0x74])),
];

export function nameContract(contract: Contract, setup: ContractSetup): void {
  const refused = setup.refusesName ?? (() => false);
  const carried = setup.endpoint.capabilities.byteNames ? BYTES : [];
  for (const name of [...NAMES, ...carried]) {
    const shown = printable(
      name.length > 80 ? `${name.slice(0, 8)}… (${Buffer.byteLength(name)} bytes)` : name,
    );
    if (refused(name)) contract(`refuses the name «${shown}»`, (place) => refusesName(place, name));
    else
      contract(`carries the name «${shown}»`, (place) => carriesName(place, name, setup.takesOnly === true));
  }
  if (!setup.endpoint.capabilities.byteNames) {
    contract('refuses names that are not UTF-8', (place) => refusesName(place, BYTES[0] ?? ''));
  }

  contract('keeps composed and decomposed names apart', async (place) => {
    const both = ['e\u0301', '\u00e9'];
    for (const name of both) await deliverWell(place, place.source({ seed: name, sizeBytes: 10 }), name);
    assert.deepEqual([...(await listed(place.session, place.folder)).keys()].sort(), both.sort());
  });

  contract('carries odd names of folders', async (place) => {
    const path = NAMES.filter((name) => !refused(name) && setup.refusesFolder?.(name) !== true)
      .filter((name) => name.length < 60)
      .slice(0, 12)
      .join('/');
    if (setup.makesNoFolders) await place.outside.mkdir(dirname(path));
    await deliverWell(place, place.source({ sizeBytes: 100 }), path);
    assert.ok((await listed(place.session, place.folder)).has(path));
  });

  contract('refuses a name that is too long, for good', async (place) => {
    const source = place.source({ sizeBytes: 100 });
    await faultOf(deliver(place.session, source, place.path('n'.repeat(4097))), 'permanent');
    if (setup.flat !== true)
      await faultOf(deliver(place.session, source, place.path('n'.repeat(256))), 'permanent');
    assert.deepEqual(await place.outside.tree(), []);
  });
}

/** Takes one name through every call. */
async function carriesName(place: Place, name: string, takesOnly: boolean): Promise<void> {
  const source = place.source({ sizeBytes: 1000, seed: name });
  const path = place.path(name);
  await deliverWell(place, source, name);
  assert.deepEqual(await place.outside.tree(), [name]);

  const entry = (await listed(place.session, place.folder)).get(name);
  assert.equal(entry?.kind, 'file');
  const version = await versionOf(place.session, path);
  assert.deepEqual(entry?.version, version);
  if (takesOnly) return;
  assert.equal(sha256Of(await readAll(place.session.source(path, version))), source.sha256);

  const target = place.path(`archive/${name}`);
  assert.equal(await place.session.archive(path, version, target, calm), target);
  assert.equal(await place.outside.sha256(`archive/${name}`), source.sha256);
  await place.session.remove(target, await versionOf(place.session, target), calm);
  assert.equal(await place.session.stat(target, calm), undefined);
}

async function refusesName(place: Place, name: string): Promise<void> {
  const source = place.source({ sizeBytes: 1000 });
  const fault = await faultOf(deliver(place.session, source, place.path(name)), 'permanent');
  assert.ok(fault.advice !== undefined && fault.advice.length > 8, 'says what to do');
  assert.deepEqual(await place.outside.tree(), []);
}
