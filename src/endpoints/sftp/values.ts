/** Kinds of values that several settings share. */

import { z } from 'zod';

/** `x` or `[x, y]`, as a list. */
export const oneOrMore = <Item extends z.ZodType>(item: Item) =>
  z
    .union([item, z.array(item)])
    .transform((value): readonly z.output<Item>[] => (Array.isArray(value) ? value : [value]));
