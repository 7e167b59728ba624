// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so
/** Files that an endpoint's settings name: they must be there. */

import type { Finding, Findings } from './problems.ts';
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
  for (const key of FILE_KEYS) {
    const text = isPlainObject(data) ? data[key] : undefined;
    const file =
      typeof text === 'string' && !text.includes('${') ? values.path.safeParse(text).data : undefined;
    if (file === undefined) continue;
    files.push(file);
    const reference = references.find(({ path }) => path[0] === key);
    const said = reference?.raw ?? String(text);
    const fault = await unreadable(file);
    const where = reference === undefined && text !== file ? { remedy: `looked for it at ${file}` } : {};
    if (fault !== undefined) problems.push({ path: [key], message: `${key}: "${said}": ${fault}`, ...where });
    else if (key === 'key' && (await isOpenToAll(file)))
      warnings.push({
        path: [key],
        message: `${key}: every user of this host can read "${said}"`,
        remedy: `chmod 600 ${said}`,
      });
  }
  return { problems, warnings, files };
}
