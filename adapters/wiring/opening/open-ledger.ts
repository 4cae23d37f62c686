// Opens ledgers: of whatever kind its URL says.

import type { Ledger } from '../ledger/ledger.ts';
import type { OpenLedgerOptions } from './options.ts';
import { SCHEMES } from './schemes.ts';

/** Opens a ledger; makes it first where the mode says so. Close it when done. */
export async function openLedger(options: OpenLedgerOptions): Promise<Ledger> {
  const ledger = await SCHEMES.find(({ takes }) => takes(options.url))!.open(options);
  await ledger.state.catchUp({ heavy: false });
  // Whoever only reads the log of servers does without the other one, until pages are read.
  const isReader = options.mode === 'read' || options.mode === 'use';
  if (!ledger.isShared || !isReader) await ledger.tellPast();
  return ledger;
}
