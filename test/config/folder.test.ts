import assert from 'node:assert/strict';
import { mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { configFiles, configHash } from '../../src/config/folder.ts';
import { temporaryFolder } from '../support/files.ts';

test('the YAML files of a folder, links to files too, in the order of their names', async () => {
  await using folder = await temporaryFolder();
  const at = (name: string): string => join(folder.path, name);
  assert.deepEqual(await configFiles(at('none')), []);
  for (const name of ['b.yml', 'a.yaml', 'C.YAML', '.hidden.yaml', 'd.yaml~', 'e.json', '.#a.yaml'])
    await writeFile(at(name), '');
  await mkdir(at('folder.yaml'));
  await mkdir(at('..data'));
  await writeFile(at('..data/linked.yaml'), '');
  await symlink('..data/linked.yaml', at('linked.yaml'));
  await symlink('nowhere', at('dangling.yaml'));
  assert.deepEqual(
    await configFiles(folder.path),
    ['C.YAML', 'a.yaml', 'b.yml', 'dangling.yaml', 'linked.yaml'].map(at),
  );
});

test('the hash changes with content, names and presence of files, and with nothing else', async () => {
  await using folder = await temporaryFolder();
  const [a, b] = [join(folder.path, 'a.yaml'), join(folder.path, 'b.yaml')];
  const hash = () => configHash([a, b]);
  const seen = new Set<string>();
  const isNew = async (what: string): Promise<void> => {
    const now = await hash();
    assert.ok(!seen.has(now), what);
    seen.add(now);
  };
  await isNew('nothing there');
  await writeFile(a, 'x');
  await isNew('a is there');
  await writeFile(b, '');
  await isNew('b is there, empty');
  await writeFile(b, 'y');
  await isNew('b has content');
  await writeFile(a, 'xy');
  await writeFile(b, '');
  await isNew('the same bytes, in the other file');
  const before = await hash();
  await utimes(a, 1, 1);
  assert.equal(await hash(), before);
  assert.equal(await configHash([b, a, a]), before);
  await rm(a);
  await isNew('a is gone');
});
