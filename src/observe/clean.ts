/** Text from outside, made safe for a terminal. */

import { printable } from '../sync/names.ts';

/** No terminal may take a part of a name for a command, or read it backwards. */
export function clean(text: string): string {
  return printable(text).replace(
    /[\u0080-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
