// What opening a ledger may be told.

import type { LedgerSettings } from '../ledger/ledger-parts.ts';

/** What opens a ledger: where it lies, and how it is to be used. */
export interface OpenLedgerOptions extends LedgerSettings {
  /** A folder; `esdb://HOST?ledger=NAME` for a log on EventStoreDB; `memory:` for one that ends with the process. */
  readonly url: string;
  /** Where packs lie, for a ledger on a server that is created: a folder, or s3://BUCKET/PREFIX. */
  readonly pageStore?: string;
  /** Where keys lie; absent: in the ledger's folder, or the host's own for it. */
  readonly keys?: string;
  /** Where this host keeps what is local of ledgers that lie elsewhere; absent: the user's state folder. */
  readonly stateFolder?: string;
  /** Most bytes of the local cache of packs in an object store. */
  readonly cacheBytesMax?: number;
  /** How long a server that does not answer is waited for; absent: 30 s, Infinity: as long as it takes. */
  readonly patienceMs?: number;
}
