/** What the ledger's contract tests share: a folder with ledgers on it, and (values.ts) what goes into them. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Open } from './values.ts';

export * from './values.ts';

export interface Place {
  readonly folder: string;
  readonly ledger: Ledger;
  /** One more on the same folder, as another process would have it. */
  another(): Ledger;
}

export type Contract = (title: string, body: (place: Place) => void | Promise<void>) => void;

export function contractFor(open: Open): Contract {
  return (title, body) => {
    test(title, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'ferry-ledger-'));
      const opened: Ledger[] = [];
      const another = (): Ledger => {
        const ledger = open(folder);
        opened.push(ledger);
        return ledger;
      };
      try {
        await body({ folder, ledger: another(), another });
      } finally {
        for (const ledger of opened) ledger[Symbol.dispose]();
        await rm(folder, { recursive: true });
      }
    });
  };
}
