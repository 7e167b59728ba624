// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so
/** Files that an endpoint's settings name: they must be there. */

import { isDeepStrictEqual } from 'node:util';
import type { Finding, Findings, Path } from './problems.ts';
import { isPlainObject, type Resolved } from './references.ts';
import { isOpenToAll, unreadable } from './secret-files.ts';
import type { Values } from './values.ts';

/** Settings that name a file which must be there. */
const FILE_KEYS = ['key', 'cert', 'ca', 'knownHosts'];

/** Keys and certificates must be there and readable. They are named as they are written: a reference may stand for a secret. */
export async function checkFiles({ data, references }: Resolved, values: Values): Promise<Findings> {
  const problems: Finding[] = [];
  const warnings: Finding[] = [];
  const files: string[] = [];
  for (const { key, path, text } of namedFiles(data)) {
    const file = text.includes('${') ? undefined : values.path.safeParse(text).data;
    if (file === undefined) continue;
    files.push(file);
    const reference = references.find((found) => isDeepStrictEqual(found.path, path));
    const said = reference?.raw ?? text;
    const fault = await unreadable(file);
    const where = reference === undefined && text !== file ? { remedy: `looked for it at ${file}` } : {};
    if (fault !== undefined) problems.push({ path, message: `${key}: "${said}": ${fault}`, ...where });
    else if (key === 'key' && !file.endsWith('.pub') && (await isOpenToAll(file)))
      warnings.push({
        path,
        message: `${key}: every user of this host can read "${said}"`,
        remedy: `chmod 600 ${said}`,
      });
  }
  return { problems, warnings, files };
}

interface NamedFile {
  readonly key: string;
  readonly path: Path;
  readonly text: string;
}

/** One by one where a setting is a list. */
function namedFiles(data: unknown): readonly NamedFile[] {
  if (!isPlainObject(data)) return [];
  return FILE_KEYS.flatMap((key): readonly NamedFile[] => {
    const value = data[key];
    if (typeof value === 'string') return [{ key, path: [key], text: value }];
    if (!Array.isArray(value)) return [];
    return value.flatMap((text, index) =>
      typeof text === 'string' ? [{ key, path: [key, index], text }] : [],
    );
  });
}
