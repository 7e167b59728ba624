/** Writes a first jobs folder: working samples with comments, and the schemas for editors. Never overwrites anything. */

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Kind } from '../endpoints/index.ts';
import { codeOf } from '../sync/errors.ts';
import { configFiles } from './folder.ts';
import { endpointsJsonSchema, jobJsonSchema, jsonSchemaText } from './json-schema.ts';
import { EXAMPLES, FIRST } from './samples.ts';

/**
 * The first job and its endpoints only where the folder holds no YAML file yet; examples and editor schemas
 * wherever they are missing.
 * @returns the files that were written, each below `folder` as it was given
 */
export async function initJobs(folder: string, kinds: Readonly<Record<string, Kind>>): Promise<string[]> {
  const isNew = (await configFiles(folder)).length === 0;
  const files = { ...(isNew ? FIRST : {}), ...EXAMPLES, ...editorSchemas(kinds) };
  const written: string[] = [];
  for (const [name, text] of Object.entries(files)) {
    const file = join(folder, name);
    if (await writeNew(file, text)) written.push(file);
  }
  // What the first job watches, so that it can start.
  if (isNew) await mkdir(join(dirname(join(folder, '.')), 'outbox'), { recursive: true });
  return written;
}

/** By their names in the jobs folder. */
export function editorSchemas(kinds: Readonly<Record<string, Kind>>): Readonly<Record<string, string>> {
  return {
    'job.schema.json': jsonSchemaText(jobJsonSchema()),
    'endpoints.schema.json': jsonSchemaText(endpointsJsonSchema(kinds)),
  };
}

async function writeNew(file: string, text: string): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true });
  try {
    await writeFile(file, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}
