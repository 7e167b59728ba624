/** Notices that an endpoint has changed, without showing what it holds. */

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { isPlainObject } from './references.ts';

/** Of what is written and of the identity of the files that it names, so that no secret goes into it that is not in the YAML. */
export async function fingerprintOf(raw: unknown, files: readonly string[]): Promise<string> {
  const parts = [canonical(raw)];
  for (const file of files) {
    const found = await stat(file).catch(() => undefined);
    parts.push(file, String(found?.ino), String(found?.size), String(found?.mtimeMs));
  }
  return hashOf(parts.join('\0'));
}

/** 16 hex digits. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isPlainObject(value)) return JSON.stringify(value) ?? 'undefined';
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
    .join()}}`;
}
