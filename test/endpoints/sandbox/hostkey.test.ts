import assert from 'node:assert/strict';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import { newKey } from '../../../src/endpoints/sandbox/hostkey.ts';

test('every host key that is made can be read again', () => {
  for (let count = 0; count < 2_000; count += 1) assert.ok(!(ssh2.utils.parseKey(newKey()) instanceof Error));
});
