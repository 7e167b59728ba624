import { ledgerContract } from '../contract/ledger.ts';

await ledgerContract('sqlite', new URL('./open.ts', import.meta.url));
