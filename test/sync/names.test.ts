import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromBytes, isUtf8, joinPath, printable, toBytes } from '../../src/sync/names.ts';

describe('names are bytes', () => {
  const names: readonly (readonly [string, Buffer])[] = [
    ['plain', Buffer.from('invoice 17.csv')],
    ['emoji', Buffer.from('📦.bin')],
    ['a lone continuation byte', Buffer.from([0x61, 0x80, 0x62])],
    ['latin-1', Buffer.from([0x4d, 0xfc, 0x6c, 0x6c, 0x65, 0x72])],
    ['a cut emoji', Buffer.from([0xf0, 0x9f, 0x93, 0x61])],
    ['an encoded surrogate', Buffer.from([0xed, 0xa0, 0x80])],
    ['a byte order mark', Buffer.from([0xef, 0xbb, 0xbf, 0x61])],
    [
      'every byte there is but / and NUL',
      Buffer.from(Array.from({ length: 255 }, (_, n) => n + 1).filter((n) => n !== 0x2f)),
    ],
  ];
  for (const [what, bytes] of names) {
    test(`${what} survives decoding and encoding`, () => {
      assert.deepEqual(toBytes(fromBytes(bytes)), bytes);
    });
  }

  test('only what is not UTF-8 is said not to be', () => {
    assert.equal(isUtf8(fromBytes(Buffer.from('📦'))), true);
    assert.equal(isUtf8(fromBytes(Buffer.from([0xfc]))), false);
  });

  test('a person sees what cannot be printed', () => {
    assert.equal(printable(fromBytes(Buffer.from([0x61, 0xfc, 0x0a, 0x09, 0x1b]))), 'a\\xfc\\n\\t\\x1b');
    assert.equal(printable('a\u009b31m \u202efdp.exe \u2028 ü'), 'a\\u009b31m \\u202efdp.exe \\u2028 ü');
  });
});

test('paths join with single slashes', () => {
  assert.equal(joinPath('/srv/inbox/', 'a', '/b'), '/srv/inbox/a/b');
  assert.equal(joinPath('', 'a/b'), 'a/b');
  assert.equal(joinPath('/', 'a'), '/a');
  assert.equal(joinPath('in', ''), 'in');
});
