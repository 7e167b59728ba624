/** Globs of `ferry history --path`, and that the quick filter before them loses nothing. */

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { patternOf, sqlGlobOf } from '../../src/ledger/glob.ts';

const PATHS = [
  'a.csv',
  'in/a.csv',
  'in/deep/b.csv',
  'a.csv.gz',
  'A.CSV',
  'in/[x]/a^b$.csv',
  'a\nb.csv',
  'ü.csv',
  '😀.csv',
  '',
];

const GLOBS: readonly (readonly [string, readonly string[]])[] = [
  ['*.csv', ['a.csv', 'a\nb.csv', 'ü.csv', '😀.csv']],
  ['**/*.csv', ['a.csv', 'in/a.csv', 'in/deep/b.csv', 'in/[x]/a^b$.csv', 'a\nb.csv', 'ü.csv', '😀.csv']],
  ['in/**', ['in/a.csv', 'in/deep/b.csv', 'in/[x]/a^b$.csv']],
  ['in/**/*.csv', ['in/a.csv', 'in/deep/b.csv', 'in/[x]/a^b$.csv']],
  ['in/*', ['in/a.csv']],
  ['?.csv', ['a.csv', 'ü.csv', '😀.csv']],
  ['**/[x]/*', ['in/[x]/a^b$.csv']],
  ['[x]', ['in/[x]/a^b$.csv']],
  ['^b$', ['in/[x]/a^b$.csv']],
  ['a.csv', ['a.csv', 'in/a.csv', 'a.csv.gz']],
  ['a?csv', ['a.csv']],
  ['**', PATHS],
];

for (const [glob, expected] of GLOBS) {
  test(`${glob} matches what it says`, () => {
    assert.deepEqual(
      PATHS.filter((path) => patternOf(glob).test(path)),
      expected,
    );
  });
}

test('the quick filter lets through all that matches', () => {
  using db = new DatabaseSync(':memory:');
  const quick = db.prepare('SELECT ? GLOB ? AS passes');
  for (const [glob, expected] of GLOBS) {
    for (const path of expected) assert.equal(quick.get(path, sqlGlobOf(glob))?.passes, 1, `${glob} ${path}`);
  }
  assert.equal(quick.get('b.txt', sqlGlobOf('**/*.csv'))?.passes, 0);
});
