import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/config/nearest.ts';

test('the nearest word, and none where nothing is near', () => {
  const words = ['settle', 'match', 'ignore', 'retry', 'from', 'to', 'done', 'watch'];
  const expected: Readonly<Record<string, string | undefined>> = {
    setle: 'settle',
    settel: 'settle',
    Settle: 'settle',
    settles: 'settle',
    matc: 'match',
    wacth: 'watch',
    form: 'from',
    ingore: 'ignore',
    x: undefined,
    of: undefined,
    schedule: undefined,
    '': undefined,
  };
  for (const [word, meant] of Object.entries(expected)) assert.equal(nearest(word, words), meant, word);
  assert.equal(nearest('settle', []), undefined);
});
