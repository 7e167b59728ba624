/**
 * Whether ssh2 encrypts with its native addon. Without it everything still works, at two thirds of the speed for
 * one large file and a quarter for many small ones: `start` and `check` say so.
 */

import { createRequire } from 'node:module';

/** How ssh2 itself decided when it was loaded (ssh2 1.17, lib/protocol/crypto.js). */
export function nativeCryptoLoaded(): boolean {
  const crypto: unknown = createRequire(import.meta.url)('ssh2/lib/protocol/crypto.js');
  return (
    typeof crypto === 'object' &&
    crypto !== null &&
    'bindingAvailable' in crypto &&
    crypto.bindingAvailable === true
  );
}
