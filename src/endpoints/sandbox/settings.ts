/** What `type: sandbox` takes in endpoints.yaml: nothing at all, usually. */

import { z } from 'zod';
import type { Values } from '../../config/values.ts';

export interface SandboxSettings {
  /** An absolute folder; undefined: one below FERRY_DATA. Created when it is missing. */
  readonly path?: string | undefined;
  /** Undefined: any free one. */
  readonly port?: number | undefined;
  /** Undefined: a new one in every process, known to nobody. */
  readonly password?: string | undefined;
}

export function sandboxSettings(values: Values): z.ZodType<SandboxSettings> {
  return z.strictObject({
    path: values.path.optional().describe('Folder for the files; default: one below FERRY_DATA'),
    port: z.int().min(1).max(65_535).optional().describe('On loopback; default: any free one'),
    password: z.string().min(1).optional().describe('To look in with another SFTP client, as user `ferry`'),
  });
}
