// Opens ledgers: of whatever kind its URL says.

import { olderThanPacks } from './compaction-marks.ts';
import type { Ledger } from './ledger.ts';
import type { OpenLedgerOptions } from './options.ts';
import { SCHEMES } from './schemes.ts';

/** Opens a ledger; makes it first where the mode says so. Close it when done. */
export async function openLedger(options: OpenLedgerOptions): Promise<Ledger> {
  const ledger = await SCHEMES.find(({ takes }) => takes(options.url))!.open(options);
  await ledger.state.catchUp({ heavy: false });
  // Of a ledger that hosts share that would be a request more; who records or compacts asks anyway.
  if (!ledger.isShared && options.onNotice !== undefined) {
    const tooOld = await olderThanPacks(ledger);
    if (tooOld !== null) options.onNotice(tooOld.message);
  }
  return ledger;
}
