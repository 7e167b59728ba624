/** A connector at work: what all sessions of one endpoint share. Made on first use, closed with the endpoint. */

import type { FilePath } from '../../sync/names.ts';
import type { Api } from './api.ts';
import type { Batches } from './batches.ts';
import type { Holders } from './holders.ts';
import type { Listing, Listings } from './listings.ts';
import type { Results } from './results.ts';
import type { ConnectorSettings } from './settings.ts';
import type { Staging } from './staging.ts';

export interface Look {
  /** By folder: the listing must have been asked for at or after that moment. */
  readonly sinceMs: Map<FilePath, number>;
  /** Of the final folder, where the temporary one is to be looked at afterwards. */
  target: { readonly listing: Listing; readonly atMs: number } | undefined;
}

export interface Connector {
  /** Of the endpoint. */
  readonly name: string;
  readonly settings: ConnectorSettings;
  readonly api: Api;
  readonly staging: Staging;
  readonly batches: Batches;
  readonly results: Results;
  readonly listings: Listings;
  readonly names: Holders;
  /** Folders that could not be listed, and when: their sizes are not asked again at once. */
  readonly unlistable: Map<FilePath, number>;
  /** Looks at folders that sends wait for, by token: since when each has waited, so that it waits for one listing only. */
  readonly looks: Map<string, Look>;
  readonly now: () => number;
  /** For names that nobody else has: eight letters and digits. */
  readonly nonce: () => string;
  readonly warn: (message: string) => void;
}
