/** The version, as package.json has it. */

import { createRequire } from 'node:module';

function versionOf(manifest: unknown): string {
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest)) return 'unknown';
  return String(manifest.version);
}

export const VERSION: string = versionOf(createRequire(import.meta.url)('../../package.json'));
