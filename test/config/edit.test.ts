// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so
import assert from 'node:assert/strict';
import { chmod, lstat, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { pinHostKeys, withHostKeys } from '../../src/config/edit.ts';
import { Fault } from '../../src/sync/errors.ts';
import { temporaryFolder } from '../support/files.ts';

const ONE = `SHA256:${'A'.repeat(43)}`;
const TWO = `SHA256:${'b+/'.repeat(14)}c`;

/** What stands there → what must stand there, when ONE and TWO are pinned for `a`. */
const table: readonly (readonly [what: string, before: string, after: string])[] = [
  [
    'a block, with comments and alignment kept',
    '# my servers\n\na:   # the app\n    type:   sftp   # yes\n    host:  example.com     # behind the balancer\n    key:   ./k\n\n    # the end\nb: { type: local, path: "/x" }   # share\n',
    `# my servers\n\na:   # the app\n    type:   sftp   # yes\n    host:  example.com     # behind the balancer\n    hostKey: [ "${ONE}", "${TWO}" ]\n    key:   ./k\n\n    # the end\nb: { type: local, path: "/x" }   # share\n`,
  ],
  [
    'a block at the end without a line end',
    'a:\n  type: sftp\n  host: x',
    `a:\n  type: sftp\n  host: x\n  hostKey: [ "${ONE}", "${TWO}" ]\n`,
  ],
  [
    'a block with Windows line ends',
    'a:\r\n  host: x\r\n  type: sftp\r\n',
    `a:\r\n  host: x\r\n  hostKey: [ "${ONE}", "${TWO}" ]\r\n  type: sftp\r\n`,
  ],
  [
    'a flow map',
    'a: { type: sftp, host: x }  # app\nb: 1\n',
    `a: { type: sftp, host: x, hostKey: [ "${ONE}", "${TWO}" ] }  # app\nb: 1\n`,
  ],
  [
    'a flow map over lines, with a comma at the end',
    'a: {\n  type: sftp, # t\n  host: x, # h\n}\n',
    `a: {\n  type: sftp, # t\n  host: x, hostKey: [ "${ONE}", "${TWO}" ], # h\n}\n`,
  ],
  [
    'an empty value',
    'a:\n  hostKey:   # later\n  host: x\n',
    `a:\n  hostKey: [ "${ONE}", "${TWO}" ]   # later\n  host: x\n`,
  ],
  [
    'an empty list',
    'a:\n  hostKey: []   # none yet\n  host: x\n',
    `a:\n  hostKey: [ "${ONE}", "${TWO}" ]   # none yet\n  host: x\n`,
  ],
  [
    'a single key in place of a list',
    `a:\n  hostKey: ${ONE} # one\n  host: x\n`,
    `a:\n  hostKey: [ "${ONE}", "${TWO}" ] # one\n  host: x\n`,
  ],
  [
    'a flow list',
    `a:\n  hostKey: [ '${ONE}' ] # one\n  host: x\n`,
    `a:\n  hostKey: [ "${ONE}", "${TWO}" ] # one\n  host: x\n`,
  ],
  [
    'a list with an item a line',
    `a:\n  hostKey:\n    - ${ONE}   # the old one\n\n  host: x\n`,
    `a:\n  hostKey:\n    - ${ONE}   # the old one\n    - "${TWO}"\n\n  host: x\n`,
  ],
  [
    'a list with an item a line, not indented, at the end',
    `a:\n  host: x\n  hostKey:\n  - ${ONE}`,
    `a:\n  host: x\n  hostKey:\n  - ${ONE}\n  - "${TWO}"\n`,
  ],
  [
    'keys that are there already',
    `a: { hostKey: ["${TWO}", "${ONE}"], host:   x }\n`,
    `a: { hostKey: ["${TWO}", "${ONE}"], host:   x }\n`,
  ],
  [
    'a reference',
    'a:\n  hostKey: ${env:KEY}\n  host: x\n',
    `a:\n  hostKey: [ "\${env:KEY}", "${ONE}", "${TWO}" ]\n  host: x\n`,
  ],
  ['a name in quotes', '"a":\n  host: x # é\n', `"a":\n  host: x # é\n  hostKey: [ "${ONE}", "${TWO}" ]\n`],
];

describe('pinning host keys', () => {
  for (const [what, before, after] of table) {
    test(what, () => {
      const changed = withHostKeys(before, 'a', [ONE, TWO]);
      assert.equal(changed, after);
      const others = ({
        a: { hostKey: _, ...rest },
        ...more
      }: Record<string, Record<string, unknown>> & { a: Record<string, unknown> }) => ({ ...more, rest });
      assert.deepEqual(others(parse(after)), others(parse(before)));
    });
  }

  for (const [what, text] of [
    ['no such endpoint', 'b: { host: x }\n'],
    ['an entry that is no map', 'a: 5\n'],
    ['an alias', 'b: &b { host: x }\na: *b\n'],
    ['broken syntax', 'a: { host: x\n'],
    ['no map at all', '- a\n'],
    ['a block without a plain line', 'a:\n  other: |\n    text\n'],
  ] as const) {
    test(`is refused where it cannot be done: ${what}`, () =>
      assert.equal(withHostKeys(text, 'a', [ONE]), undefined));
  }

  test('an entry that others share is changed for itself alone, or not at all', () => {
    const changed = withHostKeys('a: &a { type: sftp, host: x }\nb: *a\n', 'a', [ONE]);
    assert.equal(changed, undefined);
  });

  test('the file keeps its mode, and nothing else is left beside it', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'endpoints.yaml');
    await writeFile(file, 'a:\n  type: sftp # x\n  host: h\n');
    await chmod(file, 0o640);
    const before = await stat(file);
    await pinHostKeys(file, 'a', [ONE]);
    assert.equal(await readFile(file, 'utf8'), `a:\n  type: sftp # x\n  host: h\n  hostKey: [ "${ONE}" ]\n`);
    const after = await stat(file);
    assert.equal(after.mode & 0o7777, 0o640);
    assert.equal(after.uid, before.uid);
    assert.notEqual(after.ino, before.ino, 'it is replaced as a whole');
    assert.deepEqual(await readdir(folder.path), ['endpoints.yaml']);
    await pinHostKeys(file, 'a', [ONE]);
    assert.equal((await stat(file)).ino, after.ino, 'nothing to pin, nothing written');
  });

  test('a link stays a link', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'real.yaml'), 'a: { host: h }\n');
    const link = join(folder.path, 'endpoints.yaml');
    await symlink('real.yaml', link);
    await pinHostKeys(link, 'a', [ONE]);
    assert.ok((await lstat(link)).isSymbolicLink());
    assert.equal(
      await readFile(join(folder.path, 'real.yaml'), 'utf8'),
      `a: { host: h, hostKey: [ "${ONE}" ] }\n`,
    );
  });

  test('where it cannot be written, the message says what to add by hand', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'endpoints.yaml');
    await writeFile(file, 'b: 1\na: *b\n');
    for (const path of [file, join(folder.path, 'none.yaml')]) {
      await assert.rejects(pinHostKeys(path, 'a', [ONE]), (error: unknown) => {
        assert.ok(error instanceof Fault);
        assert.equal(error.kind, 'permanent');
        assert.equal(error.advice, `write it yourself, below "a" in ${path}: hostKey: [ "${ONE}" ]`);
        return true;
      });
    }
    await rename(file, `${file}.old`);
    assert.deepEqual(await readdir(folder.path), ['endpoints.yaml.old']);
  });
});
