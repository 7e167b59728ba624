/** What `type: local` takes in endpoints.yaml. */

import { z } from 'zod';
import type { Values } from '../../config/values.ts';

export interface LocalSettings {
  /** An absolute folder of this host; must exist, is never created. */
  readonly path: string;
}

export function localSettings(values: Values): z.ZodType<LocalSettings> {
  return z.strictObject({ path: values.path });
}
