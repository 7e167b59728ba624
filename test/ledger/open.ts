/** The ledger under test, as the contract suite and its peers open it. */

import { openLedger } from '../../src/ledger/sqlite.ts';
import type { Open } from '../contract/ledger.ts';

export const open: Open = (folder) => openLedger({ folder, now: Date.now });
