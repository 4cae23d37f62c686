// Opens ledgers: of whatever kind its URL says.

import type { LedgerError } from '../../domain/values/ledger-error.ts';
import type { Ledger } from './ledger.ts';
import type { OpenLedgerOptions } from './options.ts';
import { SCHEMES } from './schemes.ts';

/** How long opening waits for the place of a shared ledger's packs: a log can be read without it. */
const ASK_MS_MAX = 2000;

/** Whether the log is older than the packs, as far as that is known in time. */
async function askedPast(ledger: Ledger): Promise<LedgerError | null> {
  if (!ledger.isShared) return ledger.marks.failure();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ASK_MS_MAX);
  });
  try {
    // Who records, compacts or decides anything asks again, and waits.
    return await Promise.race([ledger.marks.failure().catch(() => null), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Opens a ledger; makes it first where the mode says so. Close it when done. */
export async function openLedger(options: OpenLedgerOptions): Promise<Ledger> {
  const ledger = await SCHEMES.find(({ takes }) => takes(options.url))!.open(options);
  await ledger.state.catchUp({ heavy: false });
  if (options.onNotice !== undefined) {
    const tooOld = await askedPast(ledger);
    if (tooOld !== null) options.onNotice(tooOld.message);
  }
  return ledger;
}
