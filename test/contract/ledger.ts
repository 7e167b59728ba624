/**
 * The suite that every ledger must pass: the promises of ledger/ledger.ts, tried out, in one process and in several.
 */

import { describe } from 'node:test';
import { claimContract } from './ledger/claiming.ts';
import { keepContract } from './ledger/keeping.ts';
import { contractFor, openerIn } from './ledger/kit.ts';
import { mendContract } from './ledger/mending.ts';
import { oweContract } from './ledger/owing.ts';
import { processContract } from './ledger/processes.ts';
import { readContract } from './ledger/reading.ts';
import { settleContract } from './ledger/settling.ts';
import { takeContract } from './ledger/taking.ts';

export type { Open } from './ledger/kit.ts';

/** @param module exports `open` (see `Open`); other processes import it too */
export async function ledgerContract(name: string, module: URL): Promise<void> {
  const open = await openerIn(module.href);
  describe(`${name} keeps the ledger's contract`, () => {
    const contract = contractFor(open);
    oweContract(contract);
    takeContract(contract);
    claimContract(contract);
    settleContract(contract);
    mendContract(contract);
    readContract(contract);
    keepContract(contract);
    processContract(contract, module);
  });
}
